//! What runs behind a simulated meter: appliances. `curve` is the day they add up to.
//!
//! A customer's demand is split in three, so that the mean of many customers is the load profile by
//! construction and a single one is nothing like it:
//! * *runs*: appliances switched on for minutes to hours. Each [`Appliance`] has a chance to run on a day, at
//!   a moment drawn from the day's *activity*, which is the profile above 90 % of its minimum;
//! * a *refrigerator*, cycling day and night at a mean that does not depend on the time;
//! * a *base*: what is left of the profile when the mean of the other two is taken away. It is constant over a
//!   quarter hour.

use super::bdew::Profile;

/// Seconds in a quarter hour.
pub(super) const QUARTER_S: u32 = 900;
/// Seconds in a day of 24 hours.
pub(super) const DAY_S: f64 = 86_400.0;

/// Share of the annual consumption that goes to refrigeration.
const FRIDGE: f64 = 0.07;
/// Share of its period a refrigerator's compressor runs.
pub(super) const FRIDGE_DUTY: f64 = 0.35;
/// No run lasts longer, in seconds.
const LONGEST_S: f64 = 43_200.0;

/// Something that is switched on, at most once a day for each entry of the list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Appliance {
    /// Demand while it heats or turns, in watts, at a customer of the reference consumption.
    pub(super) watts: f64,
    /// Usual length of a run in minutes.
    pub(super) minutes: f64,
    /// Share of the run at full demand, from its start.
    pub(super) full: f64,
    /// Demand for the rest of the run, as a share of the full one.
    pub(super) tail: f64,
    /// Probability that it runs on a day.
    pub(super) chance: f64,
}

const fn steady(watts: f64, minutes: f64, chance: f64) -> Appliance {
    heated(watts, minutes, 1.0, 0.0, chance)
}

const fn heated(watts: f64, minutes: f64, full: f64, tail: f64, chance: f64) -> Appliance {
    Appliance {
        watts,
        minutes,
        full,
        tail,
        chance,
    }
}

impl Appliance {
    /// Mean demand over a run as a share of the full one.
    fn mean_share(&self) -> f64 {
        self.full + (1.0 - self.full) * self.tail
    }

    /// The mean moment of a run's energy, as a share of its length.
    fn middle(&self) -> f64 {
        let full = self.full * self.full / 2.0;
        let tail = self.tail * (1.0 - self.full * self.full) / 2.0;
        (full + tail) / self.mean_share()
    }
}

/// No base is above this, in watts for each kWh of annual consumption (the mean demand is 0.114).
pub(super) const GREATEST_BASE_W: f64 = 0.25;

/// A kind of customer.
#[derive(Debug)]
pub(super) struct Kind {
    /// The load profile its mean follows.
    pub(super) profile: Profile,
    /// Median of the annual consumption, in kWh.
    pub(super) median_kwh: f64,
    /// Annual consumption to which the appliances belong, in kWh.
    pub(super) reference_kwh: f64,
    /// Everything that can run on a day.
    pub(super) appliances: &'static [Appliance],
}

/// A household: 43 % of its energy goes through the appliances below.
pub(super) static HOUSEHOLD: Kind = Kind {
    profile: Profile::Household,
    median_kwh: 2_900.0,
    reference_kwh: 3_200.0,
    appliances: HOME,
};

/// A household with solar panels: consumption is what it draws from the grid.
pub(super) static SOLAR_HOME: Kind = Kind {
    profile: Profile::Solar,
    median_kwh: 2_600.0,
    reference_kwh: 3_200.0,
    appliances: HOME,
};

/// A small business.
pub(super) static BUSINESS: Kind = Kind {
    profile: Profile::Business,
    median_kwh: 12_000.0,
    reference_kwh: 15_000.0,
    appliances: SHOP,
};

const HOME: &[Appliance] = &[
    // Kettle, morning, noon and evening.
    steady(2_000.0, 3.0, 0.9),
    steady(2_000.0, 3.0, 0.9),
    steady(2_000.0, 3.0, 0.9),
    // Toaster or microwave.
    steady(1_000.0, 6.0, 0.8),
    steady(1_000.0, 6.0, 0.8),
    // Hob.
    steady(1_800.0, 25.0, 0.7),
    // Oven: heats up, then holds its temperature.
    heated(2_200.0, 40.0, 0.35, 0.4, 0.35),
    // Dishwasher and washing machine: heat the water, then turn.
    heated(2_000.0, 90.0, 0.25, 0.08, 0.55),
    heated(2_000.0, 100.0, 0.2, 0.1, 0.5),
    // Dryer.
    steady(2_300.0, 60.0, 0.2),
    // Television or computer.
    steady(150.0, 240.0, 0.9),
    // Lights.
    steady(100.0, 180.0, 0.9),
    steady(100.0, 180.0, 0.9),
];

