//! The secret keys, and when a new key epoch may begin.

pub(crate) mod error;
pub(crate) mod keyring;
mod known;
pub(crate) mod mask_file;
pub(crate) mod pads;
pub mod rotate;
