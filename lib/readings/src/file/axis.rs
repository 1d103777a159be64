//! The times of a file's rows, from one column or from two.

use csv::StringRecord;

use super::{
    dialect::{Dialect, split},
    error::FileError,
    options::With,
    roles::Roles,
    times::Times,
};

/// Reads the time of a row.
pub(super) struct Axis<'a> {
    pub(super) times: Times<'a>,
    dialect: &'a Dialect,
    time: usize,
    time_of_day: Option<usize>,
    /// Both columns of a row, joined.
    joined: String,
}

impl<'a> Axis<'a> {
    /// Finds out how the times of the first lines, `head`, are written.
    pub(super) fn sniff(
        head: &[String],
        dialect: &'a Dialect,
        roles: &Roles,
        with: &With<'a>,
    ) -> Result<Self, FileError> {
        let time = |fields: &[String]| {
            let date = fields.get(roles.time)?;
            match roles.time_of_day {
                Some(place) => Some(format!("{date} {}", fields.get(place)?)),
                None => Some(date.clone()),
            }
        };
        let lines = (1u64..)
            .zip(head)
            .skip_while(|(line, _)| *line < dialect.first);
        let samples =
            lines.filter_map(|(line, text)| Some((line, time(&split(text, dialect.separator))?)));
        let samples: Vec<(u64, String)> = samples
            .filter(|(_, text)| !text.trim().is_empty())
            .collect();
        Ok(Self {
            times: Times::sniff(&samples, with, &dialect.numbers)?,
            dialect,
            time: roles.time,
            time_of_day: roles.time_of_day,
            joined: String::new(),
        })
    }

    /// Seconds since the Unix epoch of a row; `previous` is the time of the same customer's row before.
    pub(super) fn at(
        &mut self,
        line: u64,
        row: &StringRecord,
        previous: Option<u64>,
    ) -> Result<u64, FileError> {
        let column = (line, self.dialect.columns[self.time].as_str());
        let date = row.get(self.time).unwrap_or_default();
        let Some(place) = self.time_of_day else {
            return self.times.at(column, date, previous);
        };
        self.joined.clear();
        self.joined.push_str(date);
        self.joined.push(' ');
        self.joined.push_str(row.get(place).unwrap_or_default());
        self.times.at(column, &self.joined, previous)
    }
}
