//! A holder of mask keys: one of several without whose answers the operator opens no sum.
//!
//! # Layout
//! * `keys`: the state folder · [`setup`]: how holders come to an agreement · `run`: over MQTT · [`doctor`]: what the set-up lacks

pub mod doctor;
mod error;
mod keys;
mod run;
pub mod setup;

pub use error::HolderError;
pub use keys::KeysError;
pub use run::run;

/// The name of the process.
const NAME: &str = "holder";
