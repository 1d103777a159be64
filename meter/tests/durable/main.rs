//! A gateway that is stopped or killed loses nothing and reports nothing twice.
//!
//! What is *not* a failure: a report that is sent again, and one whose receipt says `duplicate`. A failure is a meter's
//! window that is taken with no digest or with two, and one whose content is not what was read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the tests play the operator"
)]

mod behind;
mod enrolled;
mod exact;
mod gateway;
mod kept;
mod kill;
mod lines;
mod live;
mod opener;
mod peer;
mod restart;
mod sender;
mod stale;
mod stream;
mod world;
