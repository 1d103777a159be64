//! Which slot of a ciphertext carries what.

use std::fmt;
use std::str::FromStr;

/// What the slots of a report carry, for a batch of `batch` intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Slot `k` is the reading of interval `k` over the feeder's reference.
    Profile,
    /// As [`Layout::Profile`], and slot `batch + k` is its square: mean and variance for the
    /// price of a sum.
    Moments,
}

/// A layout name that this build does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown slot layout \"{name}\": known are profile, moments")]
pub struct UnknownLayout {
    /// The name that was asked for.
    pub name: String,
}

/// Why readings could not be encoded as slots, or slots decoded to totals.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The reference is zero or not a power of two.
    #[error("reference of {reference_wh} Wh is not a power of two")]
    Reference {
        /// The reference, in watt-hours.
        reference_wh: u64,
    },
    /// A reading is larger than the reference, so its slot would exceed 1.
    #[error("reading {index} of {reading_wh} Wh is above the reference of {reference_wh} Wh")]
    ReadingAboveReference {
        /// Interval of the report.
        index: usize,
        /// The reading, in watt-hours.
        reading_wh: i64,
        /// The reference, in watt-hours.
        reference_wh: u64,
    },
    /// There are fewer slots than the layout needs.
    #[error("layout {layout} with a batch of {batch} needs {needed} slots, not {actual}")]
    TooFewSlots {
        /// The layout.
        layout: Layout,
        /// Intervals in a report.
        batch: usize,
        /// Slots it needs.
        needed: usize,
        /// Slots given.
        actual: usize,
    },
}

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 2] = [Self::Profile, Self::Moments];

    /// The name a plan carries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Moments => "moments",
        }
    }

    /// Slots that a batch of this many intervals takes.
    #[must_use]
    pub const fn slots_needed(self, batch: usize) -> usize {
        match self {
            Self::Profile => batch,
            Self::Moments => 2 * batch,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Layout {
    type Err = UnknownLayout;

    fn from_str(name: &str) -> Result<Self, UnknownLayout> {
        Self::ALL
            .into_iter()
            .find(|layout| layout.as_str() == name)
            .ok_or_else(|| UnknownLayout {
                name: name.to_owned(),
            })
    }
}

/// Encodes the readings of one report as slots.
///
/// `readings_wh` are net energies per interval in watt-hours, already clamped to the declared
/// capacity; a batch of `readings_wh.len()` intervals. Values are exact as long as a reading
/// squared stays below 2^53.
///
/// # Errors
/// [`LayoutError::Reference`] or [`LayoutError::ReadingAboveReference`].
pub fn encode(
    layout: Layout,
    readings_wh: &[i64],
    reference_wh: u64,
) -> Result<Vec<f64>, LayoutError> {
    let reference = check_reference(reference_wh)?;
    let mut slots = Vec::with_capacity(layout.slots_needed(readings_wh.len()));
    for (index, &reading_wh) in readings_wh.iter().enumerate() {
        if reading_wh.unsigned_abs() > reference_wh {
            return Err(LayoutError::ReadingAboveReference {
                index,
                reading_wh,
                reference_wh,
            });
        }
        slots.push(reading_wh as f64 / reference);
    }
    if layout == Layout::Moments {
        for k in 0..readings_wh.len() {
            slots.push(slots[k] * slots[k]);
        }
    }
    Ok(slots)
}

/// The decoded slots of a decrypted sum: one value per interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    /// Energy of all contributors, in watt-hours.
    pub energy_wh: Vec<f64>,
    /// Sum of the contributors' squared readings, in square watt-hours; of
    /// [`Layout::Moments`] only.
    pub squares_wh2: Option<Vec<f64>>,
}

/// Decodes the slots of a decrypted sum.
///
/// # Errors
/// [`LayoutError::Reference`] or [`LayoutError::TooFewSlots`].
pub fn decode(
    layout: Layout,
    slots: &[f64],
    batch: usize,
    reference_wh: u64,
) -> Result<Totals, LayoutError> {
    let reference = check_reference(reference_wh)?;
    let needed = layout.slots_needed(batch);
    if slots.len() < needed {
        return Err(LayoutError::TooFewSlots {
            layout,
            batch,
            needed,
            actual: slots.len(),
        });
    }
    let scaled = |slots: &[f64], unit: f64| slots.iter().map(|slot| slot * unit).collect();
    Ok(Totals {
        energy_wh: scaled(&slots[..batch], reference),
        squares_wh2: match layout {
            Layout::Profile => None,
            Layout::Moments => Some(scaled(&slots[batch..needed], reference * reference)),
        },
    })
}

impl Totals {
    /// Mean reading of interval `k`, in watt-hours; none if there is no such interval or no
    /// contributor.
    #[must_use]
    pub fn mean_wh(&self, k: usize, contributors: u32) -> Option<f64> {
        let sum = self.energy_wh.get(k)?;
        (contributors > 0).then(|| sum / f64::from(contributors))
    }

    /// Population variance of the readings of interval `k` across contributors, in square
    /// watt-hours, at least 0 (noise can take it slightly below); none if the layout has no
    /// squares, or as for [`mean_wh`](Self::mean_wh).
    #[must_use]
    pub fn variance_wh2(&self, k: usize, contributors: u32) -> Option<f64> {
        let mean = self.mean_wh(k, contributors)?;
        let squares = self.squares_wh2.as_ref()?.get(k)?;
        Some((squares / f64::from(contributors) - mean * mean).max(0.0))
    }
}

fn check_reference(reference_wh: u64) -> Result<f64, LayoutError> {
    if reference_wh.is_power_of_two() {
        Ok(reference_wh as f64)
    } else {
        Err(LayoutError::Reference { reference_wh })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Powers of two scale without rounding, and so do squares below 2^53.
        #[test]
        fn totals_of_one_report_are_its_readings(
            readings in prop::collection::vec(-65_536i64..=65_536, 1..100),
            layout in prop::sample::select(Layout::ALL.to_vec()),
        ) {
            let slots = encode(layout, &readings, 65_536).unwrap();
            prop_assert_eq!(slots.len(), layout.slots_needed(readings.len()));
            prop_assert!(slots.iter().all(|slot| slot.abs() <= 1.0));
            let totals = decode(layout, &slots, readings.len(), 65_536).unwrap();
            let exact: Vec<f64> = readings.iter().map(|&wh| wh as f64).collect();
            let squares: Vec<f64> = readings.iter().map(|&wh| (wh * wh) as f64).collect();
            prop_assert_eq!(totals.energy_wh, exact);
            let squares = (layout == Layout::Moments).then_some(squares);
            prop_assert_eq!(totals.squares_wh2, squares);
        }
    }

    #[test]
    fn moments_give_mean_and_population_variance() {
        let reports = [[100, -40], [300, 40], [200, 0]];
        let mut sum = vec![0.0; 1024];
        for report in reports {
            let slots = encode(Layout::Moments, &report, 512).unwrap();
            for (sum, slot) in sum.iter_mut().zip(slots) {
                *sum += slot;
            }
        }
        let totals = decode(Layout::Moments, &sum, 2, 512).unwrap();
        assert_eq!(totals.mean_wh(0, 3), Some(200.0));
        assert_eq!(totals.mean_wh(1, 3), Some(0.0));
        assert!((totals.variance_wh2(0, 3).unwrap() - 20_000.0 / 3.0).abs() < 1e-9);
        assert!((totals.variance_wh2(1, 3).unwrap() - 3_200.0 / 3.0).abs() < 1e-9);
        assert_eq!(totals.mean_wh(2, 3), None);
        assert_eq!(totals.variance_wh2(2, 3), None);
        assert_eq!(totals.mean_wh(0, 0), None);
    }

    #[test]
    fn noise_never_makes_a_variance_negative() {
        let totals = decode(Layout::Moments, &[0.5, 0.2499], 1, 1).unwrap();
        assert_eq!(totals.variance_wh2(0, 1), Some(0.0));
        let totals = decode(Layout::Profile, &[0.5], 1, 1).unwrap();
        assert_eq!(totals.variance_wh2(0, 1), None);
    }

    #[test]
    fn readings_beyond_the_reference_are_refused_and_its_edge_is_not() {
        assert_eq!(encode(Layout::Profile, &[64, -64], 64), Ok(vec![1.0, -1.0]));
        for reading_wh in [65, -65, i64::MIN, i64::MAX] {
            let error = LayoutError::ReadingAboveReference {
                index: 1,
                reading_wh,
                reference_wh: 64,
            };
            assert_eq!(encode(Layout::Profile, &[0, reading_wh], 64), Err(error));
        }
    }

    #[test]
    fn a_reference_that_is_no_power_of_two_is_refused() {
        for reference_wh in [0, 3, 1000, u64::MAX] {
            let error = LayoutError::Reference { reference_wh };
            assert_eq!(
                encode(Layout::Profile, &[0], reference_wh),
                Err(error.clone())
            );
            assert_eq!(decode(Layout::Profile, &[0.0], 1, reference_wh), Err(error));
        }
    }

    #[test]
    fn slots_beyond_the_layout_are_ignored_and_missing_ones_refused() {
        let totals = decode(Layout::Profile, &[1.0, 2.0, 9.0], 2, 4).unwrap();
        assert_eq!(totals.energy_wh, [4.0, 8.0]);
        let error = decode(Layout::Moments, &[0.0; 7], 4, 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "layout moments with a batch of 4 needs 8 slots, not 7"
        );
    }

    #[test]
    fn names_round_trip() {
        for layout in Layout::ALL {
            assert_eq!(layout.to_string().parse(), Ok(layout));
        }
        let error = "histogram".parse::<Layout>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown slot layout \"histogram\": known are profile, moments"
        );
    }
}
