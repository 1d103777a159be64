//! Readings as they come become intervals of the whole fleet.
//!
//! # Rules
//! * A reading counts as long as the interval that it belongs to is open. The gateway closes intervals in their order, once the clock
//!   has passed their end and a grace; a reading that comes later is *late*. The order in which readings come is of no matter.
//! * What is said twice is *repeated*: it counts once. Another value for the same instant is a *conflict*: the first one counts.
//! * A reading that is *ahead* of this machine's clock by more than a tolerance is refused: its meter's clock is wrong, or this
//!   machine's is. One that is behind is late, or counts.
//! * A register's reads become energies by the rules of `registers`; a read that they do not need is *spare*.
//! * Energies and mean powers are of intervals that make up whole ones of the plan, all of one length, and start at multiples of it; the
//!   plan's interval is missing if one of them is.
//! * A meter has registers or energies, not both within the intervals that are open.
//! * A meter with an export register has an interval only if both registers have it.
//! * A reading of a meter that the gateway does not have is refused.
//!
//! Every reading that changes something says what is to be [kept](Kept) of it, so that the caller can write that down before it
//! acknowledges the reading: a feed that takes over what was kept answers as the one before would.

mod meter;
mod refusal;

use std::collections::HashMap;

use wire::MeterId;

use super::reading::{LiveReading, LiveValue};
use super::registers::{RegisterRules, Registers};
use crate::{MeterSpec, MicroWattHours, Reading};
pub use refusal::Refusal;

use meter::{Effect, Meter, Open, energy_of};

/// What a feed goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedRules {
    /// Length of the plan's intervals in seconds.
    pub interval_s: u32,
    /// How far from an interval's end the read of a register may be, in seconds.
    pub tolerance_s: u32,
    /// How far ahead of the clock a reading may be, in seconds.
    pub ahead_s: u32,
    /// Most readings that are kept.
    pub most_kept: usize,
}

/// What a kept reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeptKind {
    /// The register of what was drawn.
    Import,
    /// The register of what was exported.
    Export,
    /// Energy of an interval of so many seconds.
    Energy(u32),
}

/// A reading that is needed for an interval which is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Whose.
    pub meter: MeterId,
    /// When, as in [`LiveReading`].
    pub at: u64,
    /// What it is.
    pub kind: KeptKind,
    /// What it says.
    pub value: MicroWattHours,
}

/// What has become of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It counts. What is to be kept from now on, and what no longer, by meter, instant and kind.
    Taken(FeedChange),
    /// It was there before.
    Repeated,
    /// No interval needs it.
    Spare,
}

/// What is kept from now on, and what no longer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedChange {
    /// Kept from now on.
    pub put: Vec<Kept>,
    /// No longer kept.
    pub dropped: Vec<(MeterId, u64, KeptKind)>,
}

/// An interval of the fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetInterval {
    /// One for each meter, in the fleet's order.
    pub readings: Vec<Reading>,
    /// Registers that rolled over in it.
    pub rolled_over: u64,
    /// Meters that have reads at both its ends and were swapped, or set back, in between.
    pub swapped: u64,
}

/// The readings of a fleet, as far as open intervals need them.
#[derive(Debug)]
pub struct Feed {
    rules: FeedRules,
    ids: HashMap<MeterId, usize>,
    meters: Vec<Meter>,
    open: Open,
    kept: usize,
}

impl Feed {
    /// A feed of `meters` whose first interval starts at `open_from`.
    #[must_use]
    pub fn new(meters: &[MeterSpec], rules: FeedRules, open_from: u64) -> Self {
        let of = |spec: &MeterSpec| {
            Meter::new(Registers::new(RegisterRules {
                interval_s: rules.interval_s,
                tolerance_s: rules.tolerance_s,
                capacity: Some(spec.capacity_w),
            }))
        };
        let ids = meters.iter().enumerate();
        Self {
            rules,
            ids: ids.map(|(index, spec)| (spec.id.clone(), index)).collect(),
            meters: meters.iter().map(of).collect(),
            open: Open {
                from: open_from,
                follows: false,
            },
            kept: 0,
        }
    }

