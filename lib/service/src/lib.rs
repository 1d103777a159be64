//! What every Cipherwatt process shares, so that each process crate holds only its own work.
//!
//! # Layout
//!
//! - [`process`]: start-up written once: parse, load, logs, metrics, signals; [`exit`]: the exit codes.
//! - [`cli`]: the flags and commands common to all binaries; [`doctor`]: what is wrong with a set-up.
//! - [`config`]: one schema for all processes, loaded from layers whose origin is kept.
//! - [`telemetry`]: logs on standard error and the Prometheus endpoint.
//! - [`stop`] and [`clock`]: how a service is told to end, and what time it is.
//! - [`mqtt`]: the MQTT 3.1.1 client: back-off, in-order acknowledgements, a publisher that cannot
//!   deadlock with the inbox.
//! - [`database`]: what is shown to a database, and by what it is believed.
//! - [`sums`]: what plan and roster ask of a sum that is to be opened.
//! - [`trust`]: the plan and the roster that the operator signed, verified, pinned to that operator and cached on disk.
//! - [`Chain`]: an error with its sources, for a log.
//! - [`files`]: atomic writes and key files; [`store`]: what stores in one file share.
//! - [`failpoint`]: named points at which a test kills the process.

mod chain;
pub mod cli;
pub mod clock;
pub mod config;
pub mod database;
pub mod doctor;
pub mod exit;
pub mod failpoint;
pub mod files;
pub mod mqtt;
pub mod process;
pub mod stop;
pub mod store;
pub mod sums;
pub mod telemetry;
pub mod trust;

pub use chain::Chain;
pub use clock::{Clock, MockClock, SharedClock, SystemClock};
pub use config::Settings;
pub use stop::{Stop, StopHandle};
