//! CKKS ciphertexts as plain numbers, and their sum.
//!
//! A report is an encrypted polynomial whose first coefficients carry readings. This crate says
//! which coefficient carries what, packs reports as a [`Profile`] wants it, adds any number of
//! them with the range of every value checked, and knows how far a decrypted total may be off,
//! and so in what steps readings have to enter for totals to be exact. It contains no
//! cryptographic library and does no I/O: encrypting and decrypting is the crate `openfhe`.
//!
//! # Layout
//! - `profile`: the ring, and the profiles with their sizes and how many contributors a sum holds
//! - [`layout`]: which coefficient carries what, and in which unit
//! - [`noise`]: how far a decrypted coefficient is off, the quanta that follow, and the choice
//!   of a profile
//! - [`report`]: packing a report
//! - [`bill`]: energy by tariff band, from the reports of one meter
//! - `public_key`: the size and the fingerprint of a packed public key
//! - `accumulator`: the sum
//! - [`sum`]: the packed sum, and the ciphertext it stands for
//! - `bits`: packing and unpacking of residues
//! - `kernel`: the inner loops, one per instruction set; the only `unsafe` code

mod accumulator;
pub mod bill;
mod bits;
mod kernel;
pub mod layout;
pub mod noise;
mod profile;
mod public_key;
pub mod report;
pub mod sum;
#[cfg(test)]
mod tests;

pub use accumulator::{Accumulator, FoldError};
pub use bits::{PackError, pack, unpack};
pub use kernel::{Kernel, KernelUnavailable};
pub use profile::{
    ADDITIVE, ADDITIVE_FINE, ADDITIVE_SMALL, ADDITIVE_WIDE, Profile, RING, Ring, UnknownProfile,
};
pub use public_key::{PUBLIC_KEY_BYTES, PUBLIC_KEY_WORDS, key_fingerprint};
pub use sum::{Lifted, sum_len};
