//! The masks that holders gave for a sum.

use packed::RING;
use packed::layout::Shape;
use tokio::time::Instant;
use wire::{HolderId, Reason};
use zeroize::Zeroizing;

/// Masks of a sum, added up over all streams.
#[derive(Clone)]
pub(crate) struct HolderMasks {
    /// Of the zero checks.
    pub(crate) checks: Zeroizing<Vec<u64>>,
    /// Of every coefficient before them, once enough holders have consented.
    pub(crate) payload: Option<Zeroizing<Vec<u64>>>,
    /// Who consented.
    pub(crate) consented: Vec<HolderId>,
    /// Why no masks will come, where too many holders refuse them for good.
    pub(crate) refused: Option<Reason>,
    /// When the first of them was asked for.
    pub(crate) since: Instant,
}

impl HolderMasks {
    /// Whether everything of the sum can be looked at.
    pub(crate) fn is_whole(&self) -> bool {
        self.payload.is_some()
    }

    /// Takes them off residues of the coefficients that reports use.
    pub(crate) fn subtract_from(&self, shape: &Shape, residues: &mut [u64]) {
        let checks = shape.checks().start;
        let (payload, zeros) = residues.split_at_mut(checks.min(residues.len()));
        subtract(zeros, &self.checks);
        if let Some(words) = &self.payload {
            subtract(payload, words);
        }
    }
}

fn subtract(residues: &mut [u64], words: &[u64]) {
    for (residue, word) in residues.iter_mut().zip(words) {
        *residue = (*residue + (RING.modulus - word % RING.modulus)) % RING.modulus;
    }
}

impl std::fmt::Debug for HolderMasks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "HolderMasks(whole: {})", self.is_whole())
    }
}
