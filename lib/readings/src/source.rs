//! Where readings come from.

use wire::UnixSeconds;

use crate::{MeterSpec, Reading, SourceError};

/// A fixed set of meters and their readings.
///
/// ```
/// use std::path::Path;
/// use readings::{MicroWattHours, Reading, Replay, ReplayOptions, Source};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let csv = "hour,home-1,home-2\n0,0.250,0.100\n1,0.300,\n".as_bytes();
/// let mut source = Replay::from_reader(csv, Path::new("two-homes.csv"), &ReplayOptions::default())?;
/// let start = source.range().0;
/// let mut readings = Vec::new();
/// source.read(start, 7_200, &mut readings)?;
/// // Two hours of one home, and of one whose second hour is missing.
/// assert_eq!(readings, [Reading::Energy(MicroWattHours(550_000_000)), Reading::Missing]);
/// # Ok(())
/// # }
/// ```
///
/// `meter/examples/custom_source.rs` implements it, and runs a gateway on it.
pub trait Source: Send {
    /// The meters, in the order of their readings.
    fn meters(&self) -> &[MeterSpec];

    /// The shortest interval the source can answer for, in seconds: one, for a source that makes its intervals as long as they are
    /// asked for.
    fn interval_s(&self) -> u32 {
        1
    }

    /// The time the source covers: its start, and its end (exclusive) unless it has none. All of it, for a source that answers at
    /// any time.
    fn range(&self) -> (UnixSeconds, Option<UnixSeconds>) {
        (UnixSeconds(0), None)
    }

    /// Replaces the content of `out` by the readings of the interval that starts at `interval_start`
    /// and lasts `interval_s` seconds: one for each meter, in the order of [`Source::meters`].
    ///
    /// # Errors
    /// [`SourceError::Interval`] for a length the source cannot answer for, [`SourceError::Misaligned`] for a
    /// start between two native intervals, [`SourceError::OutOfRange`] for an interval wholly outside
    /// [`Source::range`] (one that is partly outside reads as [`Reading::Missing`]). `out` is then empty.
    fn read(
        &mut self,
        interval_start: UnixSeconds,
        interval_s: u32,
        out: &mut Vec<Reading>,
    ) -> Result<(), SourceError>;
}
