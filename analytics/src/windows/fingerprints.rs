//! Who may have contributed, in a few bytes each.

use std::hash::{BuildHasher as _, RandomState};

use wire::MeterId;

use super::growing_set::GrowingSet;

/// Keyed, so that nobody can choose ids that look alike.
#[derive(Debug)]
pub(super) struct Hasher {
    key: RandomState,
    mask: u32,
}

/// The low bits of a meter's keyed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Fingerprint(u32);

/// The fingerprints of a window's contributors.
pub(super) type Fingerprints = GrowingSet<Fingerprint>;

impl Hasher {
    /// Fingerprints of so many bits, at most 32.
    pub(super) fn new(bits: u32) -> Self {
        Self {
            key: RandomState::new(),
            mask: u32::MAX.checked_shr(32 - bits.min(32)).unwrap_or(0),
        }
    }

    pub(super) fn of(&self, meter: &MeterId) -> Fingerprint {
        Fingerprint(self.key.hash_one(meter) as u32 & self.mask)
    }
}
