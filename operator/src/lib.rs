//! The operator: the one role that holds the secret key.
//!
//! It publishes the plan and the roster, enrols meters and analytics services, takes each released sum once, decrypts it
//! and reports what a feeder consumed. This program opens sums only; whoever holds its key could open single reports.
//!
//! # Layout
//! - [`run()`]: everything is opened and checked, then `event_loop` serves; [`Event`]: what an observer is told;
//! - `enrolment`: who may join, by which rules, and who waits for a person;
//! - `plan`: the signed truth about time, scale and members: plan and roster, and when they are published;
//! - `keys`: the secret keys, and when a new key epoch may begin;
//! - `open`: from a sum's ciphertext to the totals in it;
//! - `release`: which sums are taken, what a decrypted sum says, and what survives a kill;
//! - `comparison`: sums that nobody opens, compared by the evaluator;
//! - [`levelled`]: keys for products on ciphertexts without masks, and opening them: off by default, and not in the event loop;
//! - `publish`: noisy totals for those who publish them;
//! - `search`: which meter spoils a sum that did not open;
//! - [`init`]: a new deployment · [`commands`]: `pending`, `approve`, `remove`, `rekey`, `readmit` and `rotate`; [`learn`]: what colluders learn from sums of squares;
//! - [`answers`]: `ask` and `export`, from what is released
//! - [`metrics`], [`page`], [`print`](mod@print), [`doctor`]: what is counted, shown on the live page, written to standard
//!   output, and lacking in the set-up.

pub mod answers;
pub mod commands;
pub mod comparison;
mod disk;
pub mod doctor;
mod enrolment;
mod error;
mod event;
mod event_loop;
mod holders;
pub mod init;
mod keys;
pub mod learn;
pub mod levelled;
pub mod metrics;
mod open;
pub mod page;
mod plan;
pub mod print;
mod publish;
mod release;
mod run;
mod search;
mod setup;

pub use enrolment::leaving::{Change, Party};
pub use error::OperatorError;
pub use event::{Event, Excerpt};
pub use keys::rotate;
pub use plan::stored::stored_plan;
pub use publish::said::NoiseSaid;
pub use release::bills::{BandEnergy, BillReport};
pub use release::held::HeldBy;
pub use release::histogram::{Bracket, Histogram};
pub use release::ledger::FILE as LEDGER_FILE;
pub use release::report::{By, FeederReport, Scale};
pub use run::run;
pub use setup::folder;

#[cfg(test)]
mod testing;
