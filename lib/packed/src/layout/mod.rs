//! Which coefficient of a report carries what, and in which unit.

mod edges;
mod encoding;
mod totals;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

pub use edges::{Edges, EdgesError, MAX_EDGES};
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
    /// As [`Layout::Profile`], and the meter's greatest reading: the sum of the customers' own peaks, for the price of one value.
    Maxima,
    /// As [`Layout::Profile`], and the square of the reading: mean and variance for the price of
    /// a sum.
    Moments,
    /// As [`Layout::Profile`], and a 1 for the bin that the reading is in: how many meters consumed how much.
    Histogram,
}

/// A layout name that this build does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown layout \"{name}\": known are profile, maxima, moments, histogram")]
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
    /// Edges of bins that cannot be used.
    #[error("layout {layout} has edges that cannot be used")]
    Edges {
        /// The layout.
        layout: Layout,
        /// Why not.
        source: EdgesError,
    },
    /// Edges of bins, and no layout that has bins.
    #[error("layout {layout} has no bins, and edges of bins were given")]
    NoBins {
        /// The layout.
        layout: Layout,
    },
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
    pub const ALL: [Self; 4] = [Self::Profile, Self::Maxima, Self::Moments, Self::Histogram];

    /// The name a plan carries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Maxima => "maxima",
            Self::Moments => "moments",
            Self::Histogram => "histogram",
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
/// squares, bins, maximum, zero checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    layout: Layout,
    batch: u16,
    /// None unless the layout is [`Layout::Histogram`].
    edges: Edges,
}

/// The layout, and its edges if it has some.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layout {
            Layout::Histogram => write!(f, "{} with edges {:?} Wh", self.layout, self.edges.wh()),
            _ => self.layout.fmt(f),
        }
    }
}

impl Shape {
    /// The shape of reports of `batch` intervals, in a layout without bins.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn new(layout: Layout, batch: u16) -> Result<Self, ShapeError> {
        Self::with_edges(layout, &[], batch)
    }

    /// The shape of reports of `batch` intervals. [`Layout::Histogram`] has `edges_wh` of its bins, in watt-hours of an
    /// interval; another layout has none.
    ///
    /// # Errors
    /// [`ShapeError`].
    pub fn with_edges(layout: Layout, edges_wh: &[u64], batch: u16) -> Result<Self, ShapeError> {
        let edges = match layout {
            Layout::Histogram => {
                Edges::new(edges_wh).map_err(|source| ShapeError::Edges { layout, source })?
            }
            _ if !edges_wh.is_empty() => return Err(ShapeError::NoBins { layout }),
            _ => Edges::default(),
        };
        let shape = Self {
            layout,
            batch,
            edges,
        };
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
            Layout::Moments => start..start + self.batch(),
            Layout::Profile | Layout::Maxima | Layout::Histogram => start..start,
        }
    }

    /// The bins of a reading; there are none unless the layout is [`Layout::Histogram`].
    #[must_use]
    pub const fn edges(&self) -> &Edges {
        &self.edges
    }

    /// One coefficient for each bin of interval 0, then of interval 1 and on: 1 if the reading is in that bin, else 0. Empty
    /// unless the layout is [`Layout::Histogram`].
    #[must_use]
    pub const fn bins(&self) -> Range<usize> {
        let start = self.squares().end;
        start..start + self.batch() * self.edges.bins()
    }

    /// One coefficient, the greatest reading of the intervals; empty unless the layout is [`Layout::Maxima`].
    #[must_use]
    pub const fn maximum(&self) -> Range<usize> {
        let start = self.bins().end;
        match self.layout {
            Layout::Maxima => start..start + 1,
            Layout::Profile | Layout::Moments | Layout::Histogram => start..start,
        }
    }

    /// Coefficients that are zero in every report: 32, and as many as make their number in all a
    /// multiple of eight.
    #[must_use]
    pub const fn checks(&self) -> Range<usize> {
        let start = self.maximum().end;
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
