//! A holder of mask keys: one of several without whose answers the operator opens no sum.
//!
//! # Layout
//! * `run`: over MQTT · [`doctor`]: what the set-up lacks

pub mod doctor;
mod error;
mod run;

pub use error::HolderError;
pub use run::run;

/// The name of the process.
const NAME: &str = "holder";
