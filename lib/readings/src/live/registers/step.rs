//! What happened to a register between two reads.

use wire::Watts;

use crate::MicroWattHours;

/// The smallest power of ten at which a register rolls over: 10,000 kWh, in millionths of a watt-hour.
const LEAST_POWER: i128 = 10_i128.pow(13);

/// How many times what its capacity allows a meter is believed.
const BELIEVED: i128 = 10;

/// A read: when, in seconds since the Unix epoch, and what the register showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterRead {
    /// When, in seconds since the Unix epoch.
    pub at: u64,
    /// What the register showed.
    pub register: MicroWattHours,
}

/// What happened between two reads, the earlier one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The register counted on.
    Energy(MicroWattHours),
    /// It began again at zero after its last figure.
    RollOver(MicroWattHours),
    /// Another register, or one that was set back: what was used in between is not known.
    Swap,
}

/// What happened from `before` to `after`, on a meter of this capacity if it is known.
#[must_use]
pub fn step(before: RegisterRead, after: RegisterRead, capacity: Option<Watts>) -> Step {
    let (from, to) = (i128::from(before.register.0), i128::from(after.register.0));
    let believed = capacity.map_or(i128::MAX, |capacity| {
        let seconds = i128::from(after.at.abs_diff(before.at));
        let per_hour = i128::from(capacity.0) * i128::from(MicroWattHours::PER_WH);
        per_hour.saturating_mul(seconds) / 3_600 * BELIEVED
    });
    let energy = |energy: i128| i64::try_from(energy).ok().map(MicroWattHours);
    if to >= from {
        let counted = energy(to - from).filter(|_| to - from <= believed);
        return counted.map_or(Step::Swap, Step::Energy);
    }
    let mut power = LEAST_POWER;
    while power <= from {
        power *= 10;
    }
    let counted = power - from + to;
    let plausible = to >= 0 && counted <= power / 100 && counted <= believed;
    let rolled = energy(counted).filter(|_| plausible);
    rolled.map_or(Step::Swap, Step::RollOver)
}
