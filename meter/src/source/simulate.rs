//! A simulated fleet of households, businesses and homes with solar panels.
//!
//! # Rules
//! * A reading is a function of the seed, the meter's index and the interval, and of nothing else; it
//!   uses only arithmetic that gives the same bits on every machine.
//! * Every meter has a register that counts up second by second, and a reading is the difference of two register
//!   values in whole watt-hours. Readings of any lengths therefore add up exactly. Any interval that
//!   divides a day is answered, down to one second; in an interval of seconds a home that draws 400 W
//!   shows 1 Wh every nine seconds, as a real register does.
//! * Appliances start and stop to the second. Base demand and solar export are constant over a quarter hour.
//! * The mean of many meters of a kind is their load profile ([`super::bdew`]), on any day, in local time. A day is
//!   lived by the wall clock: the hour that a clock change repeats is lived twice, the one it skips not at all.
//! * Moments of runs are stratified: of each 64 neighbouring meters, one has its kettle on in each 64th of the
//!   day's activity. A thousand meters then follow the profile as closely as several thousand independent
//!   ones would, while each of them has the habits of its own seed.
//! * A meter's capacity is the smallest usual service connection that covers all of its appliances, its base and its
//!   panels at once, so that a simulated reading is never clamped.

use jiff::{Timestamp, tz::TimeZone};
use wire::{MeterId, UnixSeconds, WattHours, Watts};

use super::{
    MeterSpec, Reading, Source, SourceError,
    appliance::{BUSINESS, Curve, FRIDGE_DUTY, HOUSEHOLD, Kind, QUARTER_S, Run, SOLAR_HOME},
    bdew::Profile,
    mix, solar, zone,
};

/// Seconds in a day.
const DAY: u32 = 86_400;
/// End of simulated time: the year 9999 in every time zone.
const END: u64 = 253_370_764_800;
/// Meters among which the moments of runs are stratified. A power of two.
const STRATA: u64 = 64;
/// Base demand varies by these factors around one: half for the whole day, half by the hour.
const DAILY: (f64, f64) = (0.7, 0.6);
const HOURLY: (f64, f64) = (0.6, 0.8);
/// Energy of a run varies by this factor around one.
const RUNS: (f64, f64) = (0.6, 0.8);
/// What a home with panels consumes, against what it draws from the grid.
const SOLAR_CONSUMPTION: f64 = 1.5;

/// Usual service connections in watts: one and three phases of 230 V, by their main fuse.
const SERVICES_W: [u64; 9] = [
    8_050, 14_490, 24_150, 34_500, 43_470, 55_200, 69_000, 86_250, 110_400,
];

/// Shares of the kinds of customer in a fleet. They need not sum to one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// Households (H25).
    pub household: f64,
    /// Businesses (G25).
    pub business: f64,
    /// Homes with solar panels (P25).
    pub solar: f64,
}

impl Mix {
    /// Nothing but households, so that the fleet's mean is H25.
    pub const HOUSEHOLDS: Self = Self {
        household: 1.0,
        business: 0.0,
        solar: 0.0,
    };
    /// A suburb: most homes, one in ten with panels, and a few shops.
    pub const SUBURB: Self = Self {
        household: 0.86,
        business: 0.04,
        solar: 0.1,
    };
}

impl Default for Mix {
    fn default() -> Self {
        Self::HOUSEHOLDS
    }
}

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetOptions {
    /// Number of meters, at least 1.
    pub meters: u32,
    /// Index of the first meter, so that several processes can each have a part of one fleet.
    pub first: u32,
    /// The fleet's seed: every meter's habits follow from it and the meter's index.
    pub seed: u64,
    /// Shares of the kinds of customer.
    pub mix: Mix,
    /// IANA name of the time zone whose wall clock people live by, such as `Europe/Berlin`.
    pub time_zone: String,
    /// Meter ids are this, a hyphen and the index counted from 1 in six digits: `meter-000001`.
    pub id_prefix: String,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self {
            meters: 100,
            first: 0,
            seed: 1,
            mix: Mix::default(),
            time_zone: "UTC".to_owned(),
            id_prefix: "meter".to_owned(),
        }
    }
}

