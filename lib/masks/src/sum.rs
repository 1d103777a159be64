//! The sum of many meters' pads.

use std::fmt;

use zeroize::Zeroizing;

use crate::pad::{Block, scratch};
use crate::{Label, PadKey};

/// The pads of a set of reports, added up; wiped when dropped, since two sums that differ by one report give that
/// report's pad.
///
/// About 1.5 µs a report of 232 words.
pub struct PadSum {
    words: Zeroizing<Vec<u64>>,
    scratch: Zeroizing<Vec<Block>>,
    modulus: u64,
    /// How many more pads every word has room for before it must be reduced.
    room: u64,
}

impl PadSum {
    /// The sum of no pads, of `len` words modulo `modulus`, which is at most 2⁶³.
    pub fn new(len: usize, modulus: u64) -> Self {
        Self {
            words: Zeroizing::new(vec![0; len]),
            scratch: scratch(len),
            modulus,
            room: u64::MAX / (modulus - 1),
        }
    }

    /// Adds the pad that the owner of `key` added to what it sealed under `label`.
    pub fn add(&mut self, key: &PadKey, label: &Label<'_>) {
        if self.room == 0 {
            let modulus = self.modulus;
            self.words.iter_mut().for_each(|word| *word %= modulus);
            // A reduced word takes as much room as one pad.
            self.room = u64::MAX / (modulus - 1) - 1;
        }
        self.room -= 1;
        key.combine(
            label,
            self.modulus,
            (&mut self.scratch, &mut self.words),
            |word, pad| word + pad,
        );
    }

    /// The sum, modulo the modulus.
    pub fn residues(&self) -> Zeroizing<Vec<u64>> {
        let residues = self.words.iter().map(|word| word % self.modulus);
        Zeroizing::new(residues.collect())
    }

    /// Takes the sum off `residues`, modulo the modulus. They are as many as this sum's words and below the modulus.
    pub fn subtract_from(&self, residues: &mut [u64]) {
        debug_assert_eq!(residues.len(), self.words.len());
        for (residue, word) in residues.iter_mut().zip(self.words.iter()) {
            *residue = (*residue + (self.modulus - word % self.modulus)) % self.modulus;
        }
    }
}

impl fmt::Debug for PadSum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PadSum({} words)", self.words.len())
    }
}

#[cfg(test)]
mod tests;
