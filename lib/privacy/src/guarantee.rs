//! What a recipient's totals promise, and the noise and the loss that follow from it.

use std::fmt;

use dashu::base::SquareRoot;
use dashu::integer::UBig;
use dashu::rational::RBig;
use wire::PrivacyUnit;

use crate::mechanism::Mechanism;
use crate::noise::{Noise, ratio};
use crate::parameters::{Delta, Epsilon};
use crate::spent::{RHO_UNIT, Spent, share};

/// Whatever a recipient sees of a [`PrivacyUnit`] is at most e^ε times as likely as it would be with any other readings of the
/// household there, but for a chance δ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guarantee {
    /// What ε is about.
    pub unit: PrivacyUnit,
    /// The most that is given away.
    pub epsilon: Epsilon,
    /// With one, noise is Gaussian.
    pub delta: Option<Delta>,
}

impl Guarantee {
    /// How its noise is distributed.
    pub fn mechanism(&self) -> Mechanism {
        match self.delta {
            None => Mechanism::Laplace,
            Some(_) => Mechanism::Gaussian,
        }
    }

    /// The noise of an interval. `sensitivity` is in quanta, `day` the most intervals of a day.
    pub fn noise(&self, sensitivity: u64, day: u32) -> Noise {
        self.noise_of(self.rho(), sensitivity, day)
    }

    /// The same, for a ρ that was agreed on: no floating point decides on it.
    pub(crate) fn noise_of(&self, rho: Option<u64>, sensitivity: u64, day: u32) -> Noise {
        let sharing = self.sharing(day);
        match rho {
            None => {
                let scale =
                    UBig::from(sensitivity) * UBig::from(sharing) * UBig::from(1_000_000_u32);
                Noise::laplace(ratio(scale, self.epsilon.millionths()))
            }
            Some(rho) => Noise::gaussian(deviation(sensitivity, sharing, rho)),
        }
    }

    /// What `intervals` noisy intervals of one sum give away of a household that is in it.
    pub fn cost(&self, intervals: u32, day: u32) -> Spent {
        self.cost_of(self.rho(), intervals, day)
    }

    pub(crate) fn cost_of(&self, rho: Option<u64>, intervals: u32, day: u32) -> Spent {
        let sharing = self.sharing(day);
        match rho {
            None => Spent::of_epsilon(share(self.epsilon.millionths() * 1_000, intervals, sharing)),
            Some(rho) => Spent::of_rho(share(rho, intervals, sharing)),
        }
    }

    /// The intervals that share ε.
    fn sharing(&self, day: u32) -> u32 {
        match self.unit {
            PrivacyUnit::Interval => 1,
            PrivacyUnit::HouseholdDay => day.max(1),
        }
    }

    /// The ρ of zero-concentrated differential privacy, in 10⁻¹², from which (ε, δ) follows, rounded down: ρ + 2√(ρ ln 1/δ) = ε (Bun and
    /// Steinke 2016, proposition 1.3). None without a δ.
    pub fn rho(&self) -> Option<u64> {
        let log = self.delta?.log_inverse();
        let epsilon = self.epsilon.value();
        // √(log + ε) − √log without the difference of two numbers that are nearly the same.
        let root = epsilon / ((log + epsilon).sqrt() + log.sqrt());
        // Floating point errs by less than the last part.
        Some(((root * root * (1.0 - 1e-12) * RHO_UNIT) as u64).max(1))
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, epsilon) = (self.unit.as_str(), self.epsilon);
        match self.delta {
            None => write!(f, "ε {epsilon} a {unit}"),
            Some(delta) => write!(f, "ε {epsilon}, δ {delta} a {unit}"),
        }
    }
}

/// At least the standard deviation that a change of Δ takes, in 1,024ths: it is Δ²/(2σ²) of zCDP, and a day's intervals add up.
fn deviation(sensitivity: u64, sharing: u32, rho: u64) -> RBig {
    let change = UBig::from(sensitivity) * UBig::from(1_024_u32);
    let square = &change * &change * UBig::from(sharing) * UBig::from(RHO_UNIT as u64);
    let root = (square / (UBig::from(rho) * UBig::from(2_u8))).sqrt();
    ratio(root + UBig::ONE, 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarantee(unit: PrivacyUnit, epsilon: f64, delta: Option<f64>) -> Guarantee {
        Guarantee {
            unit,
            epsilon: epsilon.try_into().unwrap(),
            delta: delta.map(|delta| delta.try_into().unwrap()),
        }
    }

    #[test]
    fn a_day_shares_its_epsilon_and_an_interval_does_not() {
        let interval = guarantee(PrivacyUnit::Interval, 0.5, None);
        let day = guarantee(PrivacyUnit::HouseholdDay, 0.5, None);
        assert_eq!(interval.noise(100, 96).scale(), 200.0);
        assert_eq!(day.noise(100, 96).scale(), 19_200.0);
        // Of Gaussian noise a day takes √96 times as much, not 96 times.
        let scale = |unit| guarantee(unit, 0.5, Some(1e-9)).noise(100, 96).scale();
        let ratio = scale(PrivacyUnit::HouseholdDay) / scale(PrivacyUnit::Interval);
        assert!((ratio - 96_f64.sqrt()).abs() < 1e-3, "{ratio}");
    }

    #[test]
    fn a_day_of_intervals_costs_what_it_promises() {
        for (epsilon, delta) in [
            (0.1, None),
            (3.0, None),
            (0.1, Some(1e-9)),
            (10.0, Some(1e-6)),
        ] {
            let day = guarantee(PrivacyUnit::HouseholdDay, epsilon, delta);
            let spent = day.cost(24, 24).epsilon(day.delta);
            assert!(
                (spent - epsilon).abs() < 1e-4 * epsilon,
                "{spent} of {epsilon}"
            );
            let twice = (day.cost(12, 24) + day.cost(12, 24)).epsilon(day.delta);
            assert!(
                (twice - epsilon).abs() < 1e-4 * epsilon,
                "{twice} of {epsilon}"
            );
        }
        let interval = guarantee(PrivacyUnit::Interval, 0.25, None);
        assert_eq!(interval.cost(4, 24).epsilon(None), 1.0);
    }

    #[test]
    fn the_scale_of_gaussian_noise_is_the_one_of_the_textbook() {
        // ρ = (√(ln 10⁶ + 1) − √(ln 10⁶))² = 0.017469; σ = Δ / √(2ρ).
        let noise = guarantee(PrivacyUnit::Interval, 1.0, Some(1e-6)).noise(1_000, 24);
        assert!((noise.scale() - 5_350.0).abs() < 0.5, "{}", noise.scale());
    }
}
