//! The noise of sums whose totals are not exact: a share of it goes with each stream's masks.
//!
//! A share follows from the stream's secret and from what the masks of the sum follow from, which is written down before an answer
//! leaves. So all holders of a stream give the same share, whenever they are asked and whatever was killed in between, and nobody
//! draws twice.

use masks::MaskSecret;
use packed::RING;
use packed::layout::{Encoding, Layout};
use privacy::{Agreed, Bits, Noise, Spent};
use service::trust::HeldPlan;
use wire::{Digest, Reason, Sum, Terms};

/// The noise of one sum.
#[derive(Debug)]
pub(crate) struct SumNoise {
    pub(crate) agreed: Agreed,
    noise: Noise,
    encoding: Encoding,
    /// What it gives away of each household in it.
    pub(crate) cost: Spent,
    /// Whether it leaves something to read.
    pub(crate) checked: Result<(), Reason>,
}

impl SumNoise {
    /// That of a sum; none if its total is exact. Sums of household-days have `day_min_meters` or more.
    ///
    /// # Errors
    /// [`Reason::NotSupported`] where noise cannot hide what the sum says, [`Reason::UnknownFeeder`].
    pub(crate) fn of(
        sum: &Sum,
        terms: &Terms,
        held: &HeldPlan,
        day_min_meters: u32,
    ) -> Result<Option<Self>, Reason> {
        let feeders = sum.shares().map(|share| share.feeder);
        let agreed = Agreed::of(terms, feeders).map_err(|_| Reason::NotSupported)?;
        let Some(agreed) = agreed else {
            return Ok(None);
        };
        // Squares, bins and own peaks would need noise of their own.
        if held.shape.layout() != Layout::Profile {
            return Err(Reason::NotSupported);
        }
        let setting = held.plan.feeder(&sum.feeder, sum.window);
        let setting = setting.ok_or(Reason::UnknownFeeder)?;
        let encoding = held.encoding(setting);
        let (place, room) = ((setting, &held.plan), encoding.room());
        Ok(Some(Self {
            agreed,
            noise: agreed.noise(setting, &held.plan),
            checked: agreed.check(sum.contributors(), place, room, day_min_meters),
            encoding,
            cost: agreed.cost(held.grid.intervals(sum.window), &held.plan),
        }))
    }

    /// Takes a stream's share off its masks, so that it is in the total once they are taken off. `words` are the masks of all
    /// coefficients.
    pub(crate) fn put_under(
        &self,
        words: &mut [u64],
        secret: &MaskSecret,
        (terms, content): (&Digest, &Digest),
    ) {
        let key = secret.noise_key(&terms.0, &content.0);
        let mut bits = Bits::from_key(&key);
        let shape = &self.encoding.shape;
        for word in &mut words[shape.values()] {
            *word = less(
                *word,
                self.noise.draw_share(&mut bits),
                self.encoding.quantum_bits(),
            );
        }
        // Counts of clamped readings say something of readings, and have no noise: their masks stay on.
        words[shape.clamped()].fill(0);
    }
}

/// `word` less so many quanta, modulo the modulus.
fn less(word: u64, quanta: i64, quantum_bits: u32) -> u64 {
    let modulus = i128::from(RING.modulus);
    let value = i128::from(word) - (i128::from(quanta) << quantum_bits);
    // Lossless: it is below the modulus, of 50 bits.
    value.rem_euclid(modulus) as u64
}

#[cfg(test)]
mod tests;
