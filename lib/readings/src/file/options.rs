//! How to read a file of readings.

use jiff::tz::TimeZone;
use wire::UnixSeconds;

use super::found::{DateOrder, Form, Label, Unit, Values};

/// The longest gap that is filled, in intervals: half a year of half hours.
pub(super) const LONGEST_FILLED_GAP: u64 = 8_784;

/// What to do about intervals for which a file has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gaps {
    /// Refuse the file, naming the line at which it goes on.
    #[default]
    Refuse,
    /// Read them as missing, up to 8784 intervals at a time: a longer gap is a wrong date.
    Missing,
}

/// Which columns of a file are what, by their names in its header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Columns {
    /// The customer's, of a file with a row for each customer and interval.
    pub meter: Option<String>,
    /// The time's.
    pub time: Option<String>,
    /// The reading's, of a file with a row for each customer and interval.
    pub value: Option<String>,
    /// Columns that are no customer's, such as a total.
    pub skip: Vec<String>,
    /// Columns that are a customer's, though they look like a total.
    pub keep: Vec<String>,
}

/// How to read a file. What is not said is found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// When hour 0 is, for a file whose first column counts hours. A multiple of the file's interval.
    pub start: UnixSeconds,
    /// Whether that was said rather than taken as the default.
    pub start_said: bool,
    /// IANA name of the time zone of timestamps without a UTC offset.
    pub time_zone: String,
    /// The form.
    pub form: Option<Form>,
    /// The unit of values.
    pub unit: Option<Unit>,
    /// What values are.
    pub values: Option<Values>,
    /// What a row's time is.
    pub label: Option<Label>,
    /// What to do about missing rows.
    pub gaps: Gaps,
    /// Marks of missing values, besides those that everybody uses.
    pub missing: Vec<String>,
    /// Which columns are what.
    pub columns: Columns,
    /// What separates fields; a blank for any number of them.
    pub separator: Option<char>,
    /// The decimal mark, `.` or `,`; the other one may then stand between thousands.
    pub decimal: Option<char>,
    /// The order of a date's day, month and year.
    pub date_order: Option<DateOrder>,
    /// Which readings to keep in memory, in seconds since the Unix epoch, end exclusive; all unless set. The others count for
    /// capacities and totals.
    pub keep: Option<(u64, u64)>,
}

/// How a file is to be read, with its time zone looked up.
pub(super) struct With<'a> {
    pub(super) options: &'a ReplayOptions,
    /// The zone of times without an offset.
    pub(super) zone: &'a TimeZone,
}

impl Default for ReplayOptions {
    /// Hour 0 on Monday, 3 March 2014, UTC.
    fn default() -> Self {
        Self {
            start: UnixSeconds(1_393_804_800),
            start_said: false,
            time_zone: "UTC".to_owned(),
            form: None,
            unit: None,
            values: None,
            label: None,
            gaps: Gaps::default(),
            missing: Vec::new(),
            columns: Columns::default(),
            separator: None,
            decimal: None,
            date_order: None,
            keep: None,
        }
    }
}
