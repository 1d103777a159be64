//! What the operator has of a sum that somebody else compares: its masks, and how many contributors had a reading.

use packed::RING;
use packed::layout::Encoding;
use packed::sum::without_readings;
use wire::{Plan, Reason, Sum};
use zeroize::Zeroizing;

use super::under::At;
use super::{Check, Opener};
use service::trust::Members;

/// The masks on a sum, added up.
pub(crate) struct Masks {
    /// Residues, one for each coefficient that reports use.
    pub(crate) words: Zeroizing<Vec<u64>>,
    pub(crate) encoding: Encoding,
    /// Standard deviation of one report's coefficient.
    pub(crate) sigma: f64,
}

/// What is known of a sum that somebody else compares: how many contributors had a reading in each interval.
pub(crate) struct Shown {
    pub(crate) present: Vec<u32>,
    pub(crate) masks: Masks,
}

impl Opener {
    /// Of a sum that somebody else compares, what its counts of readings and zero checks say; `limbs` are those of the sum
    /// [without readings](packed::sum::without_readings). Steps 2, 3, 5 and 6.
    ///
    /// # Errors
    /// Why it cannot be decrypted at all; [`Reason::LimbOutOfRange`] where a reading could be, [`Reason::NotOpened`] without a word
    /// about why.
    pub(crate) fn shown(
        &mut self,
        (sum, limbs): (&Sum, &[u8]),
        plan: &Plan,
        members: &Members,
    ) -> Result<Shown, Reason> {
        let zeros = self.enforces(Check::Zeros);
        let masks = self.masks(sum, plan, members)?;
        let Masks {
            encoding, sigma, ..
        } = masks;
        let contributors = sum.contributors();
        let under = self.under(At::of(sum), plan, members)?;
        let mut residues = under.decrypt(limbs, contributors)?;
        if without_readings(&encoding.shape, limbs).as_deref() != Ok(limbs) {
            return Err(Reason::LimbOutOfRange);
        }
        for (residue, mask) in residues.iter_mut().zip(masks.words.iter()) {
            *residue = (*residue + RING.modulus - mask) % RING.modulus;
        }
        let zeros_pass = encoding.checks_pass(&residues, contributors, sigma) || !zeros;
        let present = encoding.decode_presence(&residues, contributors, sigma);
        match (zeros_pass, present) {
            (true, Ok(present)) => Ok(Shown { present, masks }),
            _ => Err(Reason::NotOpened),
        }
    }

    /// The sum of the masks on a sum that somebody else compares: nothing is decrypted.
    ///
    /// # Errors
    /// There are no keys of its epoch, no setting of its feeder, or a contributor is not on it.
    pub(crate) fn masks(
        &mut self,
        sum: &Sum,
        plan: &Plan,
        members: &Members,
    ) -> Result<Masks, Reason> {
        let mut under = self.under(At::of(sum), plan, members)?;
        let masks = under.masks(sum.set.iter().zip(sum.salts.iter().copied()))?;
        // Taken off nothing, what is left is minus the masks.
        let mut words = Zeroizing::new(vec![0; under.encoding.shape.coefficients()]);
        masks.subtract_from(&mut words);
        for word in words.iter_mut() {
            *word = (RING.modulus - *word) % RING.modulus;
        }
        Ok(Masks {
            words,
            encoding: under.encoding,
            sigma: under.sigma,
        })
    }
}
