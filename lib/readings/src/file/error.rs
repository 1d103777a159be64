//! Why a CSV file is refused.

use jiff::Timestamp;
use wire::MeterId;

/// Why a CSV file is refused. Lines count from 1, the header included; times are in UTC.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// Not even a header.
    #[error("the file is empty: it needs a header line and rows of readings")]
    Empty,
    /// A header and nothing, or too little, below.
    #[error("too few rows of readings: {rows}, where at least {needed} are needed")]
    TooShort {
        /// Rows found.
        rows: u64,
        /// Rows needed.
        needed: u64,
    },
    /// The bytes are not CSV or not UTF-8, or there are none to read.
    #[error("line {line} {}", line_problem(error))]
    Line {
        /// Where.
        line: u64,
        /// What is wrong.
        #[source]
        error: csv::Error,
    },
    /// A row does not have a field for each column.
    #[error("line {line}: {fields} fields where the header has {columns} columns{}", missing(.column))]
    Fields {
        /// Where.
        line: u64,
        /// Fields in the row.
        fields: usize,
        /// Columns in the header.
        columns: usize,
        /// The first column without a field, if fields are missing.
        column: Option<String>,
    },
    /// The header has one column, as one with other separators seems to have.
    #[error(
        "line 1: only one column: the time is in the first and a customer in each of the others, separated by commas, not ';' or tabs"
    )]
    OneColumn,
    /// The header lacks a column.
    #[error("line 1: no column {column:?}: {rule}")]
    MissingColumn {
        /// What is missing.
        column: &'static str,
        /// What the header must have.
        rule: &'static str,
    },
    /// Two columns of the same name.
    #[error(
        "line 1: columns {first} and {second} are both named {name:?}: a customer can have only one"
    )]
    DuplicateCustomer {
        /// Number of the first one, from 1.
        first: usize,
        /// Number of the second one.
        second: usize,
        /// Their name.
        name: String,
    },
    /// Two customers whose names differ, but not as meter ids.
    #[error("line {line}: {name:?} and {other:?} would both be meter {id}: rename one of them")]
    SameMeter {
        /// Where the second one appears.
        line: u64,
        /// The second name.
        name: String,
        /// The first name.
        other: String,
        /// The id of both.
        id: MeterId,
    },
    /// A customer's name makes no meter id.
    #[error(
        "line {line}: {name:?} makes no meter id: it needs 1 to 64 characters and a letter or digit among them"
    )]
    Name {
        /// Where.
        line: u64,
        /// The name.
        name: String,
    },
    /// A value is not a number of kWh.
    #[error("line {line}, column {column:?}: {value:?} is not a number of kWh between ±1000000")]
    Value {
        /// Where.
        line: u64,
        /// In which column.
        column: String,
        /// What is there.
        value: String,
    },
    /// A time cannot be understood.
    #[error("line {line}, column {column:?}: {value:?} {problem}")]
    Time {
        /// Where.
        line: u64,
        /// In which column.
        column: String,
        /// What is there.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A row's time is not after that of the one before it.
    #[error("line {line}, column {column:?}: {value:?} is not after {previous}: rows must be sorted by time{}", of(.customer))]
    Unsorted {
        /// Where.
        line: u64,
        /// The time's column.
        column: String,
        /// The time.
        value: String,
        /// The time of the row before.
        previous: Timestamp,
        /// Whose rows, where a file has several customers' one after the other.
        customer: Option<String>,
    },
    /// Two different values for the same customer and time.
    #[error(
        "line {line}: customer {customer:?} has {value:?} kWh at {time}, and another value on the line before"
    )]
    Conflict {
        /// Where.
        line: u64,
        /// Who.
        customer: String,
        /// When.
        time: Timestamp,
        /// The second value.
        value: String,
    },
    /// Rows are missing.
    #[error("line {line}, column {column:?}: {value:?} leaves a gap after {previous}{}: add the missing rows, with empty fields (intervals of {interval_s} s without a row: {intervals})", of(.customer))]
    Gap {
        /// Where the rows go on.
        line: u64,
        /// The time's column.
        column: String,
        /// The time at which they go on.
        value: String,
        /// The time of the row before.
        previous: Timestamp,
        /// Intervals without a row.
        intervals: u64,
        /// Length of an interval.
        interval_s: u32,
        /// Whose rows, where a file has several customers' one after the other.
        customer: Option<String>,
    },
    /// A time is between two intervals.
    #[error(
        "line {line}, column {column:?}: {value:?} is off the grid: intervals of {interval_s} s start at multiples of {interval_s} s of UTC"
    )]
    OffGrid {
        /// Where.
        line: u64,
        /// The time's column.
        column: String,
        /// The time.
        value: String,
        /// Length of an interval.
        interval_s: u32,
    },
    /// A row's distance from the one before is not a multiple of the interval.
    #[error(
        "line {line}, column {column:?}: {value:?} is {distance_s} s after the row before, but the first two rows are {interval_s} s apart"
    )]
    Spacing {
        /// Where.
        line: u64,
        /// The time's column.
        column: String,
        /// The time.
        value: String,
        /// Distance from the row before.
        distance_s: u64,
        /// Length of an interval, by the first two rows.
        interval_s: u32,
    },
    /// The first two rows are so far apart that it is no interval.
    #[error(
        "line {line}: the first two rows are {interval_s} s apart: an interval must divide a day of 86400 s"
    )]
    Interval {
        /// Line of the second row.
        line: u64,
        /// Their distance.
        interval_s: u64,
    },
}

fn line_problem(error: &csv::Error) -> &'static str {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => {
            "is not UTF-8 text: replay an uncompressed CSV file in UTF-8"
        }
        csv::ErrorKind::Io(_) => "cannot be read: replay a CSV file",
        _ => "is not valid CSV",
    }
}

fn missing(column: &Option<String>) -> String {
    column
        .as_ref()
        .map(|c| format!(": none for {c:?}"))
        .unwrap_or_default()
}

fn of(customer: &Option<String>) -> String {
    customer
        .as_ref()
        .map(|c| format!(" (customer {c:?})"))
        .unwrap_or_default()
}
