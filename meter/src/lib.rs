//! A gateway for many meters: readings are encrypted, signed, published until they are in sums, and kept until these are
//! released.
//!
//! # Layout
//! The data flows through the modules in this order; nothing flows back but receipts.
//!
//! * `source`: which readings the settings name · `live`: those that meters send · `fleet`, `member`: the meters they belong to, and their keys
//! * `timeline`: event time · `batch`: the intervals of a window, a meter at a time · `quantum`: in whole quanta
//! * `seal`: encode, mask, encrypt, sign · `outbox`: what has no receipt yet · [`pacing`]: how much of it may be on its way
//!   to a destination · `kept`: what is in sums · `released`: what is in totals · `journal`: all of it, on disk
//! * `uplink`: publishing · `gateway`: the loop that drives all of it
//! * [`metrics`]: what it counts · [`doctor`]: what its set-up lacks · `notices`: what is wrong as far as it knows · `file_mark`: whether
//!   a replayed file has changed

mod batch;
pub mod doctor;
mod file_mark;
mod fleet;
mod gateway;
mod journal;
mod kept;
mod live;
mod member;
pub mod metrics;
mod notices;
mod outbox;
pub mod pacing;
mod quantum;
mod released;
mod seal;
mod source;
mod timeline;
mod uplink;

use readings::SourceError;
use service::clock::SharedClock;
use service::config::Settings;
use service::stop::Stop;
use tokio::sync::mpsc;

pub use fleet::feeder_of;
pub use gateway::{Event, Summary};
pub use quantum::{Scale, enter, quantise};
pub use source::{Readings, replayed, simulated};

/// Why a gateway ended.
#[derive(Debug, thiserror::Error)]
pub enum MeterError {
    /// `deployment.root` is not a topic.
    #[error(transparent)]
    Root(#[from] wire::RootError),
    /// The state folder cannot be used.
    #[error("cannot use the state folder")]
    State(#[source] std::io::Error),
    /// The meters or their keys cannot be used.
    #[error(transparent)]
    Fleet(#[from] fleet::FleetError),
    /// The plan or the roster cannot be kept.
    #[error(transparent)]
    Keep(#[from] service::trust::KeepError),
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
    Source(#[from] SourceError),
    /// What meters send cannot be read.
    #[error(transparent)]
    Live(#[from] live::LiveError),
    /// Encryption does not compute what it should on this processor.
    #[error("nothing is sealed: encryption fails its known answers")]
    SelfTest(#[source] ::seal::SelfTestError),
    /// The plan cannot be used.
    #[error(transparent)]
    Seal(#[from] seal::SealError),
    /// A task of the gateway panicked.
    #[error("a task of the gateway failed")]
    Task(#[source] tokio::task::JoinError),
}

/// The setting that this build cannot follow, or a gateway must not, and what to do about it.
#[must_use]
pub fn unsupported(settings: &Settings) -> Option<(&'static str, String)> {
    seal::unsupported(settings).or_else(|| source::invented(settings))
}

/// Runs a gateway on the readings that its settings name, as [`run_on`] does.
///
/// # Errors
/// As [`run_on`], and where those readings cannot be had.
pub async fn run(
    settings: &Settings,
    clock: SharedClock,
    stop: Stop,
    observer: Option<mpsc::UnboundedSender<Event>>,
) -> Result<Summary, MeterError> {
    run_on(settings, Readings::of(settings)?, clock, stop, observer).await
}

/// Runs a gateway until its source ends and every report is in a sum or lost, or until `stop` fires. It waits a few seconds
/// for the sums to be released, so that little is left in its journal.
///
/// ```no_run
/// use readings::{Replay, ReplayOptions};
///
/// # async fn gateway() -> Result<(), Box<dyn std::error::Error>> {
/// let settings = service::Settings::defaults();
/// let csv = "hour,home-1,home-2\n0,0.250,0.100\n1,0.300,0.050\n".as_bytes();
/// let source = Replay::from_reader(csv, "two-homes.csv".as_ref(), &ReplayOptions::default())?;
/// let readings = meter::Readings::new(source, "two homes");
/// let clock = service::clock::SystemClock::shared();
/// let (_handle, stop) = service::Stop::manual();
/// let summary = meter::run_on(&settings, readings, clock, stop, None).await?;
/// println!("{} reports are in sums", summary.folded);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`MeterError`] where it cannot start, cannot read on, or is given a plan it cannot use.
pub async fn run_on(
    settings: &Settings,
    readings: Readings,
    clock: SharedClock,
    stop: Stop,
    observer: Option<mpsc::UnboundedSender<Event>>,
) -> Result<Summary, MeterError> {
    metrics::describe();
    let gateway = gateway::Gateway::open(settings, readings, clock, &stop, observer)?;
    gateway.run(stop).await
}
