//! Which columns of a file are what.

use super::{
    dialect::Dialect,
    error::FileError,
    found::{Label, Unit},
    names::{ENDS, UNIT_WORDS, labelled},
    options::With,
    shape::Shape,
    view::View,
};

/// Which columns of a file are what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) time: usize,
    /// The time of day, where it has a column of its own.
    pub(super) time_of_day: Option<usize>,
    /// What the name of the time's column says of it.
    pub(super) label: Option<Label>,
    /// The unit that the file says, where it says one for all.
    pub(super) unit: Option<Unit>,
    pub(super) shape: Shape,
    /// Columns that are not looked at.
    pub(super) left_out: Vec<String>,
}

/// Looks at the names and the first rows.
pub(super) fn roles(dialect: &Dialect, with: &With<'_>) -> Result<Roles, FileError> {
    let columns = &with.options.columns;
    let view = View::new(dialect);
    let time = view.time(columns)?;
    let time_of_day = view.time_of_day(time);
    let is_time = |place: usize| place == time || Some(place) == time_of_day;
    let named = |names: &[String], setting: &str| -> Result<Vec<usize>, FileError> {
        let places = names.iter().map(|name| view.named(name, setting));
        places.collect()
    };
    named(&columns.keep, "meter.columns.keep")?;
    let skipped = named(&columns.skip, "meter.columns.skip")?;
    let rest: Vec<usize> = (0..view.names.len())
        .filter(|place| !is_time(*place) && !skipped.contains(place))
        .collect();
    let shape = view.shape(&rest, time, with)?;
    let used = |place: &usize| match &shape {
        Shape::Wide(customers) => customers.contains(place),
        Shape::Long { meter, readings } => {
            Some(*place) == *meter || readings.iter().any(|(reading, _)| reading == place)
        }
    };
    let left_out = (0..view.names.len()).filter(|place| !is_time(*place) && !used(place));
    let left_out = left_out
        .map(|place| dialect.columns[place].clone())
        .collect();
    let words: Vec<&str> = view.names[time]
        .split(|c: char| !c.is_alphanumeric())
        .collect();
    let label = ENDS
        .iter()
        .any(|end| words.contains(end))
        .then_some(Label::End);
    Ok(Roles {
        time,
        time_of_day,
        label: label.or(midnight_last(&shape)),
        unit: unit(dialect, &shape),
        shape,
        left_out,
    })
}

/// Whether readings of a day end at its end, so that they are named after the ends of intervals.
fn midnight_last(shape: &Shape) -> Option<Label> {
    match shape {
        Shape::Long { readings, .. } => {
            let ends = readings.iter().any(|(_, offset_s)| *offset_s == 86_400);
            ends.then_some(Label::End)
        }
        Shape::Wide(_) => None,
    }
}

/// The unit that the file says for all of its readings, in a name or before the rows.
fn unit(dialect: &Dialect, shape: &Shape) -> Option<Unit> {
    let in_name = match shape {
        Shape::Long { readings, .. } => readings
            .first()
            .and_then(|(place, _)| Unit::in_name(&dialect.columns[*place])),
        Shape::Wide(_) => None,
    };
    in_name
        .or_else(|| labelled(&dialect.preface, UNIT_WORDS)?.parse().ok())
        .or_else(|| {
            let fields = dialect.preface.last()?;
            let mut units = fields
                .iter()
                .filter_map(|field| field.trim_matches(['(', ')', '[', ']']).parse().ok());
            let first = units.next()?;
            units.all(|unit| unit == first).then_some(first)
        })
}

#[cfg(test)]
mod tests;
