//! Noise in whole quanta, distributed exactly: opendp draws it from random bits by comparisons of whole numbers (Canonne, Kamath and
//! Steinke 2020), so that nothing depends on how floating point rounds.

use dashu::integer::{IBig, UBig};
use dashu::rational::RBig;
use opendp::traits::samplers::{sample_discrete_gaussian, sample_discrete_laplace};

use crate::mechanism::Mechanism;

/// Noise could not be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot draw noise: {problem}")]
pub struct NoiseError {
    problem: String,
}

/// A distribution of whole numbers around 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noise {
    mechanism: Mechanism,
    scale: RBig,
}

impl Noise {
    pub(crate) fn laplace(scale: RBig) -> Self {
        let mechanism = Mechanism::Laplace;
        Self { mechanism, scale }
    }

    pub(crate) fn gaussian(scale: RBig) -> Self {
        let mechanism = Mechanism::Gaussian;
        Self { mechanism, scale }
    }

    /// Draws a number.
    ///
    /// # Errors
    /// The machine gives no random bits.
    pub fn draw(&self) -> Result<i64, NoiseError> {
        let drawn = match self.mechanism {
            Mechanism::Laplace => sample_discrete_laplace(self.scale.clone()),
            Mechanism::Gaussian => sample_discrete_gaussian(self.scale.clone()),
        };
        let drawn = drawn.map_err(|error| NoiseError {
            problem: error.to_string(),
        })?;
        // The mean of a sample is far below; what is cut off makes the number no less private.
        let bound = |drawn: &IBig| {
            if *drawn < IBig::ZERO {
                i64::MIN
            } else {
                i64::MAX
            }
        };
        Ok(i64::try_from(&drawn).unwrap_or_else(|_| bound(&drawn)))
    }

    /// Its scale: of a Laplace distribution the mean deviation, of a Gaussian one the standard deviation, nearly.
    pub fn scale(&self) -> f64 {
        self.scale.to_f64().value()
    }

    /// The least number that 95 % of what is drawn is not above, of either sign.
    pub fn half_width(&self) -> u64 {
        let scale = self.scale();
        match self.mechanism {
            // |x| > m has the probability 2 p^(m+1) / (1 + p), with p = e^(−1/scale).
            Mechanism::Laplace => {
                let p = (-1.0 / scale).exp();
                let most = scale * (2.0 / (0.05 * (1.0 + p))).ln();
                (most.ceil() as u64).saturating_sub(1)
            }
            // No more is beyond m + 1 than beyond m of the continuous one (proposition 25 there).
            Mechanism::Gaussian => (1.959_964 * scale).ceil() as u64,
        }
    }
}

pub(crate) fn ratio(numerator: u128, denominator: u64) -> RBig {
    RBig::from_parts(IBig::from(numerator), UBig::from(denominator))
}
