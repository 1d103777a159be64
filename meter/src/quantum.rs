//! Whole quanta: what of a reading enters a report, and what is left for the next one.
//!
//! A total is exact because every reading in it is a whole number of its feeder's quanta: rounding the decrypted sum to the
//! grid takes the noise away, and nothing else. What rounding leaves of a reading is not lost. It is the meter's *remainder*,
//! and is added to its next reading, so that a day adds up to within half a quantum however long it is.

use packed::layout::Entered;
use wire::WattHours;

use readings::MicroWattHours;

/// What a feeder's setting allows a reading to enter as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// It is a whole multiple of this, in watt-hours.
    pub quantum_wh: u64,
    /// It is at most this, in watt-hours, of either sign: a multiple of the quantum.
    pub reference_wh: u64,
}

#[cfg(test)]
impl Scale {
    /// With a reference that no reading of the tests reaches.
    pub(crate) fn of(quantum_wh: u64) -> Self {
        Self {
            quantum_wh,
            reference_wh: 1 << 62,
        }
    }
}

/// The energy that enters a report, and the remainder for the meter's next reading: `energy` and the `remainder` before it,
/// to the nearest multiple of the quantum, halves away from zero. The new remainder is at most half a quantum of either
/// sign, unless what is nearest is one quantum above the reference: a meter that runs at a capacity of just the reference
/// comes there by its remainder alone. The reference enters then, and the quantum is carried, too.
///
/// ```
/// use readings::MicroWattHours;
/// use meter::{Scale, quantise};
/// use wire::WattHours;
///
/// let scale = Scale { quantum_wh: 1, reference_wh: 1 << 14 };
/// let third = MicroWattHours(333_333);
/// let (first, rest) = quantise(third, MicroWattHours(0), scale);
/// let (second, rest) = quantise(third, rest, scale);
/// assert_eq!((first, second, rest), (WattHours(0), WattHours(1), MicroWattHours(-333_334)));
/// ```
#[must_use]
pub fn quantise(
    energy: MicroWattHours,
    remainder: MicroWattHours,
    scale: Scale,
) -> (WattHours, MicroWattHours) {
    let quantum = i128::from(scale.quantum_wh.max(1));
    let wh = i128::from(MicroWattHours::PER_WH);
    let step = quantum * wh;
    let exact = i128::from(energy.0) + i128::from(remainder.0);
    let mut entered = (exact.abs() + step / 2) / step * quantum;
    if entered == i128::from(scale.reference_wh) + quantum {
        entered -= quantum;
    }
    entered *= exact.signum();
    let rest = MicroWattHours(saturated(exact - entered * wh));
    (WattHours(saturated(entered)), rest)
}

