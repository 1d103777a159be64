//! A meter of the fleet: who it is, and its keys.

use masks::MaskSecret;
use wire::{FeederId, MaskKey, MeterId, SigningKey, VerifyingKey};

/// A meter with its secrets.
#[derive(Debug)]
pub(crate) struct Member {
    /// The meter's id.
    pub(crate) meter: MeterId,
    /// Its feeder.
    pub(crate) feeder: FeederId,
    /// Its own signing key.
    pub(crate) key: SigningKey,
    /// What it agrees its pads with.
    pub(crate) mask: MaskSecret,
    /// The other halves of both, as the roster has them.
    pub(crate) public: PublicKeys,
}

/// The public halves of a meter's keys, as the roster has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublicKeys {
    pub(crate) verifying: VerifyingKey,
    pub(crate) mask: MaskKey,
}
