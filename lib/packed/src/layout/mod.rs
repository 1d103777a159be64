//! Which coefficient of a report carries what, and in which unit.

mod encoding;
mod totals;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

pub use encoding::{Encoding, Entered, LayoutError, squares};
pub use totals::{DecodeError, Totals};

use crate::RING;

/// Coefficients that are encrypted as zero, so that their decryption shows how much noise there is.
const CHECKS: usize = 32;

/// Coefficients that count clamped readings: one for each eighth of a report's intervals.
const CLAMPED: usize = 8;

/// What a report carries for each of its intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Energy, and whether there was a reading.
    Profile,
    /// As [`Layout::Profile`], and the square of the reading: mean and variance for the price of
    /// a sum.
    Moments,
}

/// A layout name that this build does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown layout \"{name}\": known are profile, moments")]
pub struct UnknownLayout {
    /// The name that was asked for.
    pub name: String,
}

/// A batch that no report can carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// No interval at all.
    #[error("a batch of 0 intervals")]
    Empty,
    /// More than the ring has coefficients for.
    #[error(
        "layout {layout} with a batch of {batch} needs {needed} coefficients, above {available}"
    )]
    TooLarge {
        /// The layout.
        layout: Layout,
        /// Intervals in a report.
        batch: u16,
        /// Coefficients they need.
        needed: usize,
        /// Coefficients of a polynomial.
        available: usize,
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

/// The coefficients of a report of `batch` intervals, in this order: values, presence, clamped,
/// squares, zero checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    layout: Layout,
    batch: u16,
}

impl Shape {
    /// The shape of reports of `batch` intervals.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub const fn new(layout: Layout, batch: u16) -> Result<Self, ShapeError> {
        let shape = Self { layout, batch };
        if batch == 0 {
            return Err(ShapeError::Empty);
        }
        if shape.coefficients() > RING.dimension {
            return Err(ShapeError::TooLarge {
                layout,
                batch,
                needed: shape.coefficients(),
                available: RING.dimension,
            });
        }
        Ok(shape)
    }

    /// What a report carries for each interval.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Intervals in a report.
    #[must_use]
    pub const fn batch(&self) -> usize {
        self.batch as usize
    }

    /// Coefficient `k` is the energy of interval `k`.
    #[must_use]
    pub const fn values(&self) -> Range<usize> {
        0..self.batch()
    }

    /// Coefficient `k` of these is 1 if interval `k` has a reading.
    #[must_use]
    pub const fn presence(&self) -> Range<usize> {
        let start = self.values().end;
        start..start + self.batch()
    }

    /// Coefficient `i` of these counts the clamped readings of
    /// [`eighth`](Self::eighth) `i` of the intervals.
    #[must_use]
    pub const fn clamped(&self) -> Range<usize> {
        let start = self.presence().end;
        start..start + CLAMPED
    }

    /// Coefficient `k` of these is the square of the reading of interval `k`; empty unless the
    /// layout is [`Layout::Moments`].
    #[must_use]
    pub const fn squares(&self) -> Range<usize> {
        let start = self.clamped().end;
        match self.layout {
            Layout::Profile => start..start,
            Layout::Moments => start..start + self.batch(),
        }
    }

    /// Coefficients that are zero in every report: 32, and as many as make their number in all a
    /// multiple of eight.
    #[must_use]
    pub const fn checks(&self) -> Range<usize> {
        let start = self.squares().end;
        start..(start + CHECKS).next_multiple_of(8)
    }

    /// Coefficients in all, a multiple of eight.
    #[must_use]
    pub const fn coefficients(&self) -> usize {
        self.checks().end
    }

    /// Intervals that one coefficient of [`clamped`](Self::clamped) covers, the last ones fewer
    /// or none: coefficient `i` the intervals from `i × eighth` on.
    #[must_use]
    pub const fn eighth(&self) -> usize {
        self.batch().div_ceil(CLAMPED)
    }
}