/// A simulated fleet.
#[derive(Debug)]
pub struct Simulated {
    seed: u64,
    zone: TimeZone,
    specs: Vec<MeterSpec>,
    customers: Vec<Customer>,
    /// The day of the last reading, which the next one usually needs again.
    day: Option<Day>,
}

/// What does not change about a customer.
#[derive(Debug)]
struct Customer {
    profile: Profile,
    index: u64,
    annual_kwh: f64,
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
struct Day {
    number: i64,
    key: u64,
    /// By [`Profile`].
    curves: [Curve; 3],
    /// H25 in watts for each kWh a year: what the house takes of its panels' output.
    house_w: [f64; 96],
    day_of_year: i16,
}

/// A quarter hour of UTC, in local terms.
struct Cell {
    /// Its start in seconds since the Unix epoch.
    start: u64,
    quarter: usize,
    /// Output of panels, in watts for each watt of rating.
    sun: f64,
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

impl Simulated {
    /// Draws the fleet's customers.
    ///
    /// # Errors
    /// [`SourceError::Setting`] for no meters, an index past `u32::MAX`, a mix with a negative share or without any, a
    /// prefix that makes no meter id; [`SourceError::TimeZone`].
    pub fn new(options: &FleetOptions) -> Result<Self, SourceError> {
        let limits = options.mix.limits()?;
        let last = options.first.checked_add(options.meters);
        let Some(last) = last.filter(|_| options.meters > 0) else {
            return Err(SourceError::Setting {
                name: "meters",
                value: options.meters.to_string(),
                rule: "it must be at least 1, and the last index at most 4294967294",
            });
        };
        let mut customers = Vec::with_capacity(options.meters as usize);
        let mut specs = Vec::with_capacity(options.meters as usize);
        for index in options.first..last {
            let id = format!("{}-{:06}", options.id_prefix, u64::from(index) + 1);
            let id = MeterId::try_from(id.as_str()).map_err(|_| SourceError::Setting {
                name: "id_prefix",
                value: options.id_prefix.clone(),
                rule: "it must be lower-case letters, digits and hyphens, short enough for an id of 64",
            })?;
            let customer = Customer::draw(options.seed, u64::from(index), limits);
            let capacity_w = customer.capacity();
            specs.push(MeterSpec { id, capacity_w });
            customers.push(customer);
        }
        Ok(Self {
            seed: options.seed,
            zone: zone(&options.time_zone)?,
            specs,
            customers,
            day: None,
        })
    }

    /// The load profile that the meter at `position` of [`Source::meters`] follows.
    pub fn profile(&self, position: usize) -> Option<Profile> {
        self.customers.get(position).map(|c| c.profile)
    }

    /// Annual consumption of the meter at `position`, in kWh; for a home with panels, what it draws.
    pub fn annual_kwh(&self, position: usize) -> Option<f64> {
        self.customers.get(position).map(|c| c.annual_kwh)
    }

    /// The local day and quarter hour in which the quarter hour of UTC that starts at `start` lies. `start` is
    /// before [`END`].
    fn cell(&self, start: u64, day: &mut Option<Day>) -> Cell {
        let utc = Timestamp::from_second(start as i64).unwrap_or(Timestamp::MAX);
        let info = self.zone.to_offset_info(utc);
        let local = start as i64 + i64::from(info.offset().seconds());
        let number = local.div_euclid(i64::from(DAY));
        let second = local.rem_euclid(i64::from(DAY)) as u32;
        let day = match day {
            Some(held) if held.number == number => held,
            _ => day.insert(Day::new(self.seed, number)),
        };
        let quarter = (second / QUARTER_S) as usize;
        let summer = if info.dst().is_dst() { 3_600.0 } else { 0.0 };
        let solar_s = (quarter as f64 + 0.5) * f64::from(QUARTER_S) - summer;
        Cell {
            start,
            quarter,
            sun: solar::clear_sky(day.day_of_year, solar_s)
                * solar::weather(self.seed, number, quarter),
        }
    }
}

impl Source for Simulated {
    fn meters(&self) -> &[MeterSpec] {
        &self.specs
    }

