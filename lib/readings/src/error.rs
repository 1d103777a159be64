//! Why a source cannot be opened, or cannot answer.

use std::path::PathBuf;

use crate::{FileError, MetersError};

/// Why a source cannot be opened, or cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The interval is shorter than the source's, or not a multiple of it.
    #[error(
        "an interval of {asked_s} s cannot be made of the source's intervals of {native_s} s: it must be a multiple of it"
    )]
    Interval {
        /// The length asked for, in seconds.
        asked_s: u32,
        /// The source's own length, in seconds.
        native_s: u32,
    },
    /// A simulated interval does not divide a day.
    #[error("an interval of {asked_s} s does not divide a day of 86400 s")]
    NotInDay {
        /// The length asked for, in seconds.
        asked_s: u32,
    },
    /// The interval starts between two of the source's intervals.
    #[error(
        "an interval cannot start at {start}: the source's intervals start at multiples of {native_s} s since the Unix epoch"
    )]
    Misaligned {
        /// The start asked for, in seconds since the Unix epoch.
        start: u64,
        /// The source's own interval, in seconds.
        native_s: u32,
    },
    /// The interval lies outside the source's range.
    #[error(
        "no reading at {start}: the source covers {from} to {to} (seconds since the Unix epoch)"
    )]
    OutOfRange {
        /// The start asked for.
        start: u64,
        /// Start of the range.
        from: u64,
        /// End of the range, exclusive.
        to: u64,
    },
    /// The time zone is not in the IANA database.
    #[error(transparent)]
    TimeZone(#[from] wire::ZoneError),
    /// A setting of the simulated fleet is out of its bounds.
    #[error("{name} is {value}: {rule}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// `meter.source` is `replay` and no file is named.
    #[error("meter.source is \"replay\" but meter.replay names no file: give --replay FILE")]
    NoFile,
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A file's content is refused.
    #[error("{path} cannot be replayed")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        error: Box<FileError>,
    },
    /// A file of meters is refused.
    #[error("meter.meters_file {path} cannot be used")]
    Meters {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        error: Box<MetersError>,
    },
    /// A mapping of `meter.feed.mappings` cannot be used.
    #[error("meter.feed.mappings, number {number}: {problem}")]
    Mapping {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
}
