//! An adversary who knows every reading but one household's, and which two it may be, tells them apart no better than e^ε allows.
//! With noise of half the scale the same adversary does: the test can fail.
#![allow(clippy::unwrap_used)] // helpers of tests

use privacy::{Bits, Guarantee};
use wire::PrivacyUnit;

/// How sure the bounds on a probability are: beyond 6 standard deviations, once in a billion times.
const SURE: f64 = 6.0;

/// Bounds on the probability of what came `count` times (Wilson).
fn bounds(count: usize, draws: usize) -> (f64, f64) {
    let n = draws as f64;
    let (share, z2) = (count as f64 / n, SURE * SURE);
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let spread = SURE / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    ((centre - spread).max(0.0), centre + spread)
}

/// What the adversary makes of the totals of a day: how much more likely they are with the greatest readings than with the least.
fn evidence(
    draw: &mut impl FnMut() -> i64,
    (shift, sensitivity): (i64, i64),
    intervals: usize,
    gaussian: bool,
) -> i64 {
    let of_interval = |_| {
        let total = shift + draw();
        match gaussian {
            true => total,
            false => total.abs() - (total - sensitivity).abs(),
        }
    };
    (0..intervals).map(of_interval).sum()
}

struct Audit {
    guarantee: Guarantee,
    sensitivity: u64,
    intervals: usize,
    draws: usize,
    /// Holders draw: the adversary knows every share but one.
    is_shared: bool,
}

impl Audit {
    /// The totals of a day with the least readings and with the greatest, where the noise is made for a sensitivity of `made_for`.
    fn evidence(&self, made_for: u64) -> [Vec<i64>; 2] {
        let noise = self.guarantee.noise(made_for, self.intervals as u32);
        let sensitivity = self.sensitivity as i64;
        [0, sensitivity].map(|shift| {
            let gaussian = self.guarantee.delta.is_some();
            let mut bits = Bits::from_key(&[shift as u8; 32]);
            let mut one = || match self.is_shared {
                true => noise.draw_share(&mut bits),
                false => noise.draw().unwrap(),
            };
            let change = (shift, sensitivity);
            let draw = |_| evidence(&mut one, change, self.intervals, gaussian);
            let mut all: Vec<_> = (0..self.draws).map(draw).collect();
            all.sort_unstable();
            all
        })
    }

    /// The most that P(S) exceeds e^ε P'(S) by, over all sets S of totals above or below a threshold, for certain.
    fn excess(&self, made_for: u64) -> f64 {
        let [least, greatest] = self.evidence(made_for);
        let draws = self.draws;
        let thresholds = least.iter().chain(&greatest).step_by(draws / 200);
        let excess = thresholds.flat_map(|threshold| {
            let below = |all: &[i64]| all.partition_point(|x| x < threshold);
            let (a, b) = (below(&least), below(&greatest));
            let over = |p: usize, other: usize| {
                bounds(p, draws).0 - self.guarantee.epsilon.value().exp() * bounds(other, draws).1
            };
            [over(a, b), over(draws - b, draws - a)]
        });
        excess.fold(f64::NEG_INFINITY, f64::max)
    }

    fn holds_and_would_not_with_half_the_noise(&self) {
        let delta = self.guarantee.delta.map_or(0.0, |delta| delta.value());
        let found = self.excess(self.sensitivity);
        assert!(found <= delta, "{}: {found}", self.guarantee);
        let found = self.excess(self.sensitivity / 2);
        assert!(
            found > delta,
            "{} with half the noise: {found}",
            self.guarantee
        );
    }
}

fn audit(unit: PrivacyUnit, epsilon: f64, delta: Option<f64>, intervals: usize) -> Audit {
    let epsilon = epsilon.try_into().unwrap();
    let delta = delta.map(|delta| delta.try_into().unwrap());
    Audit {
        guarantee: Guarantee {
            unit,
            epsilon,
            delta,
        },
        sensitivity: 20,
        intervals,
        // Of what δ excuses, a thousandth is to be found.
        draws: if delta.is_some() { 200_000 } else { 60_000 },
        is_shared: false,
    }
}

#[test]
fn a_reading_is_no_better_told_than_epsilon_allows() {
    audit(PrivacyUnit::Interval, 1.0, None, 1).holds_and_would_not_with_half_the_noise();
}

#[test]
fn a_day_of_a_household_is_no_better_told_than_epsilon_allows() {
    audit(PrivacyUnit::HouseholdDay, 1.0, None, 4).holds_and_would_not_with_half_the_noise();
}

#[test]
fn nor_is_it_with_gaussian_noise() {
    audit(PrivacyUnit::HouseholdDay, 1.0, Some(1e-3), 2).holds_and_would_not_with_half_the_noise();
}

/// The operator and all holders but one have taken their shares off: what is left hides as much as is promised.
#[test]
fn nor_is_it_by_whoever_knows_every_share_but_one() {
    for delta in [None, Some(1e-3)] {
        let audit = Audit {
            is_shared: true,
            ..audit(PrivacyUnit::HouseholdDay, 1.0, delta, 2)
        };
        audit.holds_and_would_not_with_half_the_noise();
    }
}
