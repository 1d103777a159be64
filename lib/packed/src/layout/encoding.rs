//! The units of a feeder's coefficients, and readings encoded in them.

use super::{Layout, Shape};
use crate::Profile;

/// Readings are at most this large, so that every total fits 64 bits.
const MAX_REFERENCE_WH: u64 = 1 << 42;

/// The reading of one interval, as it enters a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// Net energy in watt-hours: a whole multiple of the feeder's quantum, at most its reference
    /// in size.
    pub wh: i64,
    /// Whether the reading was larger than the meter's declared capacity and cut to it.
    pub clamped: bool,
}

/// Why an encoding is impossible, or readings could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The reference is not usable.
    #[error(
        "reference of {reference_wh} Wh is not a power of two of at most {MAX_REFERENCE_WH} Wh"
    )]
    Reference {
        /// The reference, in watt-hours.
        reference_wh: u64,
    },
    /// The quantum is not usable.
    #[error(
        "quantum of {quantum_wh} Wh is not a power of two between {finest_wh} Wh and the reference of {reference_wh} Wh"
    )]
    Quantum {
        /// The quantum, in watt-hours.
        quantum_wh: u64,
        /// The finest that the profile can carry, in watt-hours.
        finest_wh: u64,
        /// The reference, in watt-hours.
        reference_wh: u64,
    },
    /// The unit of squares is not usable, or there is one too many or one missing.
    #[error(
        "unit of squares {} does not fit layout {layout} with a reference of {reference_wh} Wh",
        described(*square_unit_wh2)
    )]
    SquareUnit {
        /// The unit, in square watt-hours.
        square_unit_wh2: Option<u64>,
        /// The layout: `moments` needs a unit, another has none.
        layout: Layout,
        /// The reference, in watt-hours.
        reference_wh: u64,
    },
    /// The number of readings is not that of the batch.
    #[error("{actual} readings were given for a batch of {batch}")]
    WrongBatch {
        /// Intervals in a report.
        batch: usize,
        /// Readings given.
        actual: usize,
    },
    /// A reading is larger than the reference.
    #[error("reading {index} of {reading_wh} Wh is above the reference of {reference_wh} Wh")]
    ReadingAboveReference {
        /// Interval of the report.
        index: usize,
        /// The reading, in watt-hours.
        reading_wh: i64,
        /// The reference, in watt-hours.
        reference_wh: u64,
    },
    /// A reading is not a whole number of quanta.
    #[error(
        "reading {index} of {reading_wh} Wh is not a multiple of the quantum of {quantum_wh} Wh"
    )]
    NotWhole {
        /// Interval of the report.
        index: usize,
        /// The reading, in watt-hours.
        reading_wh: i64,
        /// The quantum, in watt-hours.
        quantum_wh: u64,
    },
}

/// What the coefficients of a feeder's reports carry, and in which units.
///
/// Each class of coefficients carries whole units, and one unit is a power of two, chosen so that no
/// coefficient of a report is above `2^p`:
/// - one quantum of energy is `2^p × quantum / reference`, also of the greatest energy,
/// - one interval with a reading is `2^p`, as is one reading in a bin,
/// - one clamped reading is `2^p` over an eighth of the batch, rounded up to a power of two,
/// - one unit of squares is `2^p × unit / reference²`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encoding {
    /// Scale and ring.
    pub profile: &'static Profile,
    /// Which coefficient carries what.
    pub shape: Shape,
    /// The largest reading, in watt-hours; a power of two.
    pub reference_wh: u64,
    /// The step of readings, in watt-hours; a power of two.
    pub quantum_wh: u64,
    /// The step of squares, in square watt-hours, a power of two; of [`Layout::Moments`] only.
    pub square_unit_wh2: Option<u64>,
}

impl Encoding {
    /// Checks that the settings fit each other.
    ///
    /// # Errors
    /// [`LayoutError::Reference`], [`LayoutError::Quantum`] or [`LayoutError::SquareUnit`].
    pub fn new(
        profile: &'static Profile,
        shape: Shape,
        reference_wh: u64,
        quantum_wh: u64,
        square_unit_wh2: Option<u64>,
    ) -> Result<Self, LayoutError> {
        if !reference_wh.is_power_of_two() || reference_wh > MAX_REFERENCE_WH {
            return Err(LayoutError::Reference { reference_wh });
        }
        let finest_wh = (reference_wh >> profile.scale_bits).max(1);
        if !quantum_wh.is_power_of_two() || !(finest_wh..=reference_wh).contains(&quantum_wh) {
            return Err(LayoutError::Quantum {
                quantum_wh,
                finest_wh,
                reference_wh,
            });
        }
        let square = u128::from(reference_wh) * u128::from(reference_wh);
        let finest = (square >> profile.scale_bits).max(1);
        let fits = match (shape.layout(), square_unit_wh2) {
            (Layout::Profile | Layout::Maxima | Layout::Histogram, None) => true,
            (Layout::Moments, Some(unit)) => {
                unit.is_power_of_two() && (finest..=square).contains(&u128::from(unit))
            }
            _ => false,
        };
        if !fits {
            return Err(LayoutError::SquareUnit {
                square_unit_wh2,
                layout: shape.layout(),
                reference_wh,
            });
        }
        Ok(Self {
            profile,
            shape,
            reference_wh,
            quantum_wh,
            square_unit_wh2,
        })
    }

