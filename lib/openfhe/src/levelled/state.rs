//! How far a ciphertext has come: scales, polynomials, how large its values and its noise are at most.

use super::SLOTS;

/// What a number is multiplied by.
pub(super) const SCALE: f64 = (1u64 << 40) as f64;

/// Half of the modulus, in bits: before and after the one rescaling.
const ROOM_BITS: [f64; 2] = [99.0, 59.0];

/// Coefficients of a polynomial.
const DIMENSION: f64 = super::DIMENSION as f64;

/// Standard deviation of OpenFHE's errors.
const SIGMA: f64 = 3.19;

/// What noise of a coefficient is in a slot: the square root of twice the slots.
fn in_slots(coefficient: f64) -> f64 {
    (2.0 * SLOTS as f64).sqrt() * coefficient
}

/// What was asked for is beyond what the parameters carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Beyond {
    /// There is room for one product.
    #[error("a product of a product: the parameters have room for one")]
    Depth,
    /// Only what has the same scale and as many polynomials can be added.
    #[error("what is added has been multiplied, relinearised or rescaled otherwise")]
    Unlike,
    /// Nothing there to be relinearised or rescaled.
    #[error("there is nothing to relinearise, or to rescale, or it was not relinearised before")]
    Order,
    /// Values would wrap around.
    #[error("the values may be larger than the modulus: fewer reports, or smaller ones")]
    TooLarge,
    /// The values could not be told from noise.
    #[error("the noise may be larger than a ten-thousandth of full scale")]
    Noise,
}

/// What is known of a ciphertext.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct State {
    /// Scales in it: 1, after a product 2; 0 of nothing.
    scales: u32,
    /// Polynomials beyond two.
    extra: u32,
    rescaled: bool,
    /// No value is larger.
    largest: f64,
    /// Variance of the noise in a slot.
    variance: f64,
}

impl State {
    /// As it is encrypted, with values up to 1.
    pub(super) fn fresh() -> Self {
        let sigma = in_slots(SIGMA * (1.0 + 4.0 * DIMENSION / 3.0).sqrt()) / SCALE;
        Self {
            scales: 1,
            extra: 0,
            rescaled: false,
            largest: 1.0,
            variance: sigma * sigma,
        }
    }

    fn fits(self) -> Result<Self, Beyond> {
        let bits = self.largest.max(1.0).log2() + f64::from(self.scales) * SCALE.log2();
        if bits >= ROOM_BITS[usize::from(self.rescaled)] {
            return Err(Beyond::TooLarge);
        }
        match self.noise() <= 1e-4 * self.largest.max(1.0) {
            true => Ok(self),
            false => Err(Beyond::Noise),
        }
    }

    pub(super) fn plus(&self, other: &Self) -> Result<Self, Beyond> {
        let kind = |state: &Self| (state.scales, state.extra, state.rescaled);
        if self.scales != 0 && kind(self) != kind(other) {
            return Err(Beyond::Unlike);
        }
        let sum = Self {
            largest: self.largest + other.largest,
            variance: self.variance + other.variance,
            ..*other
        };
        sum.fits()
    }

    fn can_be_multiplied(&self) -> Result<(), Beyond> {
        let is_one = self.scales == 1 && self.extra == 0 && !self.rescaled;
        is_one.then_some(()).ok_or(Beyond::Depth)
    }

    pub(super) fn squared(&self) -> Result<Self, Beyond> {
        self.can_be_multiplied()?;
        let square = Self {
            scales: 2,
            extra: 1,
            largest: self.largest * self.largest,
            variance: 4.0 * self.largest * self.largest * self.variance,
            ..*self
        };
        square.fits()
    }

    pub(super) fn weighed(&self, by: f64) -> Result<Self, Beyond> {
        self.can_be_multiplied()?;
        // The weights are rounded to the scale.
        let rounding = self.largest * in_slots(0.3) / SCALE;
        let product = Self {
            scales: 2,
            largest: self.largest * by,
            variance: by * by * self.variance + rounding * rounding,
            ..*self
        };
        product.fits()
    }

    /// Noise of one key switching: digits of ten bits.
    fn switching(&self) -> f64 {
        let coefficient = (11.0 * DIMENSION / 12.0).sqrt() * 1_024.0 * SIGMA;
        in_slots(coefficient) / SCALE.powi(self.scales.cast_signed())
    }

    pub(super) fn relinearised(&self) -> Result<Self, Beyond> {
        if self.extra == 0 || self.rescaled {
            return Err(Beyond::Order);
        }
        let switching = self.switching();
        let relinearised = Self {
            extra: 0,
            variance: self.variance + switching * switching,
            ..*self
        };
        relinearised.fits()
    }

    pub(super) fn slots_summed(&self) -> Result<Self, Beyond> {
        if self.extra != 0 || self.scales == 0 || self.rescaled {
            return Err(Beyond::Order);
        }
        let slots = SLOTS as f64;
        let switching = self.switching();
        let sum = Self {
            largest: self.largest * slots,
            // Noise of slots of one ciphertext is not independent: at worst it adds up.
            variance: slots * slots * (self.variance + switching * switching),
            ..*self
        };
        sum.fits()
    }

    pub(super) fn rescaled(&self) -> Result<Self, Beyond> {
        if self.scales != 2 || self.extra != 0 || self.rescaled {
            return Err(Beyond::Order);
        }
        let rounding = in_slots(((1.0 + 2.0 * DIMENSION / 3.0) / 12.0).sqrt()) / SCALE;
        let rescaled = Self {
            scales: 1,
            rescaled: true,
            variance: self.variance + rounding * rounding,
            ..*self
        };
        rescaled.fits()
    }

    pub(super) fn opens(&self) -> Result<(), Beyond> {
        let opens = self.scales == 1 && self.extra == 0;
        opens.then_some(()).ok_or(Beyond::Order)
    }

    pub(super) fn is_rescaled(&self) -> bool {
        self.rescaled
    }

    pub(super) fn noise(&self) -> f64 {
        self.variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_one_product() {
        let fresh = State::fresh();
        let square = fresh.squared().unwrap();
        assert_eq!(square.squared(), Err(Beyond::Depth));
        assert_eq!(square.weighed(1.0), Err(Beyond::Depth));
        assert_eq!(square.rescaled(), Err(Beyond::Order));
        let rescaled = square.relinearised().unwrap().rescaled().unwrap();
        assert_eq!(rescaled.squared(), Err(Beyond::Depth));
        assert_eq!(rescaled.rescaled(), Err(Beyond::Order));
        assert_eq!(rescaled.plus(&fresh), Err(Beyond::Unlike));
        assert_eq!(fresh.relinearised(), Err(Beyond::Order));
        assert_eq!(square.slots_summed(), Err(Beyond::Order));
        assert_eq!(State::default().plus(&fresh), Ok(fresh));
    }

    #[test]
    fn values_that_may_wrap_around_are_refused() {
        let mut sum = State::default();
        let many = State {
            largest: 2f64.powi(17),
            ..State::fresh()
        };
        for _ in 0..2 {
            sum = sum.plus(&many).unwrap();
        }
        let weighed = sum.weighed(1.0).unwrap();
        // 2^18 values of full scale, and two scales of 40 bits, are below half of a modulus of 100 bits; after one more they are not.
        assert_eq!(weighed.plus(&weighed), Err(Beyond::TooLarge));
        assert_eq!(weighed.slots_summed(), Err(Beyond::TooLarge));
    }
}
