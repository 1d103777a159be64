//! Which columns of a file are what.

use anyhow::{Result, bail};
use readings::{Form, Found, ReplayOptions};

use super::clock::{is_date_alone, is_time, time_of_day};
use super::number::Style as Numbers;

/// Names of a time's column, where its content does not tell.
const TIME_NAMES: [&str; 12] = [
    "datetime",
    "tstp",
    "timestamp",
    "time",
    "date_time",
    "date",
    "start",
    "start_time",
    "period_start",
    "utc",
    "local_time",
    "zeit",
];
/// Names of a customer's column, in parts.
const METER_NAMES: [&str; 12] = [
    "id", "meter", "customer", "house", "home", "nmi", "pod", "cups", "zählp", "prm", "site",
    "device",
];

/// The customer's column, and those of the times of a day with their seconds.
type DayColumns = (Option<usize>, Vec<(usize, i64)>);

/// Where the columns are.
pub(super) struct Places {
    pub(super) time: usize,
    pub(super) time_of_day: Option<usize>,
    /// The customers' columns of a wide file.
    pub(super) customers: Vec<usize>,
    /// The customer's column of a long one, and its readings with the seconds after the row's time.
    pub(super) meter: Option<usize>,
    pub(super) readings: Vec<(usize, i64)>,
}

impl Places {
    /// A row's time, of both of its columns where it has two.
    pub(super) fn time_of(&self, row: &[&str]) -> String {
        let field = |place: usize| row.get(place).copied().unwrap_or_default();
        let date = field(self.time);
        match self.time_of_day {
            Some(place) => format!("{date} {}", field(place)),
            None => date.to_owned(),
        }
    }
}

/// What there is to go by.
struct View<'a> {
    names: &'a [String],
    sample: &'a [Vec<&'a str>],
    options: &'a ReplayOptions,
    /// The columns that are read.
    read: Vec<usize>,
}

/// Finds the columns by the names in the header and the first rows.
pub(super) fn places(
    names: &[String],
    sample: &[Vec<&str>],
    options: &ReplayOptions,
    found: &Found,
) -> Result<Places> {
    let is_read = |place: &usize| !found.left_out.contains(&names[*place]);
    let view = View {
        names,
        sample,
        options,
        read: (0..names.len()).filter(is_read).collect(),
    };
    let time = view.time();
    let time_of_day = view.time_of_day(time);
    let others = view.read.iter().copied();
    let others = others.filter(|place| *place != time && Some(*place) != time_of_day);
    let others: Vec<usize> = others.collect();
    let mut places = Places {
        time,
        time_of_day,
        customers: Vec::new(),
        meter: None,
        readings: Vec::new(),
    };
    if found.form == Form::Wide {
        places.customers = others;
    } else if let Some((meter, readings)) = view.days(&others) {
        (places.meter, places.readings) = (meter, readings);
    } else {
        let (meter, reading) = view.meter_and_reading(&others)?;
        (places.meter, places.readings) = (meter, vec![(reading, 0)]);
    }
    Ok(places)
}

impl View<'_> {
    fn fields(&self, place: usize) -> impl Iterator<Item = &str> {
        let fields = self.sample.iter().filter_map(move |row| row.get(place));
        fields.copied().filter(|field| !field.is_empty())
    }

    fn all(&self, place: usize, is: impl Fn(&str) -> bool) -> bool {
        self.fields(place).next().is_some() && self.fields(place).take(20).all(is)
    }

    fn named(&self, name: &Option<String>) -> Option<usize> {
        let name = name.as_ref()?;
        let is = |other: &String| other.to_lowercase() == name.to_lowercase();
        self.names.iter().position(is)
    }

    /// By the settings, by its content, by its name, or the first.
    fn time(&self) -> usize {
        let marked = |field: &str| field.contains(['-', '/', '.', ':', ' ']) || field.len() > 8;
        let dates = |place: &usize| self.all(*place, is_time) && self.fields(*place).any(marked);
        let known =
            |place: &usize| TIME_NAMES.contains(&self.names[*place].to_lowercase().as_str());
        let read = || self.read.iter().copied();
        self.named(&self.options.columns.time)
            .or_else(|| read().find(dates))
            .or_else(|| read().find(known))
            .unwrap_or(0)
    }

    fn time_of_day(&self, time: usize) -> Option<usize> {
        let is_clock = |field: &str| time_of_day(field).is_some() && !field.contains(['-', '/']);
        let is = |place: &usize| *place != time && self.all(*place, is_clock);
        let clock = self.read.iter().copied().find(is);
        clock.filter(|_| self.all(time, is_date_alone))
    }

    /// The customer's column, and those named after times of a day.
    fn days(&self, others: &[usize]) -> Option<DayColumns> {
        let counts = [others.len(), others.len().saturating_sub(1)];
        let mut days = counts
            .into_iter()
            .filter(|count| *count >= 24)
            .filter_map(|count| {
                let offset = |place: &usize| {
                    let name = self.names[*place].to_lowercase();
                    let seconds = match name.strip_prefix("hh_") {
                        Some(number) => number.parse::<i64>().ok()? * 86_400 / count as i64,
                        None => time_of_day(&name)?.0,
                    };
                    Some((*place, seconds))
                };
                let last = others.len() - count;
                others[last..]
                    .iter()
                    .map(offset)
                    .collect::<Option<Vec<_>>>()
            });
        let mut offsets = days.next()?;
        if let Some(last) = offsets.last_mut().filter(|last| last.1 == 0) {
            last.1 = 86_400;
        }
        let is_offset = |place: &usize| offsets.iter().any(|(other, _)| other == place);
        let meter = others.iter().copied().find(|place| !is_offset(place));
        Some((meter, offsets))
    }

    fn meter_and_reading(&self, others: &[usize]) -> Result<(Option<usize>, usize)> {
        let (one, two) = match *others {
            [reading] => return Ok((None, reading)),
            [one, two] => (one, two),
            _ => bail!("columns {others:?} of {:?} are what?", self.names),
        };
        let columns = &self.options.columns;
        let (meter, value) = (self.named(&columns.meter), self.named(&columns.value));
        let like_meter = |place: usize| {
            let name = self.names[place].to_lowercase();
            let letters = |field: &str| field.starts_with(char::is_alphabetic);
            let text = |field: &str| letters(field) && !Numbers::PLAIN.is_missing(field);
            let named = METER_NAMES.iter().any(|part| name.contains(part));
            2 * u8::from(self.fields(place).any(text)) + u8::from(named)
        };
        let said = meter == Some(one) || value == Some(two);
        let second = meter == Some(two) || value == Some(one) || like_meter(two) > like_meter(one);
        Ok(match !said && second {
            true => (Some(two), one),
            false => (Some(one), two),
        })
    }
}
