//! ε and δ as whole numbers of a small unit. What a message says of them is then exactly what the noise was made for.

use std::fmt;

/// Why a number is not an ε or a δ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// Not an ε.
    #[error("expected a number from 0.001 to 100 with at most six decimals")]
    Epsilon,
    /// Not a δ.
    #[error("expected a number from 1e-15 to 0.001, a whole multiple of 1e-15")]
    Delta,
    /// A ρ that does not go with ε and δ.
    #[error("expected a ρ for which ε and δ hold")]
    Rho,
}

/// ε in millionths, from 0.001 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epsilon(u64);

impl Epsilon {
    /// From millionths.
    ///
    /// # Errors
    /// It is below 0.001 or above 100.
    pub fn from_millionths(millionths: u64) -> Result<Self, ParameterError> {
        match (1_000..=100_000_000).contains(&millionths) {
            true => Ok(Self(millionths)),
            false => Err(ParameterError::Epsilon),
        }
    }

    /// In millionths.
    pub fn millionths(self) -> u64 {
        self.0
    }

    /// As a number.
    pub fn value(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl TryFrom<f64> for Epsilon {
    type Error = ParameterError;
    fn try_from(value: f64) -> Result<Self, ParameterError> {
        Self::from_millionths(whole(value * 1e6).ok_or(ParameterError::Epsilon)?)
    }
}

impl fmt::Display for Epsilon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

/// δ in units of 10⁻¹⁵, up to a thousandth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delta(u64);

impl Delta {
    /// From units of 10⁻¹⁵.
    ///
    /// # Errors
    /// It is 0 or above a thousandth.
    pub fn from_quadrillionths(quadrillionths: u64) -> Result<Self, ParameterError> {
        match (1..=1_000_000_000_000).contains(&quadrillionths) {
            true => Ok(Self(quadrillionths)),
            false => Err(ParameterError::Delta),
        }
    }

    /// In units of 10⁻¹⁵.
    pub fn quadrillionths(self) -> u64 {
        self.0
    }

    /// As a number.
    pub fn value(self) -> f64 {
        self.0 as f64 / 1e15
    }

    /// ln 1/δ
    pub(crate) fn log_inverse(self) -> f64 {
        -self.value().ln()
    }
}

impl TryFrom<f64> for Delta {
    type Error = ParameterError;
    fn try_from(value: f64) -> Result<Self, ParameterError> {
        Self::from_quadrillionths(whole(value * 1e15).ok_or(ParameterError::Delta)?)
    }
}

impl fmt::Display for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerExp::fmt(&self.value(), f)
    }
}

/// The whole number that `value` is but for the rounding of floating point.
fn whole(value: f64) -> Option<u64> {
    let nearest = value.round();
    let is_whole = (value - nearest).abs() <= 1e-9 * nearest.max(1.0);
    (is_whole && (0.0..1e15).contains(&nearest)).then_some(nearest as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_whole_number_of_the_unit_is_refused() {
        for good in [0.001, 0.1, 0.3, 1.0, 2.5, 100.0, 0.123_456] {
            assert_eq!(Epsilon::try_from(good).unwrap().value(), good);
        }
        for bad in [
            0.0,
            -1.0,
            0.000_999,
            0.123_456_7,
            100.1,
            f64::NAN,
            f64::INFINITY,
        ] {
            assert_eq!(
                Epsilon::try_from(bad),
                Err(ParameterError::Epsilon),
                "{bad}"
            );
        }
        for good in [1e-15, 1e-9, 1e-6, 2.5e-7, 1e-3] {
            assert_eq!(Delta::try_from(good).unwrap().value(), good);
        }
        for bad in [0.0, 1e-16, 0.01, 1.0, f64::NAN] {
            assert_eq!(Delta::try_from(bad), Err(ParameterError::Delta), "{bad}");
        }
        assert_eq!(Delta::try_from(1e-9).unwrap().to_string(), "1e-9");
    }
}
