//! The columns of a file by their names and their first rows, and which of them is the time.

use super::{
    clock,
    dialect::Dialect,
    error::FileError,
    look::{Look, look},
    names::{TIMES, TIMES_OF_DAY},
    options::Columns,
};

/// The columns of a file.
pub(super) struct View<'a> {
    pub(super) dialect: &'a Dialect,
    /// In lower case.
    pub(super) names: Vec<String>,
    /// How most of their fields look.
    pub(super) looks: Vec<Option<Look>>,
}

impl<'a> View<'a> {
    pub(super) fn new(dialect: &'a Dialect) -> Self {
        let places = 0..dialect.columns.len();
        Self {
            dialect,
            names: dialect
                .columns
                .iter()
                .map(|name| name.to_lowercase())
                .collect(),
            looks: places.map(|place| usual_look(dialect, place)).collect(),
        }
    }

    /// Place of the column of a name that a setting has.
    pub(super) fn named(&self, name: &str, setting: &str) -> Result<usize, FileError> {
        let place = self
            .dialect
            .columns
            .iter()
            .position(|column| column == name);
        let place = place.or_else(|| {
            self.names
                .iter()
                .position(|other| *other == name.to_lowercase())
        });
        place.ok_or_else(|| {
            let columns: Vec<String> = self
                .dialect
                .columns
                .iter()
                .take(20)
                .map(|column| format!("{column:?}"))
                .collect();
            let problem = format!(
                "no column {name:?}, which {setting} names: the columns are {}",
                columns.join(", ")
            );
            FileError::line(self.dialect.header.max(1), problem)
        })
    }

    /// Place of the time's column.
    pub(super) fn time(&self, columns: &Columns) -> Result<usize, FileError> {
        if let Some(name) = &columns.time {
            return self.named(name, "meter.columns.time");
        }
        let can_be = |place: &usize| {
            matches!(
                self.looks[*place],
                None | Some(Look::Time | Look::NumberOrTime | Look::Number)
            )
        };
        let places = || (0..self.names.len()).filter(can_be);
        let dated = |place: &usize| self.looks[*place] == Some(Look::Time);
        let known = TIMES
            .iter()
            .find_map(|name| places().find(|place| self.names[*place] == *name));
        let dates = places().find(dated);
        // A name that is known, unless the dates are elsewhere; then whatever has dates; then the first column.
        let known = known.filter(|place| dated(place) || dates.is_none());
        Ok(known.or(dates).unwrap_or(0))
    }

    /// Place of the time of day's column, where the time's has only dates.
    pub(super) fn time_of_day(&self, time: usize) -> Option<usize> {
        let date_only = |(_, row): &&(u64, Vec<String>)| {
            let written = row.get(time).and_then(|field| clock::read(field));
            written.is_some_and(|written| written.seconds.is_none())
        };
        if self.dialect.rows.is_empty()
            || !self.dialect.rows.iter().take(20).all(|row| date_only(&row))
        {
            return None;
        }
        let places =
            (0..self.names.len()).filter(|place| self.looks[*place] == Some(Look::TimeOfDay));
        let places: Vec<usize> = places.collect();
        let named = places
            .iter()
            .find(|place| TIMES_OF_DAY.contains(&self.names[**place].as_str()));
        named.or(places.first()).copied()
    }
}

/// How most fields of a column look in the first rows, those without a value aside.
fn usual_look(dialect: &Dialect, place: usize) -> Option<Look> {
    let missing = &dialect.numbers.missing;
    let looks = dialect
        .rows
        .iter()
        .take(100)
        .filter_map(|(_, row)| row.get(place));
    let looks: Vec<Look> = looks
        .map(|field| look(field, missing))
        .filter(|look| *look != Look::Missing)
        .collect();
    // Where some fields are numbers, the others are mistakes.
    let count = |look: &Look| {
        (
            looks.iter().filter(|other| *other == look).count(),
            *look != Look::Text,
        )
    };
    looks.iter().copied().max_by_key(count)
}
