//! Noise in whole quanta, distributed exactly: drawn from random bits by comparisons of whole numbers (Canonne, Kamath and Steinke 2020),
//! so that nothing depends on how floating point rounds.

use dashu::integer::{IBig, UBig};
use dashu::rational::RBig;
use opendp::traits::samplers::{sample_discrete_gaussian, sample_discrete_laplace};

use crate::bits::Bits;
use crate::exact;
use crate::mechanism::Mechanism;

/// Noise could not be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot draw noise: {problem}")]
pub struct NoiseError {
    problem: String,
}

/// A distribution of whole numbers around 0: several independent draws, added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noise {
    mechanism: Mechanism,
    /// Of one draw.
    scale: RBig,
    /// How many draws there are.
    shares: u32,
}

impl Noise {
    pub(crate) fn laplace(scale: RBig) -> Self {
        Self {
            mechanism: Mechanism::Laplace,
            scale,
            shares: 1,
        }
    }

    pub(crate) fn gaussian(scale: RBig) -> Self {
        Self {
            mechanism: Mechanism::Gaussian,
            scale,
            shares: 1,
        }
    }

    /// The distribution of the sum of so many independent draws.
    #[must_use]
    pub fn of_shares(self, shares: u32) -> Self {
        Self { shares, ..self }
    }

    /// Draws a number, by opendp and from its bits.
    ///
    /// # Errors
    /// The machine gives no random bits.
    pub fn draw(&self) -> Result<i64, NoiseError> {
        let one = || match self.mechanism {
            Mechanism::Laplace => sample_discrete_laplace(self.scale.clone()),
            Mechanism::Gaussian => sample_discrete_gaussian(self.scale.clone()),
        };
        let drawn = (0..self.shares).map(|_| one());
        let drawn: IBig = drawn.sum::<Result<IBig, _>>().map_err(|error| NoiseError {
            problem: error.to_string(),
        })?;
        Ok(bounded(&drawn))
    }

    /// Draws one of the shares from these bits: from the same ones, the same number.
    pub fn draw_share(&self, bits: &mut Bits) -> i64 {
        let drawn = match self.mechanism {
            Mechanism::Laplace => exact::laplace(&self.scale, bits),
            Mechanism::Gaussian => exact::gaussian(&self.scale, bits),
        };
        bounded(&drawn)
    }

    /// How it is distributed.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The scale of one draw: of a Laplace distribution the mean deviation, of a Gaussian one the standard deviation, nearly.
    pub fn scale(&self) -> f64 {
        self.scale.to_f64().value()
    }

    /// A number that at least 95 % of what is drawn is not above, of either sign; of one draw the least.
    pub fn half_width(&self) -> u64 {
        let scale = self.scale();
        match self.mechanism {
            // |x| > m has the probability 2 p^(m+1) / (1 + p), with p = e^(−1/scale).
            Mechanism::Laplace if self.shares == 1 => {
                let p = (-1.0 / scale).exp();
                let most = scale * (2.0 / (0.05 * (1.0 + p))).ln();
                (most.ceil() as u64).saturating_sub(1)
            }
            // No more is beyond m + 1 than beyond m of the continuous one (proposition 25 there).
            Mechanism::Gaussian if self.shares == 1 => (1.959_964 * scale).ceil() as u64,
            _ => self.beyond(0.05, 1.959_964),
        }
    }

    /// A number that hardly anything is above, of either sign: less than once in 10¹² times.
    pub fn reach(&self) -> u64 {
        self.beyond(1e-12, 7.14)
    }

    /// A number that is exceeded with this probability at most, `deviations` standard deviations of a Gaussian distribution.
    ///
    /// A discrete Laplace number is a continuous one whose two exponential parts are rounded down: the sum of n is less than n from
    /// that of the continuous ones. Sums of discrete Gaussian numbers are that close to a Gaussian one, too (Kairouz, Liu and Steinke
    /// 2021, theorem 1: for σ ≥ 1 the probabilities are within 1 %).
    fn beyond(&self, probability: f64, deviations: f64) -> u64 {
        let shares = f64::from(self.shares);
        let most = match self.mechanism {
            Mechanism::Laplace => self.scale() * laplace_quantile(self.shares, probability),
            Mechanism::Gaussian => self.scale() * deviations * shares.sqrt(),
        };
        (most.ceil() as u64).saturating_add(u64::from(self.shares))
    }
}

/// Where the sum of `n` Laplace numbers of scale 1 is beyond, of either sign, with this probability.
fn laplace_quantile(n: u32, probability: f64) -> f64 {
    let [mut least, mut most] = [0.0, 1e3];
    for _ in 0..64 {
        let middle = (least + most) / 2.0;
        match laplace_tail(n, middle) > probability {
            true => least = middle,
            false => most = middle,
        }
    }
    most
}

/// The probability that the sum of `n` Laplace numbers of scale 1 is beyond `x`, of either sign: that of the difference of two gamma
/// distributed numbers, from its density e^(−x) Σ (n−1+j)! / (j! (n−1)! (n−1−j)! 2^(n+j)) x^(n−1−j).
fn laplace_tail(n: u32, x: f64) -> f64 {
    let mut tail = 0.0;
    let mut weight = 0.5_f64.powi(n as i32);
    for j in 0..n {
        // Σ x^i / i!, i up to n − 1 − j.
        let mut term = 1.0;
        let mut poisson = 1.0;
        for i in 1..n - j {
            term *= x / f64::from(i);
            poisson += term;
        }
        tail += weight * poisson;
        weight *= f64::from(n + j) / f64::from(2 * (j + 1));
    }
    2.0 * tail * (-x).exp()
}

/// The mean of a sample is far below; what is cut off makes the number no less private.
fn bounded(drawn: &IBig) -> i64 {
    let most = match *drawn < IBig::ZERO {
        true => i64::MIN,
        false => i64::MAX,
    };
    i64::try_from(drawn).unwrap_or(most)
}

pub(crate) fn ratio(numerator: UBig, denominator: u64) -> RBig {
    RBig::from_parts(IBig::from(numerator), UBig::from(denominator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_one_is_that_of_the_textbook_and_of_more_its_variance_adds_up() {
        assert!((laplace_tail(1, 3.0) - (-3.0_f64).exp()).abs() < 1e-12);
        for n in 1..=10 {
            assert!((laplace_tail(n, 0.0) - 1.0).abs() < 1e-12, "{n}");
            // E x² = ∫ 2x P(|x| > x) dx = 2n.
            let step = 1e-3;
            let square = |k| 2.0 * f64::from(k) * step * laplace_tail(n, f64::from(k) * step);
            let variance = (0..100_000).map(square).sum::<f64>() * step;
            assert!(
                (variance - f64::from(2 * n)).abs() < 1e-3,
                "{n}: {variance}"
            );
        }
    }

    #[test]
    fn hardly_anything_is_beyond_the_reach() {
        let noise = Noise::laplace(ratio(UBig::from(1_000_u32), 1)).of_shares(10);
        assert!(
            (30_000..50_000).contains(&noise.reach()),
            "{}",
            noise.reach()
        );
        let noise = Noise::gaussian(ratio(UBig::from(1_000_u32), 1)).of_shares(4);
        assert_eq!(noise.reach(), 14_284);
    }
}
