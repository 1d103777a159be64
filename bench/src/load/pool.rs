//! The ciphertexts: real encryptions of zero under the operator's key, to which a report adds its reading and its mask.
//!
//! A ciphertext of `m` is one of 0 with `m` added to its first polynomial. That one is kept whole, since the bits that a report
//! leaves out of a residue come after; the second is the same in every report that takes it.
//!
//! Half of the reports, at random, take the ciphertext's negative, which is one of 0 too. Otherwise the errors of reports that
//! share a ciphertext would add up to more than those of as many encryptions, and the operator would rightly not open the sum.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use packed::layout::Encoding;
use packed::report::pack;
use packed::{ADDITIVE, Profile, RING, unpack};
use service::trust::HeldPlan;

/// Drops no bits: a reading is added before any are dropped.
static WHOLE: Profile = Profile::new("whole", &RING, ADDITIVE.scale_bits, [0, 0]);

/// Real ciphertexts that reports take in turn.
#[derive(Debug)]
pub(super) struct Pool {
    ciphertexts: Vec<Encrypted>,
    encoding: Encoding,
    /// Bytes of the second polynomial in a report, the last of it.
    second_len: usize,
}

#[derive(Debug)]
struct Encrypted {
    /// Residues of the first polynomial, as many as a report has coefficients.
    first: Vec<u64>,
    /// The second polynomial, packed, and its negative.
    second: [Bytes; 2],
}

impl Pool {
    /// So many encryptions under the plan's first key.
    pub(super) fn new(held: &HeldPlan, encoding: Encoding, size: u32) -> Result<Self> {
        let key = held.plan.public_key(0, &held.limbs);
        let key = seal::PublicKey::from_packed(key.context("the plan has no public key")?)?;
        let zero = vec![0; encoding.shape.coefficients()];
        let second_len = encoding.profile.packed_len(0);
        let encrypt = || -> Result<Encrypted> {
            let mut whole = Vec::new();
            seal::encrypt(&key, &WHOLE, &zero, &mut whole)?;
            let (first, all) = whole.split_at(RING.packed_len(zero.len()));
            let mut all = unpack(&RING, RING.dimension, all)?;
            let mut second = [(); 2].map(|()| Vec::with_capacity(second_len));
            for packed in &mut second {
                pack(encoding.profile, &[], &all, packed)?;
                negate(RING.modulus, &mut all);
            }
            Ok(Encrypted {
                first: unpack(&RING, zero.len(), first)?,
                second: second.map(Bytes::from),
            })
        };
        Ok(Self {
            ciphertexts: (0..size).map(|_| encrypt()).collect::<Result<_>>()?,
            encoding,
            second_len,
        })
    }

    /// How readings become coefficients.
    pub(super) fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// The first polynomial of the report in this row with `plaintext`, residues modulo q, added to it.
    pub(super) fn first(&self, row: u64, plaintext: &[u64]) -> Result<Vec<u8>> {
        let modulus = self.encoding.profile.ring.modulus;
        let (ciphertext, negative) = self.of(row);
        let mut sum = ciphertext.first.clone();
        if negative {
            negate(modulus, &mut sum);
        }
        for (sum, word) in sum.iter_mut().zip(plaintext) {
            *sum = (*sum + word) % modulus;
        }
        let mut packed = Vec::with_capacity(self.bytes());
        // Polynomials are packed in pairs; what stands for the second is cut off.
        let nothing = vec![0; self.encoding.profile.ring.dimension];
        pack(self.encoding.profile, &sum, &nothing, &mut packed)?;
        packed.truncate(packed.len() - self.second_len);
        Ok(packed)
    }

    /// The second polynomial of the report in this row; its limbs are the first one and this.
    pub(super) fn second(&self, row: u64) -> &Bytes {
        let (ciphertext, negative) = self.of(row);
        &ciphertext.second[usize::from(negative)]
    }

    /// Bytes of a report's limbs.
    pub(super) fn bytes(&self) -> usize {
        let coefficients = self.encoding.shape.coefficients();
        self.encoding.profile.packed_len(coefficients)
    }

    /// The ciphertext of a row, and whether its negative is meant.
    fn of(&self, row: u64) -> (&Encrypted, bool) {
        let random = mixed(row);
        let place = (random >> 1) % self.ciphertexts.len() as u64;
        (&self.ciphertexts[place as usize], random & 1 == 1)
    }
}

fn negate(modulus: u64, words: &mut [u64]) {
    for word in words {
        *word = (modulus - *word) % modulus;
    }
}

/// A number that looks random: the output function of SplitMix64 (Steele, Lea and Flood 2014).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
