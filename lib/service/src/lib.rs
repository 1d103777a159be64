//! What every Cipherwatt process shares, so that each process crate holds only its own work.
//!
//! # Layout
//!
//! - [`process`]: start-up written once: parse, load, logs, metrics, signals, exit codes.
//! - [`cli`]: the flags and commands common to all binaries; [`doctor`]: what is wrong with a set-up.
//! - [`config`]: one schema for all processes, loaded from layers whose origin is kept.
//! - [`telemetry`]: logs on standard error and the Prometheus endpoint.
//! - [`stop`] and [`clock`]: how a service is told to end, and what time it is.
//! - [`mqtt`]: the MQTT 3.1.1 client: back-off, in-order acknowledgements, a publisher that cannot
//!   deadlock with the inbox.
//! - [`plan`] and [`roster`]: the operator's signed truth, verified, pinned and cached on disk.
//! - [`pin`]: which operator a process trusts.
//! - [`Chain`]: an error with its sources, for a log.
//! - [`files`]: atomic writes and key files; [`store`]: what stores in one file share.
//! - [`failpoint`]: named points at which a test kills the process.

mod chain;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod failpoint;
pub mod files;
pub mod mqtt;
pub mod pin;
pub mod plan;
pub mod process;
pub mod roster;
pub mod stop;
pub mod store;
pub mod telemetry;

pub use chain::Chain;
pub use clock::{Clock, MockClock, SharedClock, SystemClock};
pub use config::Settings;
pub use stop::{Stop, StopHandle};