    fn interval_s(&self) -> u32 {
        1
    }

    fn range(&self) -> (UnixSeconds, Option<UnixSeconds>) {
        (UnixSeconds(0), None)
    }

    fn read(
        &mut self,
        interval_start: UnixSeconds,
        interval_s: u32,
        out: &mut Vec<Reading>,
    ) -> Result<(), SourceError> {
        out.clear();
        if interval_s == 0 || DAY % interval_s != 0 {
            return Err(SourceError::NotInDay {
                asked_s: interval_s,
            });
        }
        let start = interval_start.0;
        let end = start.saturating_add(u64::from(interval_s));
        if end > END {
            return Err(SourceError::OutOfRange {
                start,
                from: 0,
                to: END,
            });
        }
        out.resize(self.customers.len(), Reading::Energy(WattHours(0)));
        let quarter_s = u64::from(QUARTER_S);
        let mut day = self.day.take();
        let mut cell_start = start - start % quarter_s;
        while cell_start < end {
            let cell = self.cell(cell_start, &mut day);
            let from = start.saturating_sub(cell_start) as f64;
            let to = (end - cell_start).min(quarter_s) as f64;
            if let Some(day) = &day {
                for (customer, reading) in self.customers.iter().zip(out.iter_mut()) {
                    if let Reading::Energy(energy) = reading {
                        energy.0 += customer.energy_wh(day, &cell, from, to);
                    }
                }
            }
            cell_start += quarter_s;
        }
        self.day = day;
        Ok(())
    }
}

impl Mix {
    /// Upper ends of the shares of [0, 1) that are households and businesses; the rest is solar.
    fn limits(&self) -> Result<(f64, f64), SourceError> {
        let shares = [self.household, self.business, self.solar];
        let sum: f64 = shares.iter().sum();
        if shares.iter().any(|s| !s.is_finite() || *s < 0.0) || sum <= 0.0 || !sum.is_finite() {
            return Err(SourceError::Setting {
                name: "mix",
                value: format!("{shares:?}"),
                rule: "shares of households, businesses and solar homes must not be negative, and one must be positive",
            });
        }
        let business = (self.household + self.business) / sum;
        Ok((
            self.household / sum,
            if self.solar == 0.0 { 1.0 } else { business },
        ))
    }
}

impl Customer {
    fn draw(seed: u64, index: u64, limits: (f64, f64)) -> Self {
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
        let u = 0.005 + 0.99 * stratified(mix::hash(seed, 1 << 40), index, mix::unit(key));
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
            annual_kwh,
            size: (annual_kwh / kind.reference_kwh).sqrt(),
            fridge_w: kind.fridge_w() * annual_kwh * period as f64 / on as f64,
            fridge: (period, on, phase),
            panels_w,
        }
    }

    fn capacity(&self) -> Watts {
        let base_factor = (DAILY.0 + DAILY.1) * (HOURLY.0 + HOURLY.1);
        let draw = kind(self.profile).greatest_w(self.annual_kwh, base_factor);
        let need = draw.max(self.panels_w).ceil() as u64;
        let service = SERVICES_W.into_iter().find(|&w| w >= need);
        Watts(service.unwrap_or_else(|| need.next_multiple_of(10_000)))
    }

