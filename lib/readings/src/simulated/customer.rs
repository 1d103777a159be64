//! A simulated customer: what it is, and what its register counts in a quarter hour.

use jiff::{Timestamp, tz::TimeZone};
use wire::Watts;

use super::{
    appliance::{BUSINESS, FRIDGE_DUTY, HOUSEHOLD, Kind, QUARTER_S, Run, SOLAR_HOME},
    bdew::{Profile, QUARTERS},
    curve::Curve,
    mix,
    strata::Place,
};
use crate::MicroWattHours;

/// Base demand varies by these factors around one: half for the whole day, half by the hour.
const DAILY: (f64, f64) = (0.7, 0.6);
const HOURLY: (f64, f64) = (0.6, 0.8);
/// Energy of a run varies by this factor around one.
const RUNS: (f64, f64) = (0.6, 0.8);
/// Share of the fleet's sunshine that reaches a roof.
const SHADE: (f64, f64) = (0.85, 0.15);
/// What a home with panels consumes, against what it draws from the grid.
const SOLAR_CONSUMPTION: f64 = 1.5;

/// Usual service connections in watts: one and three phases of 230 V, by their main fuse.
const SERVICES_W: [u64; 9] = [
    8_050, 14_490, 24_150, 34_500, 43_470, 55_200, 69_000, 86_250, 110_400,
];

/// What does not change about a customer.
#[derive(Debug)]
pub(super) struct Customer {
    /// The load profile it follows.
    pub(super) profile: Profile,
    index: u64,
    place: Place,
    /// Annual consumption in kWh; for a home with panels, what it draws from the grid.
    pub(super) annual_kwh: f64,
    /// Square root of the annual consumption against the kind's reference.
    size: f64,
    /// Demand of the refrigerator while it runs, in watts.
    fridge_w: f64,
    /// Period of the refrigerator in seconds, how long it runs of it, and its phase.
    fridge: (u64, u64, u64),
    /// Rating of the panels in watts.
    panels_w: f64,
}

/// What all customers share on a local day.
#[derive(Debug)]
pub(super) struct Day {
    /// Days since the Unix epoch.
    pub(super) number: i64,
    key: u64,
    /// By [`Profile`].
    curves: [Curve; 3],
    /// H25 in watts for each kWh a year: what the house takes of its panels' output.
    house_w: [f64; QUARTERS],
}

/// What a customer does on a local day.
#[derive(Debug, Default)]
pub(super) struct Routine {
    key: u64,
    /// Factor on the curve's base.
    base: f64,
    runs: Vec<Run>,
}

/// A quarter hour of UTC, in local terms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// Its start in seconds since the Unix epoch.
    pub(super) start: u64,
    /// The local day it is in: [`Day::number`].
    pub(super) day: i64,
    /// Quarter hour of the local day.
    pub(super) quarter: usize,
    /// Output of panels, in watts for each watt of rating.
    pub(super) sun: f64,
}

fn kind(profile: Profile) -> &'static Kind {
    match profile {
        Profile::Household => &HOUSEHOLD,
        Profile::Business => &BUSINESS,
        Profile::Solar => &SOLAR_HOME,
    }
}

/// `low` to `low + width`, evenly.
fn between((low, width): (f64, f64), unit: f64) -> f64 {
    low + width * unit
}

impl Customer {
    /// Draws customer `index`. `limits` are the upper ends of the shares of [0, 1) that are households
    /// and businesses.
    pub(super) fn draw(seed: u64, index: u64, limits: (f64, f64)) -> Self {
        let key = mix::hash(seed, index);
        // The golden ratio spreads the kinds evenly over neighbouring meters.
        let spread = index
            .wrapping_mul(mix::GOLDEN)
            .wrapping_add(mix::hash(seed, u64::MAX));
        let share = mix::unit(spread);
        let profile = if share < limits.0 {
            Profile::Household
        } else if share < limits.1 {
            Profile::Business
        } else {
            Profile::Solar
        };
        let kind = kind(profile);

        // Log-logistic with shape 4: a quarter of the median to 3.8 times it, mean 1.1 times it.
        let place = Place::new(seed, index);
        let u = 0.005 + 0.99 * place.size(mix::unit(key));
        let annual_kwh = kind.median_kwh * (u / (1.0 - u)).sqrt().sqrt();

        let habit = mix::hash(key, 1);
        let period = 2_100 + (mix::unit_low(habit) * 1_800.0) as u64;
        let on = (period as f64 * FRIDGE_DUTY) as u64;
        let phase = (mix::unit_high(habit) * period as f64) as u64;
        let panels_w = match profile {
            Profile::Solar => {
                annual_kwh * SOLAR_CONSUMPTION * between((1.0, 1.0), mix::unit(mix::hash(key, 2)))
            }
            _ => 0.0,
        };
        Self {
            profile,
            index,
            place,
            annual_kwh,
            size: (annual_kwh / kind.reference_kwh).sqrt(),
            fridge_w: kind.fridge_w() * annual_kwh * period as f64 / on as f64,
            fridge: (period, on, phase),
            panels_w,
        }
    }

