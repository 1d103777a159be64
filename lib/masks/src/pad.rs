//! The key that a meter and a verifier share, and the pads it gives.

use std::fmt;

use chacha20::cipher::array::Array;
use chacha20::cipher::{KeyIvInit, StreamCipherCore};
use chacha20::variants::Ietf;
use chacha20::{ChaChaCore, R20};
use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::MaskSecret;

/// The cipher without a buffer: nothing of the key stream stays in it.
pub(crate) type Stream = ChaChaCore<R20, Ietf>;

/// What the cipher gives at a time.
pub(crate) type Block = [u8; 64];

/// Words in a block.
const WORDS: usize = 8;

/// Whom a [`PadKey`] is between: each field changes every pad.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// The deployment's name.
    pub deployment: &'a str,
    /// The meter's id.
    pub meter: &'a str,
    /// The key epoch that the verifier's key belongs to.
    pub epoch: u32,
    /// The meter's public key, as it was enrolled.
    pub meter_key: &'a [u8; 32],
    /// The verifier's public key, from the signed plan.
    pub verifier_key: &'a [u8; 32],
}

/// Which plaintext a pad covers: each field changes every word.
#[derive(Clone, Copy, Debug)]
pub struct Label<'a> {
    /// SHA-256 of the complete setting that the meter encrypts under, with the fingerprint of the public key.
    pub setting: &'a [u8; 32],
    /// The window.
    pub window: u64,
    /// Fresh random bytes for each seal: two plaintexts under one pad would tell their difference.
    pub salt: [u8; 8],
}

/// The public key belongs to a small subgroup: the secret shared with it is zero, whatever one's own.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the mask key is not a usable X25519 public key: the secret shared with it is zero")]
pub struct WeakKey;

/// What a meter and a verifier derive pads from, for one key epoch; wiped when dropped.
pub struct PadKey(Zeroizing<[u8; 32]>);

impl PadKey {
    /// The key that the owner of `secret` shares with the owner of `their`, which is the other of the two keys in
    /// `parties`. Both sides get the same. Takes tens of microseconds.
    ///
    /// # Errors
    /// `their` is no key that anything can be shared with.
    pub fn agree(
        secret: &MaskSecret,
        their: &[u8; 32],
        parties: &Parties<'_>,
    ) -> Result<Self, WeakKey> {
        let shared = secret.shared_with(their);
        if !shared.was_contributory() {
            return Err(WeakKey);
        }
        Ok(Self::derive(shared.as_bytes(), parties))
    }

    fn derive(shared: &[u8; 32], parties: &Parties<'_>) -> Self {
        let deployment = parties.deployment.as_bytes();
        let meter = parties.meter.as_bytes();
        let info: [&[u8]; 8] = [
            b"cipherwatt mask 1",
            &(deployment.len() as u64).to_le_bytes(),
            deployment,
            &(meter.len() as u64).to_le_bytes(),
            meter,
            &parties.epoch.to_le_bytes(),
            parties.meter_key,
            parties.verifier_key,
        ];
        let mut key = Self(Zeroizing::new([0; 32]));
        Hkdf::<Sha256>::new(None, shared)
            .expand_multi_info(&info, key.0.as_mut_slice())
            .expect("HKDF gives 32 bytes");
        key
    }

    /// Adds the pad of `label` to `words`, modulo `modulus`. A shorter pad is the beginning of a longer one.
    ///
    /// `words` are below `modulus`, and `modulus` is at most 2⁶³.
    pub fn add(&self, label: &Label<'_>, modulus: u64, words: &mut [u64]) {
        let mut scratch = scratch(words.len());
        self.combine(label, modulus, (&mut scratch, words), |word, pad| {
            subtract_once(word + pad, modulus)
        });
    }

    /// Takes the pad of `label` off `words`, modulo `modulus`: what [`add`](Self::add) added.
    pub fn subtract(&self, label: &Label<'_>, modulus: u64, words: &mut [u64]) {
        let mut scratch = scratch(words.len());
        self.combine(label, modulus, (&mut scratch, words), |word, pad| {
            subtract_once(word + (modulus - pad), modulus)
        });
    }

    /// Replaces each of `words` by what `combine` makes of it and its pad. `scratch` is for as many words.
    pub(crate) fn combine(
        &self,
        label: &Label<'_>,
        modulus: u64,
        (scratch, words): (&mut [Block], &mut [u64]),
        combine: impl Fn(u64, u64) -> u64,
    ) {
        let mask = u64::MAX >> (modulus - 1).leading_zeros();
        let mut stream = self.stream(label);
        let mut rest = words.iter_mut();
        while rest.len() > 0 {
            let blocks = &mut scratch[..rest.len().div_ceil(WORDS)];
            stream.write_keystream_blocks(Array::cast_slice_from_core_mut(blocks));
            let drawn = blocks.as_flattened().as_chunks().0.iter();
            let pads = drawn.map(|bytes| u64::from_le_bytes(*bytes) & mask);
            // For a modulus just below a power of two almost always, and without a branch in each word.
            if pads.clone().fold(true, |all, pad| all & (pad < modulus)) {
                for (pad, word) in pads.zip(rest.by_ref()) {
                    *word = combine(*word, pad);
                }
            } else {
                let accepted = pads.filter(|pad| *pad < modulus);
                for (pad, word) in accepted.zip(rest.by_ref()) {
                    *word = combine(*word, pad);
                }
            }
        }
    }

    fn stream(&self, label: &Label<'_>) -> Stream {
        let mut key = Zeroizing::new([0; 32]);
        let window = label.window.to_le_bytes();
        // With HKDF's own byte one block of SHA-256.
        let info: [&[u8]; 4] = [b"pad 1", label.setting, &window, &label.salt];
        Hkdf::<Sha256>::from_prk(self.0.as_slice())
            .expect("a key of 32 bytes")
            .expand_multi_info(&info, key.as_mut_slice())
            .expect("HKDF gives 32 bytes");
        Stream::new((&*key).into(), &[0; 12].into())
    }
}

/// Room for the key stream of `len` words; wiped when dropped.
pub(crate) fn scratch(len: usize) -> Zeroizing<Vec<Block>> {
    Zeroizing::new(vec![[0; 64]; len.div_ceil(WORDS)])
}

/// `value` modulo `modulus`, for a value below twice the modulus.
fn subtract_once(value: u64, modulus: u64) -> u64 {
    value.min(value.wrapping_sub(modulus))
}

impl fmt::Debug for PadKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PadKey(..)")
    }
}

#[cfg(test)]
mod tests;
