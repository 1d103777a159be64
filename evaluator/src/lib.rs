//! The evaluator: compares encrypted sums that nobody opens, under evaluation keys alone.
//!
//! It is independent of the operator, which could read whatever it has: the sums of a feeder with a rating go to the evaluator and
//! never to the operator, what their masks come to goes from the operator to the evaluator, and encrypted bits go back. So whoever
//! has one of the two learns nothing of a sum but the bits; both together could read it.
//!
//! A question is kept until it is answered, and its answer for as long as its sums: after a kill, it is asked again, and gets
//! the same answer.
//!
//! # Layout
//! * [`Comparer`]: one encrypted bit · `keys`: the operator's files of evaluation keys
//! * [`Products`]: squares and tariff bands of reports without masks; no message brings it any
//! * `store`: sums, what they are compared with, answers · `jobs`: bits on several threads
//! * `run`: over MQTT · [`metrics`]: what it counts · [`doctor`]: what the set-up lacks

mod comparer;
pub mod doctor;
mod error;
mod jobs;
mod keys;
pub mod metrics;
mod products;
mod run;
mod store;

pub use comparer::{CompareError, Comparer};
pub use error::EvaluatorError;
pub use products::{Products, Reports};
pub use run::run;

/// The name of its folder of state.
const NAME: &str = "evaluator";
