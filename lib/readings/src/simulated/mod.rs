//! A simulated fleet of households, businesses and homes with solar panels.
//!
//! # Rules
//! * A reading is a function of the seed, the meter's index and the interval, and of nothing else; it
//!   uses only arithmetic that gives the same bits on every machine.
//! * Every meter has a register that counts up second by second, in millionths of a watt-hour, and a reading is the
//!   difference of two register values. Readings of any lengths therefore add up exactly. Any interval that
//!   divides a day is answered, down to one second.
//! * Appliances start and stop to the second. Base demand and solar export are constant over a quarter hour.
//! * The mean of many meters of a kind is their load profile (`bdew`), on any day, in local time. A day is
//!   lived by the wall clock: the hour that a clock change repeats is lived twice, the one it skips not at all.
//! * Moments of runs are stratified over neighbouring meters (`strata`): a thousand of them follow the
//!   profile as closely as about five thousand independent ones would (1.5 % for a quarter hour, one standard
//!   deviation), while each has the habits of its own seed.
//! * A meter's capacity is the smallest usual service connection that covers all of its appliances, its base and its
//!   panels at once, so that a simulated reading is never clamped.

use jiff::{Timestamp, tz::TimeZone};
use wire::{MeterId, UnixSeconds};

use self::appliance::QUARTER_S;
use self::customer::{Cell, Customer, Day, Routine};
use crate::{MeterSpec, MicroWattHours, Reading, Source, SourceError};

mod appliance;
mod bdew;
mod curve;
mod customer;
mod mix;
mod solar;
mod strata;

/// Seconds in a day.
const DAY: u32 = 86_400;
/// End of simulated time: the year 9999 in every time zone.
const END: u64 = 253_370_764_800;
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
    /// Room for one customer's day.
    routine: Routine,
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
                rule: "expected 1 to 4294967294, counted from the index of the first",
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
            zone: wire::time_zone(&options.time_zone)?,
            specs,
            customers,
            day: None,
            routine: Routine::default(),
        })
    }

    /// The load profile that the meter at `position` of [`Source::meters`] follows.
    #[cfg(test)]
    fn profile(&self, position: usize) -> Option<bdew::Profile> {
        self.customers.get(position).map(|c| c.profile)
    }

    /// Annual consumption of the meter at `position`, in kWh; for a home with panels, what it draws.
    #[cfg(test)]
    fn annual_kwh(&self, position: usize) -> Option<f64> {
        self.customers.get(position).map(|c| c.annual_kwh)
    }

    /// The quarter hour of UTC that starts at `start`, before [`END`], in local terms.
    fn cell(&self, start: u64) -> Cell {
        let utc = Timestamp::from_second(start as i64).unwrap_or(Timestamp::MAX);
        let info = self.zone.to_offset_info(utc);
        let local = start as i64 + i64::from(info.offset().seconds());
        let day = local.div_euclid(i64::from(DAY));
        let second = local.rem_euclid(i64::from(DAY)) as u32;
        let quarter = (second / QUARTER_S) as usize;
        let summer = if info.dst().is_dst() { 3_600.0 } else { 0.0 };
        let solar_s = (quarter as f64 + 0.5) * f64::from(QUARTER_S) - summer;
        Cell {
            start,
            day,
            quarter,
            sun: solar::clear_sky(day, solar_s) * solar::weather(self.seed, day, quarter),
        }
    }

    /// Adds the energy of every meter from `start` to `end`, within some quarter hours of one local day.
    fn add(&mut self, cells: &[Cell], start: u64, end: u64, out: &mut [Reading]) {
        let Some(number) = cells.first().map(|cell| cell.day) else {
            return;
        };
        let day = match &mut self.day {
            Some(held) if held.number == number => held,
            other => other.insert(Day::new(self.seed, number)),
        };
        for (customer, reading) in self.customers.iter().zip(out) {
            customer.plan(day, &mut self.routine);
            let energies = cells.iter().map(|cell| {
                let from = start.saturating_sub(cell.start) as f64;
                let to = (end - cell.start).min(u64::from(QUARTER_S)) as f64;
                customer.energy(day, &self.routine, cell, from, to)
            });
            if let Reading::Energy(energy) = reading {
                energy.0 += energies.sum::<i64>();
            }
        }
    }
}

impl Source for Simulated {
    fn meters(&self) -> &[MeterSpec] {
        &self.specs
    }

    fn read(
        &mut self,
        interval_start: UnixSeconds,
        interval_s: u32,
        out: &mut Vec<Reading>,
    ) -> Result<(), SourceError> {
        out.clear();
        if interval_s == 0 || !DAY.is_multiple_of(interval_s) {
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
        out.resize(self.customers.len(), Reading::Energy(MicroWattHours(0)));
        let quarter_s = u64::from(QUARTER_S);
        let cells: Vec<Cell> = (start / quarter_s..end.div_ceil(quarter_s))
            .map(|cell| self.cell(cell * quarter_s))
            .collect();
        for cells in cells.chunk_by(|a, b| a.day == b.day) {
            self.add(cells, start, end, out);
        }
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

#[cfg(test)]
mod tests;
