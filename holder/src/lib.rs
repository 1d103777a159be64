//! A holder of mask keys: one of several without whose answers the operator opens no sum.
//!
//! # Layout
//! * `keys`: the state folder · [`setup`]: how holders come to an agreement
//! * `ledger`: what it consented to, and the meters it knows · `roster`: those meters
//! * `judge`: what it lets be opened · `pads`: masks, added up · `noise`: what goes with them · `answers`: questions and their answers
//! * `audit`: the reports behind a sum, demanded and added up again
//! * `pages`: the roster, taken and countersigned · `approvals`: what a person decides of it · `run`: over MQTT
//! * [`metrics`]: what it counts · [`doctor`]: what the set-up lacks

mod answers;
mod approvals;
mod audit;
pub mod doctor;
mod error;
mod judge;
mod keys;
mod ledger;
pub mod metrics;
mod noise;
mod pads;
mod pages;
mod roster;
mod run;
pub mod setup;
#[cfg(test)]
mod testing;

pub use approvals::{ApprovalCommand, ApprovalError};
pub use audit::{AuditCommand, AuditError};
pub use error::HolderError;
pub use keys::KeysError;
pub use ledger::LedgerError;
pub use run::run;

/// The name of the process.
const NAME: &str = "holder";