    /// The first [`Shape::coefficients`] coefficients of the plaintext, as residues modulo `q`; the
    /// others are zero.
    ///
    /// `readings` are those of one report, none where the meter has none.
    ///
    /// # Errors
    /// [`LayoutError::WrongBatch`], [`LayoutError::ReadingAboveReference`] or
    /// [`LayoutError::NotWhole`].
    pub fn encode(&self, readings: &[Option<Entered>]) -> Result<Vec<u64>, LayoutError> {
        self.check(readings)?;
        let [value_bits, presence_bits, clamped_bits, square_bits] = self.unit_bits();
        let ring = self.profile.ring;
        let shape = self.shape;
        let mut coefficients = vec![0i64; shape.coefficients()];
        for (k, reading) in readings.iter().enumerate() {
            let Some(entered) = reading else { continue };
            let quanta = entered.wh / self.quantum_wh as i64;
            coefficients[k] = quanta << value_bits;
            coefficients[shape.presence().start + k] = 1 << presence_bits;
            coefficients[shape.clamped().start + k / shape.eighth()] +=
                i64::from(entered.clamped) << clamped_bits;
            if shape.layout() == Layout::Histogram {
                let edges = shape.edges();
                coefficients[shape.bins().start + k * edges.bins() + edges.bin(entered.wh)] =
                    1 << presence_bits;
            }
        }
        let greatest = readings.iter().flatten().map(|entered| entered.wh).max();
        for coefficient in &mut coefficients[shape.maximum()] {
            *coefficient = (greatest.unwrap_or(0) / self.quantum_wh as i64) << value_bits;
        }
        if let Some(unit) = self.square_unit_wh2 {
            let readings = readings.iter().map(|reading| Some((*reading)?.wh));
            let squares = squares(readings, unit);
            for (coefficient, square) in coefficients[shape.squares()].iter_mut().zip(squares) {
                *coefficient = ((square / u128::from(unit)) << square_bits) as i64;
            }
        }
        let residues = coefficients.iter().map(|&value| ring.residue(value));
        Ok(residues.collect())
    }

    fn check(&self, readings: &[Option<Entered>]) -> Result<(), LayoutError> {
        if readings.len() != self.shape.batch() {
            return Err(LayoutError::WrongBatch {
                batch: self.shape.batch(),
                actual: readings.len(),
            });
        }
        for (index, reading) in readings.iter().enumerate() {
            let reading_wh = reading.map_or(0, |entered| entered.wh);
            if reading_wh.unsigned_abs() > self.reference_wh {
                return Err(LayoutError::ReadingAboveReference {
                    index,
                    reading_wh,
                    reference_wh: self.reference_wh,
                });
            }
            if !reading_wh.unsigned_abs().is_multiple_of(self.quantum_wh) {
                return Err(LayoutError::NotWhole {
                    index,
                    reading_wh,
                    quantum_wh: self.quantum_wh,
                });
            }
        }
        Ok(())
    }

    /// Binary logarithm of one quantum of energy, in units of the residues.
    #[must_use]
    pub fn quantum_bits(&self) -> u32 {
        self.unit_bits()[0]
    }

    /// The quanta that an energy has room for, of either sign, before it wraps around.
    #[must_use]
    pub fn room(&self) -> u64 {
        (self.profile.ring.modulus / 2) >> self.quantum_bits()
    }

    /// Binary logarithms of one unit of values, presence, clamped and squares.
    pub(super) fn unit_bits(&self) -> [u32; 4] {
        let scale_bits = self.profile.scale_bits;
        let reference_bits = self.reference_wh.ilog2();
        let eighth_bits = self.shape.eighth().next_power_of_two().ilog2();
        let square_bits = self.square_unit_wh2.map_or(0, u64::ilog2);
        [
            scale_bits + self.quantum_wh.ilog2() - reference_bits,
            scale_bits,
            scale_bits - eighth_bits,
            (scale_bits + square_bits).saturating_sub(2 * reference_bits),
        ]
    }
}

/// The squares of one report's readings as they enter it, in square watt-hours: whole multiples of
/// `unit_wh2`, so that a report's squares add up to within half a unit.
///
/// What is left after rounding (a half goes up) is carried to the next interval that has a reading;
/// nothing is carried into the first. An interval without a reading has the square 0. No square is
/// negative, nor above that of the reference, which is a multiple of the unit.
#[must_use]
pub fn squares(readings_wh: impl IntoIterator<Item = Option<i64>>, unit_wh2: u64) -> Vec<u128> {
    let unit = i128::from(unit_wh2);
    let mut rest = 0;
    let square = |reading: Option<i64>| {
        let Some(wh) = reading else { return 0 };
        let exact = i128::from(wh) * i128::from(wh) + rest;
        // `rest` is at least minus half a unit, so this is not negative.
        let entered = (exact + unit / 2) / unit * unit;
        rest = exact - entered;
        entered.unsigned_abs()
    };
    readings_wh.into_iter().map(square).collect()
}

fn described(square_unit_wh2: Option<u64>) -> String {
    square_unit_wh2.map_or_else(|| "(none)".to_owned(), |unit| format!("of {unit} Wh²"))
}
