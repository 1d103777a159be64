//! Which columns of a file are customers and readings.

use super::{
    clock,
    error::FileError,
    found::{Form, Unit},
    look::Look,
    names::{METERS, NO_ENERGY, READINGS},
    options::{Columns, With},
    view::View,
};

/// What the other columns are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// A customer each.
    Wide(Vec<usize>),
    /// One is the customer, if there is more than one, and the others readings: of the row's time, or of so many seconds later.
    Long {
        meter: Option<usize>,
        readings: Vec<(usize, u64)>,
    },
}

impl View<'_> {
    /// What the columns `rest` are, beside the one of the time.
    pub(super) fn shape(
        &self,
        rest: &[usize],
        time: usize,
        with: &With<'_>,
    ) -> Result<Shape, FileError> {
        let columns = &with.options.columns;
        let meter = match &columns.meter {
            Some(name) => Some(self.named(name, "meter.columns.meter")?),
            None => METERS.iter().find_map(|name| {
                rest.iter()
                    .copied()
                    .find(|place| self.names[*place] == *name)
            }),
        };
        let numeric = |place: &usize| {
            matches!(
                self.looks[*place],
                None | Some(Look::Number | Look::NumberOrTime)
            )
        };
        let others = rest
            .iter()
            .copied()
            .filter(|place| Some(*place) != meter && numeric(place));
        let others: Vec<usize> = others.collect();
        let of_day = self.times_of_day_as_names(&others);
        if !of_day.is_empty() {
            return Ok(Shape::Long {
                meter,
                readings: of_day,
            });
        }
        let long = with.options.form == Some(Form::Long)
            || columns.value.is_some()
            || columns.meter.is_some();
        let meter = match (meter, with.options.form) {
            (_, Some(Form::Wide)) => None,
            (Some(meter), _) => Some(meter),
            (None, _) => self.meter_by_content(rest, &others, time),
        };
        if meter.is_none() && !long {
            return self.wide(others, rest);
        }
        let others: Vec<usize> = others
            .into_iter()
            .filter(|place| Some(*place) != meter)
            .collect();
        let reading = self.reading(&others, columns)?;
        Ok(Shape::Long {
            meter,
            readings: vec![(reading, 0)],
        })
    }

    /// The customer's column by what it has: the text before the only column of numbers, or in a file without a header the numbers
    /// before the time.
    fn meter_by_content(&self, rest: &[usize], others: &[usize], time: usize) -> Option<usize> {
        let texts = rest
            .iter()
            .copied()
            .filter(|place| self.looks[*place] == Some(Look::Text));
        let before = rest.iter().copied().find(|place| *place < time);
        match others {
            [reading] => texts.clone().find(|place| *place < time || place < reading),
            [first, _] if Some(*first) == before && self.dialect.header == 0 => before,
            _ => None,
        }
    }

    fn wide(&self, customers: Vec<usize>, rest: &[usize]) -> Result<Shape, FileError> {
        let word = |place: &usize| {
            let mut words = self.names[*place].split(|c: char| !c.is_alphanumeric());
            words.any(|word| NO_ENERGY.contains(&word))
        };
        let strange: Vec<&String> = rest
            .iter()
            .filter(|place| word(place))
            .map(|place| &self.dialect.columns[*place])
            .collect();
        if 2 * strange.len() >= customers.len() && !strange.is_empty() {
            let problem = format!(
                "columns such as {:?} are not energy, so the columns (separated by {:?}) are not one customer each: a file needs a \
                 column for each customer's energy, or a row for each customer and interval, and totals are released of at least 15 \
                 customers (to read one column, name it with meter.columns.value)",
                strange[0], self.dialect.separator
            );
            return Err(FileError::line(self.dialect.header.max(1), problem));
        }
        if customers.is_empty() {
            let problem = "no column of numbers beside the time: a file needs one for each customer, or one for the customer and one \
                for the reading (meter.columns says which)";
            return Err(FileError::line(self.dialect.header.max(1), problem));
        }
        Ok(Shape::Wide(customers))
    }

    /// The reading's column among `others`.
    fn reading(&self, others: &[usize], columns: &Columns) -> Result<usize, FileError> {
        if let Some(name) = &columns.value {
            return self.named(name, "meter.columns.value");
        }
        let known = READINGS
            .iter()
            .find_map(|name| others.iter().find(|place| self.names[**place] == *name));
        let units = others
            .iter()
            .filter(|place| Unit::in_name(&self.names[**place]).is_some());
        let units: Vec<&usize> = units.collect();
        match (known, &units[..], others) {
            (Some(place), _, _) | (None, [], [place]) => Ok(*place),
            (None, [place], _) => Ok(**place),
            (None, _, []) => {
                let problem = "no column with the reading: a row for each customer and interval has a customer, a time and a number, \
                    such as LCLid, DateTime, \"KWH/hh (per half hour)\" (meter.columns says which is which)";
                Err(FileError::line(self.dialect.header.max(1), problem))
            }
            _ => {
                let names: Vec<String> = others
                    .iter()
                    .take(8)
                    .map(|place| format!("{:?}", self.dialect.columns[*place]))
                    .collect();
                Err(FileError::Ambiguous {
                    question: format!(
                        "line {}: the reading can be {}",
                        self.dialect.header,
                        names.join(", ")
                    ),
                    setting: "meter.columns.value = \"NAME\"",
                })
            }
        }
    }

    /// Columns that are named after times of day, or hh_0, hh_1, …, with the seconds after midnight.
    fn times_of_day_as_names(&self, others: &[usize]) -> Vec<(usize, u64)> {
        let count = others.len() as u64;
        if count < 24 || 86_400 % count != 0 {
            return Vec::new();
        }
        let offset = |place: usize| {
            let name = &self.names[place];
            let numbered = name
                .strip_prefix("hh_")
                .and_then(|number| number.parse::<u64>().ok());
            let numbered = numbered.map(|number| number * (86_400 / count));
            numbered.or_else(|| u64::try_from(clock::time_of_day(name)?).ok())
        };
        let offsets = others.iter().map(|place| Some((*place, offset(*place)?)));
        let offsets: Option<Vec<(usize, u64)>> = offsets.collect();
        let mut offsets = offsets.unwrap_or_default();
        // A last one named 00:00 is the end of the day.
        if let [.., before, last] = &mut offsets[..]
            && last.1 == 0
            && before.1 > 0
        {
            last.1 = 86_400;
        }
        offsets
    }
}
