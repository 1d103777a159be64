//! One encrypted bit: the sign of a difference, under the evaluation keys.

use std::collections::BTreeMap;
use std::fmt;

use compare::{BIT_BITS, Difference, Lwe, SwitchKey};
use openfhe::{FLOOD, SignKeys};
use sha2::{Digest as _, Sha256};
use wire::KeyEpoch;
use zeroize::Zeroizing;

/// Bytes of the secret that floods are drawn from.
pub(crate) const FLOOD_SECRET: usize = 32;

/// The evaluation keys, and what hides from the operator all of a bit's ciphertext but the bit.
///
/// A bit's noise depends a little on what was computed. So a number is added to it that is many times larger, and small enough not to
/// change the bit. It follows from a secret of the evaluator's and from what was asked, so the same question gets the same answer,
/// and asking again averages nothing away.
pub struct Comparer {
    signs: SignKeys,
    switches: BTreeMap<KeyEpoch, SwitchKey>,
    flood_secret: Zeroizing<[u8; FLOOD_SECRET]>,
}

/// Why there is no bit.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The operator's file for the epoch is not here.
    #[error("there is no switching key of epoch {epoch}: copy the operator's `switch-{epoch}.key`")]
    NoKey {
        /// The key epoch of the sum.
        epoch: KeyEpoch,
    },
    /// OpenFHE failed.
    #[error(transparent)]
    OpenFhe(#[from] openfhe::Error),
}

impl Comparer {
    /// With the keys of these epochs, and a secret of the evaluator's own.
    #[must_use]
    pub fn new(
        signs: SignKeys,
        switches: BTreeMap<KeyEpoch, SwitchKey>,
        flood_secret: [u8; FLOOD_SECRET],
    ) -> Self {
        Self {
            signs,
            switches,
            flood_secret: Zeroizing::new(flood_secret),
        }
    }

    /// Whether sums of this epoch can be compared.
    #[must_use]
    pub fn has(&self, epoch: KeyEpoch) -> bool {
        self.switches.contains_key(&epoch)
    }

    /// An encrypted 1 if the difference is negative, else an encrypted 0. `question` says what was asked, and of what.
    ///
    /// # Errors
    /// [`CompareError`].
    pub fn bit(
        &self,
        epoch: KeyEpoch,
        difference: &Difference,
        multiplier: u64,
        question: &[u8],
    ) -> Result<Lwe, CompareError> {
        let switch = self.switches.get(&epoch);
        let switch = switch.ok_or(CompareError::NoKey { epoch })?;
        let bit = self.signs.sign(&switch.switch(difference, multiplier))?;
        Ok(bit.shifted(self.flood(question), BIT_BITS))
    }

    /// Uniform from −[`FLOOD`] to [`FLOOD`], but for a factor of 1 ± 2^−53.
    fn flood(&self, question: &[u8]) -> i64 {
        let mut hash = Sha256::new();
        hash.update(self.flood_secret.as_slice());
        hash.update(question);
        let drawn = hash.finalize();
        let (first, _) = drawn.as_chunks::<8>();
        (u64::from_le_bytes(first[0]) % (2 * FLOOD as u64 + 1)) as i64 - FLOOD
    }
}

impl fmt::Debug for Comparer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epochs: Vec<_> = self.switches.keys().collect();
        f.debug_struct("Comparer")
            .field("epochs", &epochs)
            .finish_non_exhaustive()
    }
}
