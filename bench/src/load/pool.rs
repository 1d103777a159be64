//! The ciphertexts: real encryptions of zero under the operator's key, to which a report adds its reading and its mask.
//!
//! A ciphertext of `m` is one of 0 with `m` added to its first polynomial. That one is kept whole, since the bits that a report
//! leaves out of a residue come after; the second is the same in every report that takes it.

use anyhow::{Context as _, Result};
use openfhe::{Context, Fresh, PublicKey};
use packed::layout::Encoding;
use packed::report::pack;
use service::trust::HeldPlan;

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
    /// The second polynomial, packed.
    second: Vec<u8>,
}

impl Pool {
    /// So many encryptions under the plan's first key.
    pub(super) fn new(held: &HeldPlan, encoding: Encoding, size: u32) -> Result<Self> {
        let context = Context::new()?;
        let key = held.plan.public_key(0, &held.limbs);
        let key = PublicKey::from_packed(&context, key.context("the plan has no public key")?)?;
        let zero = vec![0; encoding.shape.coefficients()];
        let second_len = encoding.profile.packed_len(0);
        let mut fresh = Fresh::default();
        let mut encrypt = || -> Result<Encrypted> {
            context.encrypt(&key, &zero, &mut fresh)?;
            let mut second = Vec::with_capacity(second_len);
            pack(encoding.profile, &[], &fresh.c1, &mut second)?;
            Ok(Encrypted {
                first: fresh.c0.clone(),
                second,
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
        let residues = self.of(row).first.iter().zip(plaintext);
        let sum: Vec<u64> = residues.map(|(a, b)| (a + b) % modulus).collect();
        let mut packed = Vec::with_capacity(self.bytes());
        // Polynomials are packed in pairs; what stands for the second is cut off.
        let nothing = vec![0; self.encoding.profile.ring.dimension];
        pack(self.encoding.profile, &sum, &nothing, &mut packed)?;
        packed.truncate(packed.len() - self.second_len);
        Ok(packed)
    }

    /// The limbs of the report in this row, of which `first` is the first polynomial.
    pub(super) fn limbs(&self, row: u64, first: &[u8]) -> Vec<u8> {
        [first, &self.of(row).second].concat()
    }

    /// Bytes of a report's limbs.
    pub(super) fn bytes(&self) -> usize {
        let coefficients = self.encoding.shape.coefficients();
        self.encoding.profile.packed_len(coefficients)
    }

    fn of(&self, row: u64) -> &Encrypted {
        // A step that shares no factor with the usual sizes, so that neighbours differ.
        let step = row.wrapping_mul(2_654_435_761) % self.ciphertexts.len() as u64;
        &self.ciphertexts[step as usize]
    }
}
