//! A gateway that is stopped or killed loses nothing and reports nothing twice.
//!
//! What is *not* a failure: a report that is sent again, and one whose receipt says `duplicate`. A failure is a meter's
//! window that is taken with no digest or with two.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod behind;
mod gateway;
mod kill;
mod live;
mod peer;
mod restart;
mod world;
