//! The operator: the one role that holds the secret key.
//!
//! It publishes the plan and the roster, enrols meters and analytics services, takes each released sum once, decrypts it
//! and reports what a feeder consumed. It never sees a single meter's reading.
//!
//! # Layout
//! - [`run()`]: everything is opened and checked, then `serve` loops; [`event`]: what an observer is told;
//! - [`keyring`], [`plan`], [`reference`](mod@reference), [`roster`]: what is secret, and the signed truth about time, keys, scale and members;
//! - [`request`], [`enrol`], [`gateways`], [`pending`]: who may join, by which rules, and who waits for a person;
//! - [`rotate`]: when a new key epoch may begin;
//! - [`release`], [`settle`], [`report`]: which sums are taken, how, and what a decrypted sum says;
//! - [`ledger`], [`totals`], [`disk`]: what survives a kill;
//! - [`publish`], [`waiting`], [`metrics`]: when things are published, said and counted;
//! - [`print`](mod@print): released windows on standard output; [`page`]: what happens, for the live page; [`doctor`]: what the set-up lacks.

pub mod disk;
pub mod doctor;
pub mod enrol;
pub mod event;
pub mod gateways;
pub mod keyring;
pub mod ledger;
pub mod metrics;
pub mod page;
pub mod pending;
pub mod plan;
pub mod print;
pub mod publish;
pub mod reference;
pub mod release;
pub mod report;
pub mod request;
pub mod roster;
pub mod rotate;
pub mod run;
mod serve;
pub mod settle;
pub mod totals;
pub mod waiting;

pub use event::Event;
pub use report::FeederReport;
pub use run::{OperatorError, run};

#[cfg(test)]
mod testing;
