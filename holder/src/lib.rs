//! A holder of mask keys: one of several without whose answers the operator opens no sum.
//!
//! # Layout
//! * `keys`: the state folder · `run`: over MQTT · [`doctor`]: what the set-up lacks

pub mod doctor;
mod error;
// The commands and the running holder are about to use it.
#[allow(dead_code)]
mod keys;
mod run;

pub use error::HolderError;
pub use keys::KeysError;
pub use run::run;

/// The name of the process.
const NAME: &str = "holder";