const SHOP: &[Appliance] = &[
    // Machines.
    steady(5_000.0, 30.0, 0.9),
    steady(5_000.0, 30.0, 0.9),
    steady(4_000.0, 45.0, 0.8),
    // Ventilation and air conditioning.
    steady(2_500.0, 120.0, 0.8),
    steady(1_500.0, 180.0, 0.8),
    // Kitchen or hot water.
    heated(4_000.0, 60.0, 0.4, 0.3, 0.5),
    // Lights and computers.
    steady(500.0, 240.0, 0.9),
    steady(500.0, 240.0, 0.9),
];

impl Kind {
    /// Mean demand of the refrigerator in watts, for each kWh of annual consumption.
    pub(super) fn fridge_w(&self) -> f64 {
        FRIDGE * 1_000.0 / 8_760.0
    }

    /// The greatest demand a customer of `annual_kwh` can have, in watts: everything runs at once.
    /// `base_factor` is the greatest factor on the base.
    pub(super) fn greatest_w(&self, annual_kwh: f64, base_factor: f64) -> f64 {
        let runs: f64 = self.appliances.iter().map(|a| a.watts).sum();
        let size = (annual_kwh / self.reference_kwh).sqrt();
        runs * size
            + self.fridge_w() * annual_kwh / FRIDGE_DUTY
            + GREATEST_BASE_W * annual_kwh * base_factor
    }
}

/// One run of an appliance: when it starts, how long it lasts, what it takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Second of the day it starts at.
    pub(super) start_s: f64,
    full_s: f64,
    pub(super) length_s: f64,
    watts: f64,
    tail_w: f64,
}

impl Run {
    /// A run around second `middle_s` of the day, so that the middle of its energy is there. `size` scales its usual energy, half of it
    /// (as a factor) in the demand, `demand`, and the rest in the length.
    pub(super) fn new(appliance: &Appliance, middle_s: f64, demand: f64, size: f64) -> Self {
        let length_s = (appliance.minutes * 60.0 * size / demand).min(LONGEST_S);
        let start_s = middle_s - appliance.middle() * length_s;
        let watts = appliance.watts * demand;
        Self {
            start_s: if start_s < 0.0 {
                start_s + DAY_S
            } else {
                start_s
            },
            full_s: appliance.full * length_s,
            length_s,
            watts,
            tail_w: appliance.tail * watts,
        }
    }

    /// Watt-hours between two seconds of the day. A run that would last past midnight has its rest at
    /// the start of the same day, so that a day's energy stays in the day.
    pub(super) fn energy_wh(&self, from_s: f64, to_s: f64) -> f64 {
        let mut offset = from_s - self.start_s;
        if offset < 0.0 {
            offset += DAY_S;
        }
        let end = offset + (to_s - from_s);
        let mut joules = 0.0;
        if offset < self.length_s {
            joules += self.joules(end) - self.joules(offset);
        }
        if end > DAY_S {
            joules += self.joules(end - DAY_S);
        }
        joules / 3_600.0
    }

    /// Energy of the first `s` seconds of the run.
    fn joules(&self, s: f64) -> f64 {
        let full = s.min(self.full_s);
        let tail = (s.min(self.length_s) - self.full_s).max(0.0);
        full * self.watts + tail * self.tail_w
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Share of the annual consumption that goes through the appliances.
    pub(in crate::simulated) fn run_share(kind: &Kind) -> f64 {
        let usual_wh = |a: &Appliance| a.watts * a.mean_share() * a.minutes / 60.0;
        let daily_wh: f64 = kind.appliances.iter().map(|a| usual_wh(a) * a.chance).sum();
        daily_wh * 365.0 / (kind.reference_kwh * 1_000.0)
    }

    #[test]
    fn a_run_keeps_its_energy_across_midnight() {
        let oven = heated(2_000.0, 60.0, 0.5, 0.4, 1.0);
        for middle in [0.0, 600.0, 43_200.0, 86_000.0, 86_399.0] {
            let run = Run::new(&oven, middle, 1.0, 1.0);
            assert!((run.energy_wh(0.0, DAY_S) - 1_400.0).abs() < 1e-6);
            let quarters: f64 = (0..96)
                .map(|q| run.energy_wh(f64::from(q) * 900.0, f64::from(q + 1) * 900.0))
                .sum();
            assert!((quarters - 1_400.0).abs() < 1e-6, "{middle}: {quarters}");
        }
    }

    #[test]
    fn households_put_less_than_half_into_runs() {
        assert!((0.40..0.46).contains(&run_share(&HOUSEHOLD)));
        assert!(
            (0.40..0.50).contains(&run_share(&BUSINESS)),
            "{}",
            run_share(&BUSINESS)
        );
    }
}
