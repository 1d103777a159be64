//! What a feed keeps of one meter.

use std::collections::BTreeMap;

use super::{FleetInterval, Kept, KeptKind, Refusal};
use crate::live::registers::{Gap, RegisterRead, Registers};
use crate::{MicroWattHours, Reading};

/// Which intervals are open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    /// Start of the first one.
    pub(super) from: u64,
    /// Whether one before it was closed: the read at its end is fixed then, for the next one begins with it.
    pub(super) follows: bool,
}

/// What a reading changed of a meter.
#[derive(Debug, Default)]
pub(super) struct Effect {
    /// Whether all of it was there before.
    pub(super) repeated: bool,
    pub(super) put: Vec<(u64, KeptKind, MicroWattHours)>,
    pub(super) dropped: Vec<(u64, KeptKind)>,
}

#[derive(Debug)]
pub(super) struct Meter {
    import: Registers,
    export: Registers,
    /// Whether it has ever had a read of the latter.
    exports: bool,
    /// Start, length and energy of intervals.
    energies: BTreeMap<u64, (u32, MicroWattHours)>,
}

impl Meter {
    /// A meter whose registers are like `registers`, which is empty.
    pub(super) fn new(registers: Registers) -> Self {
        Self {
            import: registers.clone(),
            export: registers,
            exports: false,
            energies: BTreeMap::new(),
        }
    }

    pub(super) fn restore(&mut self, kept: &Kept) {
        let read = RegisterRead {
            at: kept.at,
            register: kept.value,
        };
        match kept.kind {
            KeptKind::Import => self.import.restore(read),
            KeptKind::Export => {
                self.exports = true;
                self.export.restore(read);
            }
            KeptKind::Energy(length_s) => {
                self.energies.insert(kept.at, (length_s, kept.value));
            }
        }
    }

    pub(super) fn kept(&self) -> usize {
        self.import.len() + self.export.len() + self.energies.len()
    }

    pub(super) fn forget_before(&mut self, at: u64) {
        self.import.forget_before(at);
        self.export.forget_before(at);
        self.energies = self.energies.split_off(&at);
    }

    /// Takes reads of both registers, or none of them.
    pub(super) fn take_registers(
        &mut self,
        at: u64,
        (import, export): (MicroWattHours, Option<MicroWattHours>),
        open: Open,
        full: bool,
    ) -> Result<Effect, Refusal> {
        if !self.energies.is_empty() {
            let other = "energies of intervals";
            return Err(Refusal::Kind { other });
        }
        let mut repeated = judge(&self.import, at, import, open)?;
        if let Some(export) = export {
            repeated &= judge(&self.export, at, export, open)?;
        }
        if full && !repeated {
            return Err(Refusal::Full);
        }
        let mut effect = Effect {
            repeated,
            ..Effect::default()
        };
        enter(
            &mut self.import,
            (at, KeptKind::Import, import),
            open,
            &mut effect,
        );
        if let Some(export) = export {
            self.exports = true;
            enter(
                &mut self.export,
                (at, KeptKind::Export, export),
                open,
                &mut effect,
            );
        }
        Ok(effect)
    }

    /// Takes a part of an interval of the plan, which has `plan_s` seconds.
    pub(super) fn take_energy(
        &mut self,
        at: u64,
        (length_s, energy): (u32, MicroWattHours),
        (open, plan_s): (Open, u32),
        full: bool,
    ) -> Result<Effect, Refusal> {
        if let Some(&(known_s, known)) = self.energies.get(&at)
            && known_s == length_s
        {
            return match known == energy {
                true => Ok(Effect {
                    repeated: true,
                    ..Effect::default()
                }),
                false => Err(Refusal::Conflict {
                    earlier_uwh: known.0,
                }),
            };
        }
        if at < open.from {
            return Err(Refusal::Late {
                open_from: open.from,
            });
        }
        if self.import.len() + self.export.len() > 0 {
            let other = "reads of registers";
            return Err(Refusal::Kind { other });
        }
        let start = at - at % u64::from(plan_s);
        let whole = start..start.saturating_add(plan_s.into());
        let mut others = self.energies.range(whole);
        if others.any(|(_, (other_s, _))| *other_s != length_s) {
            let other = "of intervals of another length";
            return Err(Refusal::Kind { other });
        }
        if full {
            return Err(Refusal::Full);
        }
        self.energies.insert(at, (length_s, energy));
        Ok(Effect {
            put: vec![(at, KeptKind::Energy(length_s), energy)],
            ..Effect::default()
        })
    }

