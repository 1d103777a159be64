//! Analytics: verify, fold, window, release. It never holds a secret key, and links no C++ at all.
//!
//! # Layout
//! The data flows through the modules in this order; nothing flows back but receipts.
//!
//! * `assignment`: which feeders are this service's, and which it is giving up
//! * `admit`: from bytes on a topic to a report that may be folded · `verify`: many at once
//! * `windows`: every open sum, who is in it, when it is due
//! * [`ownership`]: which shards of the feeders this process adds for, where several share them
//! * [`store`]: the one transaction that changes what must survive a crash
//! * [`engine`]: reports in, receipts and releases out, one commit in between; synchronous, no clock, no socket
//! * `pipeline`: the engine on MQTT and on time · [`metrics`]: what it counts
//! * [`inspect`]: a look into a store · [`migrate`]: from a file to a database, or back · [`doctor`]: what the set-up lacks

mod admit;
mod assignment;
pub mod doctor;
pub mod engine;
pub mod inspect;
pub mod metrics;
pub mod migrate;
pub mod ownership;
mod pipeline;
pub mod store;
mod trace;
mod verify;
mod windows;

pub use admit::{Address, Admission, Admitted, Incoming, Refusal};
pub use assignment::AssignedPlan;
pub use engine::Event;
pub use pipeline::{AnalyticsError, DRAIN, run, run_on, run_sharing, store_path};
pub use verify::{Verdicts, Verifier};
