//! Encryption under the operator's OpenFHE public key in plain Rust.

mod encrypt;
mod kernel;
mod key;
pub mod known_answers;
mod noise;
mod ring;
mod sample;
mod self_test;
pub mod steps;
#[cfg(test)]
mod tests;
mod transform;

pub use encrypt::{Error, encrypt, encrypt_with};
pub use kernel::{Kernel, KernelUnavailable};
pub use key::PublicKey;
pub use self_test::{SelfTestError, self_test};
