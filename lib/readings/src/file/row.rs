//! What every form of file writes, and where it goes.

use super::error::FileError;

/// One value of a file, as its form says it, in the order of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// Line of the file, from 1.
    pub(super) line: u64,
    /// Name of the customer, as the file has it.
    pub(super) customer: &'a str,
    /// Start of the interval in seconds since the Unix epoch (its end where [`super::Found::label`] is the end); of a register,
    /// the instant of the read.
    pub(super) start: u64,
    /// Length of the interval in seconds; 0 where the form does not say it: the distance of a customer's rows is it then. A register's is 0.
    pub(super) interval_s: u32,
    /// What the row has.
    pub(super) value: Value,
}

/// What a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Energy of the interval in millionths of a watt-hour, rounded to the nearest; negative is export.
    Energy(i64),
    /// Mean power over the interval in billionths of a watt, rounded to the nearest: energy, once the length of the interval is known.
    Power(i64),
    /// A counter that only rises, in millionths of a watt-hour.
    Register(i64),
    /// There is no reading.
    Missing,
}

/// Takes rows in the order of the file.
pub(super) trait Sink {
    /// Takes one row.
    ///
    /// # Errors
    /// Where it contradicts those before it.
    fn take(&mut self, row: Row<'_>) -> Result<(), FileError>;
}