    /// Declared capacity: the smallest usual service that covers everything at once.
    pub(super) fn capacity(&self) -> Watts {
        let base_factor = (DAILY.0 + DAILY.1) * (HOURLY.0 + HOURLY.1);
        let draw = kind(self.profile).greatest_w(self.annual_kwh, base_factor);
        let need = draw.max(self.panels_w).ceil() as u64;
        let service = SERVICES_W.into_iter().find(|&w| w >= need);
        Watts(service.unwrap_or_else(|| need.next_multiple_of(10_000)))
    }

    /// Replaces `routine` by what the customer does on a day.
    pub(super) fn plan(&self, day: &Day, routine: &mut Routine) {
        let curve = &day.curves[self.profile as usize];
        let key = mix::mix(day.key ^ mix::mix(self.index.wrapping_mul(mix::GOLDEN)));
        routine.key = key;
        routine.base = self.annual_kwh * between(DAILY, mix::unit(mix::hash(key, 1 << 32)));
        routine.runs.clear();
        for (slot, appliance) in kind(self.profile).appliances.iter().enumerate() {
            let draw = mix::mix(key.wrapping_add((slot as u64 + 1).wrapping_mul(mix::GOLDEN)));
            let run_key = day.key ^ ((slot as u64 + 1) << 48);
            let u = self.place.draw(run_key, mix::unit_low(draw));
            if u < appliance.chance {
                let middle = curve.moment(u / appliance.chance);
                let energy =
                    self.size * self.size * curve.size * between(RUNS, mix::unit_high(draw));
                let run = Run::new(appliance, middle, self.size, energy);
                routine.runs.push(run);
            }
        }
    }

    /// Energy between two seconds of a cell, in millionths of a watt-hour: a difference of the register. `routine` is that
    /// of `day`.
    pub(super) fn energy(
        &self,
        day: &Day,
        routine: &Routine,
        cell: &Cell,
        from_s: f64,
        to_s: f64,
    ) -> i64 {
        let steady_w = self.steady_w(day, routine, cell);
        let register = |s: f64| {
            if s == 0.0 {
                return 0;
            }
            let mut wh = steady_w * s / 3_600.0;
            wh += self.fridge_w * self.fridge_s(cell.start, s) / 3_600.0;
            let from = (cell.quarter * QUARTER_S as usize) as f64;
            for run in &routine.runs {
                wh += run.energy_wh(from, from + s);
            }
            (wh * MicroWattHours::PER_WH as f64).round() as i64
        };
        register(to_s) - register(from_s)
    }

    /// What does not change within a cell, in watts: the base, less the export.
    fn steady_w(&self, day: &Day, routine: &Routine, cell: &Cell) -> f64 {
        let key = routine.key;
        let hour = (cell.quarter / 4) as u64;
        let hourly = between(HOURLY, mix::unit(mix::hash(key, 1 << 33 | hour)));
        let curve = &day.curves[self.profile as usize];
        let base = curve.base_w[cell.quarter] * routine.base * hourly;
        if self.panels_w == 0.0 || cell.sun == 0.0 {
            return base;
        }
        let shade = mix::unit(mix::hash(key, 1 << 34 | cell.quarter as u64));
        let output = self.panels_w * cell.sun * between(SHADE, shade);
        let house = day.house_w[cell.quarter] * self.annual_kwh * SOLAR_CONSUMPTION;
        base - (output - house).max(0.0)
    }

    /// How many of the `s` seconds from `start` the refrigerator runs.
    fn fridge_s(&self, start: u64, s: f64) -> f64 {
        let (period, on, phase) = self.fridge;
        let ran = |t: u64| (t / period) * on + (t % period).min(on);
        let from = (start + phase) % period;
        (ran(from + s as u64) - ran(from)) as f64
    }
}

impl Day {
    /// The day `number` days after the Unix epoch.
    pub(super) fn new(seed: u64, number: i64) -> Self {
        let midnight = Timestamp::from_second(number * 86_400).unwrap_or(Timestamp::MAX);
        let date = TimeZone::UTC.to_datetime(midnight).date();
        Self {
            number,
            key: mix::hash(seed ^ 0xda1, number as u64),
            curves: Profile::ALL.map(|profile| Curve::of(kind(profile), date)),
            house_w: Profile::Household.day(date).map(|wh| 4.0 * wh),
        }
    }
}
