//! The mean day of a kind of customer: its base, and when its appliances run.

use jiff::civil::Date;

use super::{
    appliance::{Kind, QUARTER_S, Run},
    bdew::QUARTERS,
};

/// Share of the profile's minimum that is nobody's activity.
const QUIET: f64 = 0.9;

/// A day of one kind of customer, for each kWh of annual consumption.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    /// Base demand in watts, by quarter hour.
    pub(super) base_w: [f64; QUARTERS],
    /// Energy of the day against that of the mean day of the year.
    pub(super) size: f64,
    /// Distribution of the runs' middles: probability of one before the quarter hour.
    cumulative: [f64; QUARTERS + 1],
    /// Start of the search in `cumulative` for the probabilities of each 64th.
    guide: [u8; 64],
}

impl Curve {
    /// The day of the mean customer of a kind.
    pub(super) fn of(kind: &Kind, date: Date) -> Self {
        Self::new(kind, &kind.profile.day(date))
    }

    /// The curve of a day whose mean demand is `profile`, in watt-hours for each quarter hour.
    fn new(kind: &Kind, profile: &[f64; QUARTERS]) -> Self {
        let total: f64 = profile.iter().sum();
        let quiet = QUIET * profile.iter().copied().fold(f64::INFINITY, f64::min);
        let active = total - quiet * QUARTERS as f64;

        let mut cumulative = [0.0; QUARTERS + 1];
        let mut below = 0.0;
        for (wh, above) in profile.iter().zip(&mut cumulative[1..]) {
            below += (wh - quiet) / active;
            *above = below;
        }
        cumulative[QUARTERS] = 1.0;

        let mut guide = [0; 64];
        let mut q = 0u8;
        for (slot, start) in guide.iter_mut().enumerate() {
            while cumulative[usize::from(q) + 1] <= slot as f64 / 64.0 {
                q += 1;
            }
            *start = q;
        }

        let mut curve = Self {
            base_w: [0.0; QUARTERS],
            size: total * 365.0 / 1_000.0,
            cumulative,
            guide,
        };
        let runs = curve.mean_runs(kind);
        for ((base, wh), run_wh) in curve.base_w.iter_mut().zip(profile).zip(runs) {
            *base = (4.0 * (wh - run_wh) - kind.fridge_w()).max(0.0);
        }
        curve
    }

    /// Mean energy of all runs in each quarter hour, in watt-hours for each kWh of annual consumption: the
    /// usual run of each appliance, at every 192nd of the day's activity.
    fn mean_runs(&self, kind: &Kind) -> [f64; QUARTERS] {
        const MOMENTS: usize = 2 * QUARTERS;
        let quarter_s = f64::from(QUARTER_S);
        let mut runs = [0.0; QUARTERS];
        for appliance in kind.appliances {
            let weight = appliance.chance / (MOMENTS as f64 * kind.reference_kwh);
            for moment in 0..MOMENTS {
                let middle_s = self.moment((moment as f64 + 0.5) / MOMENTS as f64);
                let run = Run::new(appliance, middle_s, 1.0, self.size);
                let first = (run.start_s / quarter_s) as usize;
                let count = (run.length_s / quarter_s) as usize + 2;
                for q in first..first + count {
                    let q = q % QUARTERS;
                    let from_s = q as f64 * quarter_s;
                    runs[q] += weight * run.energy_wh(from_s, from_s + quarter_s);
                }
            }
        }
        runs
    }

    /// The second of the day before which a share `p` in [0, 1) of the activity falls.
    pub(super) fn moment(&self, p: f64) -> f64 {
        let mut q = usize::from(self.guide[(p * 64.0) as usize & 63]);
        while self.cumulative[q + 1] <= p {
            q += 1;
        }
        let below = self.cumulative[q];
        let above = self.cumulative[q + 1];
        (q as f64 + (p - below) / (above - below)) * f64::from(QUARTER_S)
    }
}

#[cfg(test)]
mod tests {
    use jiff::{ToSpan, civil::date};

    use super::super::appliance::{
        BUSINESS, DAY_S, GREATEST_BASE_W, HOUSEHOLD, SOLAR_HOME, tests::run_share,
    };
    use super::*;

    fn each_day(mut check: impl FnMut(&Kind, &[f64; QUARTERS], &Curve)) {
        for kind in [&HOUSEHOLD, &BUSINESS, &SOLAR_HOME] {
            let mut day = date(2025, 1, 1);
            while day.year() == 2025 {
                let profile = kind.profile.day(day);
                check(kind, &profile, &Curve::of(kind, day));
                day += 1.day();
            }
        }
    }

    #[test]
    fn the_parts_of_every_day_add_up_to_the_profile() {
        each_day(|kind, profile, curve| {
            let total: f64 = profile.iter().sum();
            let base: f64 = curve.base_w.iter().map(|w| w / 4.0).sum();
            let sum = base + kind.fridge_w() * 24.0 + run_share(kind) * total;
            assert!(
                (sum / total - 1.0).abs() < 1e-9,
                "{:?}: {sum} {total}",
                kind.profile
            );
        });
    }

    #[test]
    fn the_base_is_positive_and_bounded() {
        each_day(|kind, _, curve| {
            for base in curve.base_w {
                assert!(
                    base > 0.0 && base <= GREATEST_BASE_W,
                    "{:?} {base}",
                    kind.profile
                );
            }
        });
    }

    #[test]
    fn moments_invert_the_distribution() {
        each_day(|_, _, curve| {
            for i in 0..1_000 {
                let p = f64::from(i) / 1_000.0;
                let s = curve.moment(p);
                assert!((0.0..DAY_S).contains(&s));
                let q = (s / 900.0) as usize;
                let back = curve.cumulative[q]
                    + (s / 900.0 - q as f64) * (curve.cumulative[q + 1] - curve.cumulative[q]);
                assert!((back - p).abs() < 1e-9);
            }
            assert!(curve.moment(1.0 - f64::EPSILON) < DAY_S);
        });
    }
}
