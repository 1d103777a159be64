//! What `bench` and `e2e` share: the real services in one process, the truth of a run, and what came of it.
//!
//! # Layout
//! * [`scenario`]: what a run is made of, as settings of the real services
//! * `input`: the file or the fleet that it reads
//! * [`oracle`]: the truth, by separate code, straight from the file or the seed, in the quanta that totals state
//! * [`stack`]: broker, operator, analytics and fleet, started as they are, over TCP · [`runtimes`]: the threads they are on
//! * [`usage`]: what processes and threads take
//! * [`watch`]: what the services report while they run · [`verdict`]: whether every total equals it
//! * [`areas`]: the totals of transformers and substations held against the truth
//! * [`comparison`]: encrypted comparisons held against the truth · [`levelled`]: products without masks · `customers`: of a file
//! * [`percentiles`], [`spread`], [`bills`]: histograms, standard deviations and bills held against the truth
//! * [`sharing`]: where analytics keeps its sums, and how many share them
//! * [`ledger`]: what a file has against what was released of it
//! * [`session`]: all of these, from start to stop · [`network`]: an emulated one between gateway and broker
//! * [`rogue`]: dishonest parties
//! * [`latency`]: percentiles · [`output`]: progress and files · [`process`]: what it takes to start processes

pub mod areas;
pub mod bills;
pub mod comparison;
mod customers;
mod entered;
pub mod holders;
mod input;
pub mod latency;
pub mod ledger;
pub mod levelled;
pub mod network;
pub mod oracle;
pub mod output;
pub mod percentiles;
pub mod process;
pub mod rogue;
pub mod runtimes;
pub mod scenario;
pub mod session;
pub mod sharing;
pub mod spread;
pub mod stack;
pub mod usage;
pub mod verdict;
pub mod watch;

/// The run was interrupted by the user.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;
