//! The public key as it travels: the coefficients of `b`, then those of `a`, packed as residues.

use sha2::{Digest, Sha256};

use crate::RING;

/// Residues of a public key `(b, a)`: those of `b`, then those of `a`.
pub const PUBLIC_KEY_WORDS: usize = 2 * RING.dimension;

/// Bytes of a packed public key: 25,600.
pub const PUBLIC_KEY_BYTES: usize = RING.packed_len(PUBLIC_KEY_WORDS);

/// The fingerprint of a packed public key: SHA-256 over the ring's
/// [parameter bytes](crate::Ring::parameter_bytes) and the key's.
#[must_use]
pub fn key_fingerprint(packed: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(RING.parameter_bytes())
        .chain_update(packed)
        .finalize()
        .into()
}
