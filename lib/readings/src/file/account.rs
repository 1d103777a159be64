//! What became of the rows of a file.

/// What became of the rows of a file. Nothing is dropped that is not counted here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Rows, or values of a row with several, that the file has.
    pub rows: u64,
    /// Rows that repeat another one, and were left out.
    pub repeated: u64,
    /// Rows between two intervals that have no value, and were left out.
    pub between: u64,
    /// Lines of separators only.
    pub blank: u64,
    /// Readings: values of intervals, or intervals with the reads of a register at both ends.
    pub readings: u64,
    /// Intervals between a customer's first and last that have no reading, those without a row among them.
    pub missing: u64,
    /// Intervals between a customer's first and last that have no row.
    pub without_row: u64,
    /// Intervals in which a register was swapped or set back.
    pub swapped: u64,
    /// Readings of a part of an interval whose other parts are missing, and what they come to in µWh: left out.
    pub partial: u64,
    /// See `partial`.
    pub partial_uwh: i128,
    /// Energy of all readings in µWh, those left out among them.
    pub total_uwh: i128,
}