    /// Energy between two seconds of a cell, in whole watt-hours: a difference of the register, whose
    /// fraction starts the cell at random so that nothing is lost in the mean.
    fn energy_wh(&self, day: &Day, cell: &Cell, from_s: f64, to_s: f64) -> i64 {
        let key = mix::mix(day.key ^ mix::mix(self.index.wrapping_mul(mix::GOLDEN)));
        let fraction = mix::unit(mix::hash(key, cell.start));
        let register = |s: f64| {
            if s == 0.0 {
                return 0;
            }
            (self.cell_wh(day, cell, key, s) + fraction).floor() as i64
        };
        register(to_s) - register(from_s)
    }

    /// Watt-hours from the start of a cell to its second `s`.
    fn cell_wh(&self, day: &Day, cell: &Cell, key: u64, s: f64) -> f64 {
        let curve = &day.curves[self.profile as usize];

        let daily = between(DAILY, mix::unit(mix::hash(key, 1 << 32)));
        let hour = (cell.quarter / 4) as u64;
        let hourly = between(HOURLY, mix::unit(mix::hash(key, 1 << 33 | hour)));
        let mut watts = curve.base_w[cell.quarter] * self.annual_kwh * daily * hourly;
        if self.panels_w > 0.0 && cell.sun > 0.0 {
            let shade = between(
                (0.85, 0.15),
                mix::unit(mix::hash(key, 1 << 34 | cell.quarter as u64)),
            );
            let house = day.house_w[cell.quarter] * self.annual_kwh * SOLAR_CONSUMPTION;
            watts -= (self.panels_w * cell.sun * shade - house).max(0.0);
        }
        let mut wh = watts * s / 3_600.0;

        wh += self.fridge_w * self.fridge_s(cell.start, s) / 3_600.0;

        let from = (cell.quarter * QUARTER_S as usize) as f64;
        for (slot, appliance) in kind(self.profile).appliances.iter().enumerate() {
            let draw = mix::mix(key.wrapping_add((slot as u64 + 1).wrapping_mul(mix::GOLDEN)));
            let stratum_key = day.key ^ (slot as u64 + 1) << 48;
            let u = stratified(stratum_key, self.index, mix::unit_low(draw));
            if u >= appliance.chance {
                continue;
            }
            let middle = curve.moment(u / appliance.chance);
            let energy = self.size * self.size * curve.size * between(RUNS, mix::unit_high(draw));
            let run = Run::new(appliance, middle, self.size, energy);
            wh += run.energy_wh(from, from + s);
        }
        wh
    }

    /// How many of the `s` seconds from `start` the refrigerator runs.
    fn fridge_s(&self, start: u64, s: f64) -> f64 {
        let (period, on, phase) = self.fridge;
        let ran = |t: u64| (t / period) * on + (t % period).min(on);
        let from = (start + phase) % period;
        (ran(from + s as u64) - ran(from)) as f64
    }
}

/// A number in [0, 1) for `index`, even over any 64 neighbours that share a block: each takes another 64th,
/// in an order that `key` shuffles, and `unit` places it inside.
fn stratified(key: u64, index: u64, unit: f64) -> f64 {
    let shuffle = mix::hash(key, index / STRATA);
    // Odd factors, sums and exclusive ors are one to one modulo a power of two.
    let stratum = (index.wrapping_mul(shuffle | 1).wrapping_add(shuffle >> 20) ^ (shuffle >> 40))
        .wrapping_mul(shuffle >> 50 | 1)
        % STRATA;
    (stratum as f64 + unit) / STRATA as f64
}

impl Day {
    fn new(seed: u64, number: i64) -> Self {
        let midnight = Timestamp::from_second(number * i64::from(DAY)).unwrap_or(Timestamp::MAX);
        let date = TimeZone::UTC.to_datetime(midnight).date();
        Self {
            number,
            key: mix::hash(seed ^ 0xda1, number as u64),
            curves: Profile::ALL.map(|profile| kind(profile).curve(date)),
            house_w: Profile::Household.day(date).map(|wh| 4.0 * wh),
            day_of_year: date.day_of_year(),
        }
    }
}
