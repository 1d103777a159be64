//! A report as it comes to its window.

use packed::Profile;
use wire::{Digest, Report};

/// A report whose signature, roster entry and plan have been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contribution<'a> {
    /// Whose it is, and of which window.
    pub report: &'a Report,
    /// The packed ciphertext.
    pub limbs: &'a [u8],
    /// SHA-256 of the ciphertext.
    pub digest: Digest,
    /// The meter's number on the feeder.
    pub number: u32,
    /// The profile of the report's feeder setting.
    pub profile: &'static Profile,
    /// The most meters that a sum of that setting may have.
    pub max_meters: u32,
}