    /// The plan's interval that starts at `start`; what happened in it is counted in `interval`.
    pub(super) fn interval(
        &self,
        start: u64,
        plan_s: u32,
        interval: &mut FleetInterval,
    ) -> Reading {
        if let Some(sum) = self.sum(start, start.saturating_add(plan_s.into())) {
            return Reading::Energy(sum);
        }
        let mut net = 0_i64;
        let mut missing = false;
        let registers = [(&self.import, 1), (&self.export, -1)];
        let count = if self.exports { 2 } else { 1 };
        for (registers, sign) in &registers[..count] {
            match registers.interval(start) {
                Ok(counted) => {
                    interval.rolled_over += u64::from(counted.rolled_over);
                    net = net.saturating_add(sign * counted.energy.0);
                }
                Err(gap) => {
                    interval.swapped += u64::from(gap == Gap::Swap);
                    missing = true;
                }
            }
        }
        match missing {
            true => Reading::Missing,
            false => Reading::Energy(MicroWattHours(net)),
        }
    }

    /// The sum of the parts from `start` to `end`, if all are there.
    fn sum(&self, start: u64, end: u64) -> Option<MicroWattHours> {
        let mut sum = 0_i64;
        let mut at = start;
        while at < end {
            let (length_s, energy) = self.energies.get(&at)?;
            at = at.checked_add(u64::from(*length_s))?;
            sum = sum.checked_add(energy.0)?;
        }
        (at == end && start < end).then_some(MicroWattHours(sum))
    }
}

/// Whether a read was there before; an error if it is refused.
fn judge(
    registers: &Registers,
    at: u64,
    register: MicroWattHours,
    open: Open,
) -> Result<bool, Refusal> {
    match registers.known(at) {
        Some(known) if known == register => return Ok(true),
        Some(known) => {
            return Err(Refusal::Conflict {
                earlier_uwh: known.0,
            });
        }
        None => {}
    }
    let belongs_to = registers.end_near(at).unwrap_or(at);
    match belongs_to < open.from {
        true => Err(Refusal::Late {
            open_from: open.from,
        }),
        false => Ok(false),
    }
}

/// Enters a read that [`judge`] let pass.
fn enter(
    registers: &mut Registers,
    (at, kind, register): (u64, KeptKind, MicroWattHours),
    open: Open,
    effect: &mut Effect,
) {
    let is_first = registers.end_near(at) == Some(open.from);
    if is_first && open.follows && registers.at(open.from).is_some() {
        return;
    }
    if let Ok(Some(change)) = registers.read(at, register) {
        let put = change.put.iter().map(|read| (read.at, kind, read.register));
        effect.put.extend(put);
        let dropped = change.dropped.iter().map(|&at| (at, kind));
        effect.dropped.extend(dropped);
    }
}

/// Energy of a mean power in millionths of a watt over so many seconds, to the nearest, halves away from zero.
pub(super) fn energy_of(micro_watts: i64, length_s: u32) -> MicroWattHours {
    let watt_seconds = i128::from(micro_watts) * i128::from(length_s);
    let rounded = (watt_seconds.abs() + 1_800) / 3_600 * watt_seconds.signum();
    // A power of 10⁹ W over a day is 2.4 × 10¹⁶.
    MicroWattHours(i64::try_from(rounded).unwrap_or(i64::MAX))
}