    /// Takes over what was kept by a feed before. Of a meter that is gone, nothing.
    pub fn restore(&mut self, kept: &Kept) {
        if let Some(&index) = self.ids.get(&kept.meter) {
            self.meters[index].restore(kept);
            self.kept += 1;
        }
    }

    /// Takes a reading that came at `now_s`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// Why it is refused. Nothing has changed then.
    pub fn take(&mut self, reading: &LiveReading, now_s: u64) -> Result<Accepted, Refusal> {
        let unknown = || Refusal::UnknownMeter {
            meter: reading.meter.clone(),
        };
        let index = *self.ids.get(&reading.meter).ok_or_else(unknown)?;
        let full = self.kept >= self.rules.most_kept;
        let open = self.open;
        let meter = &mut self.meters[index];
        let effect = match reading.value {
            LiveValue::Registers { import, export } => {
                self.rules.not_ahead(reading.at, now_s)?;
                meter.take_registers(reading.at, (import, export), open, full)?
            }
            LiveValue::Energy { interval_s, energy } => {
                let length_s = interval_s.unwrap_or(self.rules.interval_s);
                self.rules.is_part(reading.at, length_s, now_s)?;
                let part = (length_s, energy);
                meter.take_energy(reading.at, part, (open, self.rules.interval_s), full)?
            }
            LiveValue::Power {
                interval_s,
                micro_watts,
            } => {
                let length_s = interval_s.unwrap_or(self.rules.interval_s);
                self.rules.is_part(reading.at, length_s, now_s)?;
                let part = (length_s, energy_of(micro_watts, length_s));
                meter.take_energy(reading.at, part, (open, self.rules.interval_s), full)?
            }
        };
        let Effect {
            repeated,
            put,
            dropped,
        } = effect;
        self.kept = (self.kept + put.len()).saturating_sub(dropped.len());
        if repeated || put.is_empty() {
            return Ok(match repeated {
                true => Accepted::Repeated,
                false => Accepted::Spare,
            });
        }
        let meter = &reading.meter;
        let put = put.into_iter().map(|(at, kind, value)| Kept {
            meter: meter.clone(),
            at,
            kind,
            value,
        });
        let dropped = dropped.into_iter();
        Ok(Accepted::Taken(FeedChange {
            put: put.collect(),
            dropped: dropped
                .map(|(at, kind)| (meter.clone(), at, kind))
                .collect(),
        }))
    }

    /// The interval that starts at `start`, of the whole fleet.
    #[must_use]
    pub fn interval(&self, start: u64) -> FleetInterval {
        let mut interval = FleetInterval::default();
        for meter in &self.meters {
            let reading = meter.interval(start, self.rules.interval_s, &mut interval);
            interval.readings.push(reading);
        }
        interval
    }

    /// Closes the intervals before `open_from`: what comes of them from now on is late.
    pub fn close(&mut self, open_from: u64) {
        self.open = Open {
            from: self.open.from.max(open_from),
            follows: true,
        };
    }

    /// How many readings are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept
    }

    /// Forgets what only intervals before `start` need. Returns the instant before which nothing is kept.
    pub fn forget(&mut self, start: u64) -> u64 {
        let before = start.saturating_sub(u64::from(self.rules.tolerance_s));
        self.kept = 0;
        for meter in &mut self.meters {
            meter.forget_before(before);
            self.kept += meter.kept();
        }
        before
    }
}

impl FeedRules {
    fn not_ahead(&self, at: u64, now_s: u64) -> Result<(), Refusal> {
        let ahead_s = at.saturating_sub(now_s);
        match ahead_s > u64::from(self.ahead_s) {
            true => Err(Refusal::Ahead { ahead_s }),
            false => Ok(()),
        }
    }

    /// Whether intervals of `length_s` make up those of the plan, and one that starts at `at` is over.
    fn is_part(&self, at: u64, length_s: u32, now_s: u64) -> Result<(), Refusal> {
        if length_s == 0 || !self.interval_s.is_multiple_of(length_s) {
            return Err(Refusal::Length {
                given_s: length_s,
                plan_s: self.interval_s,
            });
        }
        if !at.is_multiple_of(u64::from(length_s)) {
            return Err(Refusal::OffGrid { length_s });
        }
        self.not_ahead(at.saturating_add(length_s.into()), now_s)
    }
}

#[cfg(test)]
mod tests;
