//! Files of interval data.

use std::{fs::File, io::Read, path::Path};

use wire::UnixSeconds;

use self::{
    fields::read_fields, forms::KNOWN, options::With, series::Series, table::Table, text::Text,
};
use crate::{MeterSpec, Reading, Source, SourceError};

mod account;
mod assemble;
mod axis;
mod check;
mod clock;
mod column;
mod compact;
mod container;
mod counters;
mod customer;
mod dialect;
mod doubts;
mod error;
mod fields;
mod finish;
mod forms;
mod found;
mod ids;
mod intervals;
mod look;
mod marks;
mod names;
mod number;
mod options;
mod roles;
mod row;
mod rows;
mod run;
mod series;
mod shape;
mod style;
mod table;
mod text;
mod times;
mod unit;
mod utf16;
mod view;

pub use self::{
    account::Account,
    doubts::{Doubt, Subject},
    error::FileError,
    found::{DateOrder, Form, Found, Label, Unit, Values},
    options::{Columns, Gaps, ReplayOptions},
};

/// A file's interval data, in memory.
///
/// A customer's declared capacity is its greatest demand of either sign in the file, rounded up to a watt.
#[derive(Debug, Clone)]
pub struct Replay {
    found: Found,
    doubts: Vec<Doubt>,
    account: Account,
    table: Table,
}

/// Reads the file at `path`.
///
/// # Errors
/// [`SourceError::Io`], [`SourceError::TimeZone`], and [`SourceError::File`], which says what is wrong and where.
pub fn open_replay(path: &Path, options: &ReplayOptions) -> Result<Replay, SourceError> {
    let open = || {
        File::open(path).map_err(|error| SourceError::Io {
            path: path.to_owned(),
            error,
        })
    };
    let file = open()?;
    // What can be read only once is kept until all of it is understood.
    let again = file.metadata().is_ok_and(|metadata| metadata.is_file());
    if let Some(replay) = Replay::of(file, path, options, again)? {
        return Ok(replay);
    }
    Replay::from_reader(open()?, path, options)
}

impl Replay {
    /// Reads `input`, which errors call `name`.
    ///
    /// # Errors
    /// As [`open_replay`].
    pub fn from_reader(
        input: impl Read,
        name: &Path,
        options: &ReplayOptions,
    ) -> Result<Self, SourceError> {
        let replay = Self::of(input, name, options, false)?;
        Ok(replay.unwrap_or_else(|| unreachable!("nothing is forgotten")))
    }

    /// Reads `input`; with `forget`, values that are not to be kept are forgotten as they come. None if they are needed after all.
    fn of(
        input: impl Read,
        name: &Path,
        options: &ReplayOptions,
        forget: bool,
    ) -> Result<Option<Self>, SourceError> {
        let zone = wire::time_zone(&options.time_zone)?;
        let with = With {
            options,
            zone: &zone,
        };
        let series = Series::new(options.keep.filter(|_| forget));
        let read = check::of_each_other(options)
            .and_then(|()| text::open(input, |text| read(text, &with, series)));
        read.map_err(|error| SourceError::File {
            path: name.to_owned(),
            error: Box::new(error),
        })
    }

    /// What the file is.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// What may have been read wrongly.
    #[must_use]
    pub fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    /// What became of the file's rows.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Number and energy in µWh of the readings from `from` until `until`, in seconds since the Unix epoch, of those in memory.
    #[must_use]
    pub fn between(&self, from: u64, until: u64) -> (u64, i128) {
        self.table.between(from, until)
    }

    /// Says in the log what the file is, and what is doubtful about it.
    pub fn say(&self, path: &Path) {
        let account = &self.account;
        tracing::info!(
            path = %path.display(), found = %self.found, customers = self.meters().len(), rows = account.rows,
            readings = account.readings, missing = account.missing, repeated = account.repeated,
            "readings are replayed from a file"
        );
        for doubt in &self.doubts {
            tracing::warn!(path = %path.display(), "{doubt}");
        }
    }
}

fn read(
    mut text: Text<'_>,
    with: &With<'_>,
    mut series: Series,
) -> Result<Option<Replay>, FileError> {
    let known = match with.options.form {
        Some(form) => KNOWN.iter().find(|known| known.form == form),
        None => KNOWN.iter().find(|known| (known.is)(text.head())),
    };
    let mut found = unread(with.options);
    let said = match known {
        Some(known) => {
            found.form = known.form;
            check::of_form(with.options, known.form)?;
            // What no setting says of these forms.
            (found.label, found.unit, found.values) = (Label::Start, Unit::KWh, Values::Interval);
            (known.read)(&mut text, with, &mut found, &mut series)?;
            fields::Said {
                unit: true,
                ..fields::Said::default()
            }
        }
        None => read_fields(&mut text, with, &mut found, &mut series)?,
    };
    found.encoding = text.encoding();
    drop(text);
    let finished = finish::finish(series, &mut found, said, with)?;
    Ok(finished.map(|(doubts, account, table)| Replay {
        found,
        doubts,
        account,
        table,
    }))
}

/// What is known before a file is looked at.
fn unread(options: &ReplayOptions) -> Found {
    Found {
        form: Form::Wide,
        encoding: String::new(),
        separator: ' ',
        decimal: '.',
        thousands: None,
        header: 0,
        unit: options.unit.unwrap_or(Unit::KWh),
        values: options.values.unwrap_or(Values::Interval),
        label: options.label.unwrap_or(Label::Start),
        date_order: options.date_order.unwrap_or(DateOrder::YearFirst),
        interval_s: 0,
        start: options.start,
        time_zone: options.time_zone.clone(),
        left_out: Vec::new(),
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

#[cfg(test)]
pub(crate) mod tests;
