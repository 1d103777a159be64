//! How losses add up.

use std::ops::Add;

use crate::parameters::Delta;

/// ε is counted in billionths.
const EPSILON_UNIT: f64 = 1e9;

/// ρ is counted in 10⁻¹².
pub(crate) const RHO_UNIT: f64 = 1e12;

/// What noisy sums gave away together: ε of Laplace noise adds up, of Gaussian noise ρ does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// In billionths.
    pub epsilon: u64,
    /// In 10⁻¹².
    pub rho: u64,
}

impl Spent {
    pub(crate) const fn of_epsilon(epsilon: u64) -> Self {
        Self { epsilon, rho: 0 }
    }

    pub(crate) const fn of_rho(rho: u64) -> Self {
        Self { epsilon: 0, rho }
    }

    /// The greater of both, each of ε and ρ for itself: what two sums give away of somebody who is in one of them only.
    #[must_use]
    pub fn or_more(self, other: Self) -> Self {
        Self {
            epsilon: self.epsilon.max(other.epsilon),
            rho: self.rho.max(other.rho),
        }
    }

    /// As one ε, but for a chance `delta`. Without one, Gaussian noise has no ε.
    pub fn epsilon(&self, delta: Option<Delta>) -> f64 {
        let pure = self.epsilon as f64 / EPSILON_UNIT;
        if self.rho == 0 {
            return pure;
        }
        let rho = self.rho as f64 / RHO_UNIT;
        delta.map_or(f64::INFINITY, |delta| {
            pure + rho + 2.0 * (rho * delta.log_inverse()).sqrt()
        })
    }
}

impl Add for Spent {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            epsilon: self.epsilon.saturating_add(other.epsilon),
            rho: self.rho.saturating_add(other.rho),
        }
    }
}

/// `intervals` of `sharing`, rounded up.
pub(crate) fn share(whole: u64, intervals: u32, sharing: u32) -> u64 {
    let part = u128::from(whole) * u128::from(intervals);
    u64::try_from(part.div_ceil(u128::from(sharing))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_never_comes_back_down() {
        let most = Spent {
            epsilon: u64::MAX,
            rho: u64::MAX,
        };
        assert_eq!(most + Spent::of_epsilon(1), most);
        assert_eq!(share(u64::MAX, u32::MAX, 1), u64::MAX);
        assert_eq!(share(10, 1, 3), 4);
        assert_eq!(Spent::of_rho(1).epsilon(None), f64::INFINITY);
    }
}
