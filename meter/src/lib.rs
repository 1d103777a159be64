//! A gateway for many meters: readings are encrypted, signed, kept in an outbox and published until they are settled.
//!
//! # Layout
//! The data flows through the modules in this order; nothing flows back but receipts.
//!
//! * [`source`]: readings, simulated or replayed · [`fleet`]: the meters they belong to, and their keys
//! * [`timeline`]: event time · [`batch`]: the intervals of a window, a meter at a time
//! * [`seal`]: encode, encrypt, sign · [`outbox`]: what has no receipt yet · [`pacing`]: how much of it may be on its way
//!   to a destination · [`journal`]: all of it, on disk
//! * [`uplink`]: publishing · [`gateway`]: the loop that drives all of it
//! * [`metrics`]: what it counts · [`doctor`]: what its set-up lacks

pub mod batch;
pub mod doctor;
pub mod fleet;
pub mod gateway;
pub mod journal;
pub mod metrics;
pub mod outbox;
pub mod pacing;
pub mod seal;
pub mod source;
pub mod timeline;
mod trace;
pub mod uplink;

use service::clock::SharedClock;
use service::config::Settings;
use service::stop::Stop;
use tokio::sync::mpsc;

pub use gateway::{Event, Summary};

/// Why a gateway ended.
#[derive(Debug, thiserror::Error)]
pub enum MeterError {
    /// The configured topic root is no topic.
    #[error(transparent)]
    Root(#[from] wire::RootError),
    /// The state folder cannot be used.
    #[error("cannot use the state folder")]
    State(#[source] std::io::Error),
    /// The fleet cannot be set up.
    #[error(transparent)]
    Fleet(#[from] fleet::FleetError),
    /// The plan or the roster cannot be kept.
    #[error(transparent)]
    Keep(#[from] service::plan::KeepError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    /// The outbox cannot hold one window.
    #[error(
        "meter.outbox_max_reports is {capacity}: it must be at least the {meters} meters, so that a window fits"
    )]
    Outbox {
        /// The configured size.
        capacity: usize,
        /// The number of meters.
        meters: usize,
    },
    /// The readings cannot be read on.
    #[error(transparent)]
    Source(#[from] source::SourceError),
    /// The plan cannot be used.
    #[error(transparent)]
    Seal(#[from] seal::SealError),
    /// A task of the gateway panicked.
    #[error("a task of the gateway failed")]
    Task(#[source] tokio::task::JoinError),
}

/// Runs a gateway until its source ends and every report is settled, or until `stop` fires.
///
/// # Errors
/// [`MeterError`] where it cannot start, cannot read on, or is given a plan it cannot use.
pub async fn run(
    settings: &Settings,
    clock: SharedClock,
    stop: Stop,
    observer: Option<mpsc::UnboundedSender<Event>>,
) -> Result<Summary, MeterError> {
    metrics::describe();
    let gateway = gateway::Gateway::open(settings, clock, &stop, observer)?;
    gateway.run(stop).await
}