/// No plan has a reference or a quantum for which this is another number.
fn saturated(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Consecutive readings of a meter, each with whether it was clamped, as they enter a report. The remainder goes from one
/// to the next, passing over those that are missing.
pub fn enter(
    readings: impl IntoIterator<Item = Option<(MicroWattHours, bool)>>,
    scale: Scale,
    remainder: &mut MicroWattHours,
) -> Vec<Option<Entered>> {
    let enter = |reading: Option<(MicroWattHours, bool)>| {
        let (energy, clamped) = reading?;
        let (WattHours(wh), rest) = quantise(energy, *remainder, scale);
        *remainder = rest;
        Some(Entered { wh, clamped })
    };
    readings.into_iter().map(enter).collect()
}

/// Readings that were entered for another quantum, in whole multiples of this one, with `remainder` as in [`enter`]; `None` if
/// they are that as they are.
pub(crate) fn enter_again(
    readings: &[Option<Entered>],
    scale: Scale,
    remainder: &mut MicroWattHours,
) -> Option<Vec<Option<Entered>>> {
    let is_whole = |entered: &Entered| entered.wh.unsigned_abs().is_multiple_of(scale.quantum_wh);
    if readings.iter().flatten().all(is_whole) {
        return None;
    }
    let exact = readings.iter().map(|reading| {
        let entered = (*reading)?;
        let energy = entered.wh.saturating_mul(MicroWattHours::PER_WH);
        Some((MicroWattHours(energy), entered.clamped))
    });
    Some(enter(exact, scale, remainder))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WH: i64 = MicroWattHours::PER_WH;

    fn quantum() -> impl Strategy<Value = u64> {
        (0_u32..=20).prop_map(|exponent| 1 << exponent)
    }

    #[test]
    fn halves_go_away_from_zero_and_leave_a_remainder_of_either_sign() {
        let of = |energy, remainder, quantum_wh| {
            let (energy, remainder) = (MicroWattHours(energy), MicroWattHours(remainder));
            let (entered, rest) = quantise(energy, remainder, Scale::of(quantum_wh));
            (entered.0, rest.0)
        };
        assert_eq!(of(WH / 2, 0, 1), (1, -WH / 2));
        assert_eq!(of(-WH / 2, 0, 1), (-1, WH / 2));
        assert_eq!(of(WH / 2 - 1, 0, 1), (0, WH / 2 - 1));
        assert_eq!(of(WH / 2 - 1, 1, 1), (1, -WH / 2));
        assert_eq!(of(11 * WH, 3 * WH, 8), (16, -2 * WH));
        assert_eq!(of(0, 0, 8), (0, 0));
        assert_eq!(of(i64::MAX, i64::MAX, 1).0, 18_446_744_073_710);
        assert_eq!(of(i64::MIN, i64::MIN, 1 << 42).0, -17_592_186_044_416);
    }

    #[test]
    fn what_only_rounding_puts_above_the_reference_is_carried_on() {
        for sign in [1, -1] {
            let scale = Scale {
                quantum_wh: 4,
                reference_wh: 32,
            };
            let mut rest = MicroWattHours(0);
            let readings =
                [-2, 32, 32, 29, 20].map(|wh| Some((MicroWattHours(sign * wh * WH), false)));
            let entered = enter(readings, scale, &mut rest);
            let entered: Vec<i64> = entered.iter().flatten().map(|one| sign * one.wh).collect();
            assert_eq!((entered, rest.0), (vec![-4, 32, 32, 32, 20], -sign * WH));
            // A reading that is above it by itself is refused with its report, and not spread over the next ones.
            let above = quantise(MicroWattHours(sign * 40 * WH), MicroWattHours(0), scale);
            assert_eq!(above.0, WattHours(sign * 40));
        }
    }

    proptest! {
        #[test]
        fn what_entered_and_what_is_left_are_what_was_read(
            energies in prop::collection::vec(prop::option::of(-1_i64 << 50..1 << 50), 0..60),
            quantum_wh in quantum(),
        ) {
            let mut remainder = MicroWattHours::default();
            let readings = energies.iter().map(|energy| Some((MicroWattHours((*energy)?), false)));
            let entered = enter(readings, Scale::of(quantum_wh), &mut remainder);
            let present = |energy: &Option<i64>| energy.is_some();
            let are_present: Vec<bool> = energies.iter().map(present).collect();
            prop_assert_eq!(entered.iter().map(Option::is_some).collect::<Vec<_>>(), are_present);
            let mut sum = 0;
            for entered in entered.iter().flatten() {
                prop_assert!(entered.wh.unsigned_abs().is_multiple_of(quantum_wh));
                sum += entered.wh;
            }
            prop_assert_eq!(sum * WH + remainder.0, energies.iter().flatten().sum::<i64>());
            prop_assert!(remainder.0.abs() <= quantum_wh as i64 * WH / 2);
        }

        #[test]
        fn only_a_coarser_quantum_changes_what_was_entered(
            quanta in prop::collection::vec(prop::option::of(-1_000_i64..1_000), 1..60),
            from in quantum(), to in quantum(),
        ) {
            let wh = |quanta: &Option<i64>| Some(Entered { wh: (*quanta)? * from as i64, clamped: true });
            let readings: Vec<_> = quanta.iter().map(wh).collect();
            let mut remainder = MicroWattHours::default();
            let again = enter_again(&readings, Scale::of(to), &mut remainder);
            if to <= from {
                prop_assert_eq!(&again, &None);
            }
            let again = again.unwrap_or_else(|| readings.clone());
            let total = |of: &[Option<Entered>]| of.iter().flatten().map(|entered| entered.wh).sum::<i64>();
            prop_assert_eq!((total(&readings) - total(&again)) * WH, remainder.0);
            prop_assert!(remainder.0.unsigned_abs() <= to * WH as u64 / 2);
            prop_assert!(again.iter().flatten().all(|entered| entered.clamped
                && entered.wh.unsigned_abs().is_multiple_of(to)));
        }
    }
}
