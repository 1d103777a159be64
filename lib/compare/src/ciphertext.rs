//! Small ciphertexts.

use crate::DIMENSION;

/// An LWE ciphertext `(a, b)` under a secret `z`, modulo a power of two that its context says. Its phase is `b − ⟨a, z⟩`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lwe {
    /// [`DIMENSION`] words of `a`, then `b`.
    words: Vec<u64>,
}

impl Lwe {
    /// Of `a` and `b`, [`DIMENSION`] + 1 words; none if they are of another number, or one is not below 2^`bits`.
    #[must_use]
    pub fn new(words: Vec<u64>, bits: u32) -> Option<Self> {
        let fits = words.len() == DIMENSION + 1 && words.iter().all(|word| word >> bits == 0);
        fits.then_some(Self { words })
    }

    /// `a`, then `b`.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The same in so many bytes a word, little-endian.
    #[must_use]
    pub fn to_bytes(&self, bytes_a_word: usize) -> Vec<u8> {
        let bytes = |word: &u64| word.to_le_bytes().into_iter().take(bytes_a_word);
        self.words.iter().flat_map(bytes).collect()
    }

    /// What [`to_bytes`](Self::to_bytes) gave; none for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], bytes_a_word: usize, bits: u32) -> Option<Self> {
        if bytes.len() != bytes_a_word * (DIMENSION + 1) {
            return None;
        }
        let word = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        Self::new(bytes.chunks_exact(bytes_a_word).map(word).collect(), bits)
    }

    /// Adds to the phase, modulo 2^`bits`.
    #[must_use]
    pub fn shifted(mut self, by: i64, bits: u32) -> Self {
        let last = &mut self.words[DIMENSION];
        *last = last.wrapping_add_signed(by) & ((1 << bits) - 1);
        self
    }
}
