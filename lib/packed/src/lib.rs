//! CKKS ciphertexts as plain numbers, and their sum.
//!
//! A ciphertext of a [`Profile`] is two polynomials of residues. This crate packs them to the
//! width of their modulus, adds any number of them with the range of every value checked, and
//! knows what the slots of the decrypted sum mean and how far they may be off. It contains no
//! cryptographic library and does no I/O: encrypting and decrypting is the crate `openfhe`.
//!
//! # Layout
//! - `profile`: the parameter sets, their sizes and how many contributors a sum holds
//! - `bits`: packing and unpacking
//! - `accumulator`: the sum
//! - `kernel`: its inner loops, one per instruction set; the only `unsafe` code
//! - [`layout`]: which slot carries what
//! - [`noise`]: how far a decrypted slot is off

mod accumulator;
mod bits;
mod kernel;
pub mod layout;
pub mod noise;
mod profile;
#[cfg(test)]
mod properties;

pub use accumulator::{Accumulator, FoldError};
pub use bits::{PackError, pack, pack_into, unpack};
pub use kernel::{Kernel, KernelUnavailable};
pub use profile::{ADDITIVE, ADDITIVE_WIDE, Profile, UnknownProfile};
