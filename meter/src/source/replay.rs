//! Replay of interval data from a CSV file.

use std::{fs::File, io::Read, path::Path};

use wire::UnixSeconds;

use super::{
    MeterSpec, Reading, Source, SourceError, lcl,
    parse::{CsvError, Rows},
    table::Table,
    wide, zone,
};

/// No longer gap is filled, in intervals: half a year of half hours.
pub const LARGEST_FILLED_GAP: u64 = 8_784;

/// What to do about intervals for which a file has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// Refuse the file, naming the line at which it goes on.
    #[default]
    Refuse,
    /// Read them as missing, up to [`LARGEST_FILLED_GAP`] at a time.
    Missing,
}

/// How to read a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// When hour 0 is, for a file whose first column counts hours. A multiple of the file's interval.
    pub start: UnixSeconds,
    /// IANA name of the time zone of timestamps without a UTC offset.
    pub time_zone: String,
    /// What to do about missing rows.
    pub gaps: Gaps,
}

impl Default for ReplayOptions {
    /// Hour 0 on Monday, 3 March 2014, UTC.
    fn default() -> Self {
        Self {
            start: UnixSeconds(1_393_804_800),
            time_zone: "UTC".to_owned(),
            gaps: Gaps::default(),
        }
    }
}

/// The forms of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A column a customer: [`super::wide`].
    Wide,
    /// A row for each customer and half hour: [`super::lcl`].
    LowCarbonLondon,
}

/// A file's interval data, in memory.
///
/// A customer's declared capacity is its greatest demand of either sign in the file, rounded up to a watt.
#[derive(Debug, Clone)]
pub struct Replay {
    form: Form,
    ignored: u64,
    table: Table,
}

/// Reads the file at `path`. Its form is told by its header: one with a column `LCLid` is Low Carbon London's, any
/// other the wide one.
///
/// # Errors
/// [`SourceError::Io`], [`SourceError::TimeZone`], and [`SourceError::Csv`], which says what is wrong and where.
pub fn open_replay(path: &Path, options: &ReplayOptions) -> Result<Replay, SourceError> {
    let file = File::open(path).map_err(|error| SourceError::Io {
        path: path.to_owned(),
        error,
    })?;
    Replay::from_reader(file, path, options)
}

impl Replay {
    /// Reads `input`, which errors call `name`. As [`open_replay`].
    ///
    /// # Errors
    /// As [`open_replay`].
    pub fn from_reader(
        input: impl Read,
        name: &Path,
        options: &ReplayOptions,
    ) -> Result<Self, SourceError> {
        let zone = zone(&options.time_zone)?;
        let read = || -> Result<Self, CsvError> {
            let rows = Rows::new(input)?;
            let london = rows
                .header
                .iter()
                .any(|c| c.eq_ignore_ascii_case(lcl::CUSTOMER));
            Ok(if london {
                let (table, ignored) = lcl::read(rows, options, &zone)?;
                Self {
                    form: Form::LowCarbonLondon,
                    ignored,
                    table,
                }
            } else {
                Self {
                    form: Form::Wide,
                    ignored: 0,
                    table: wide::read(rows, options, &zone)?,
                }
            })
        };
        read().map_err(|error| SourceError::Csv {
            path: name.to_owned(),
            error: Box::new(error),
        })
    }

    /// Which form the file has.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Rows that were ignored: see the rules of [`super::lcl`].
    pub fn ignored_rows(&self) -> u64 {
        self.ignored
    }
}

impl Source for Replay {
    fn meters(&self) -> &[MeterSpec] {
        self.table.meters()
    }

    fn interval_s(&self) -> u32 {
        self.table.interval_s()
    }

    fn range(&self) -> (UnixSeconds, Option<UnixSeconds>) {
        self.table.range()
    }

    fn read(
        &mut self,
        interval_start: UnixSeconds,
        interval_s: u32,
        out: &mut Vec<Reading>,
    ) -> Result<(), SourceError> {
        self.table.read(interval_start, interval_s, out)
    }
}
