//! What was found out about a file.

use wire::UnixSeconds;

/// What a file is, as it was found out or set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its form.
    pub form: Form,
    /// How its bytes became text, such as `UTF-8` or `gzip, UTF-16LE`.
    pub encoding: String,
    /// What separates fields: `,`, `;`, a tab, `|`, or a blank, of which several count as one. A blank too for forms that have only one.
    pub separator: char,
    /// The decimal mark: `.` or `,`.
    pub decimal: char,
    /// What is left out of numbers, between thousands; none where numbers have no such mark.
    pub thousands: Option<char>,
    /// Line of the header, from 1; 0 where there is none.
    pub header: u64,
    /// Of every value of the forms `wide` and `long`; what the form says of the others.
    pub unit: Unit,
    /// What values are.
    pub values: Values,
    /// What a row's time is.
    pub label: Label,
    /// The order of a date's day, month and year.
    pub date_order: DateOrder,
    /// Length of an interval, in seconds: the longest of the file.
    pub interval_s: u32,
    /// When hour 0 is, where times count hours.
    pub start: UnixSeconds,
    /// IANA name of the zone of times without an offset.
    pub time_zone: String,
    /// Columns that are not read.
    pub left_out: Vec<String>,
}

/// The forms of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A column a customer, a row an interval.
    Wide,
    /// A row for each customer and interval.
    Long,
    /// AEMO's NEM12.
    Nem12,
    /// Green Button: ESPI XML.
    Espi,
    /// The Irish CER's smart metering trial.
    Cer,
    /// Ausgrid's solar home data.
    Ausgrid,
    /// DSMR P1 telegrams in a log.
    Dsmr,
}

/// A unit of energy, or of mean power over an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Watt-hours.
    Wh,
    /// Kilowatt-hours.
    KWh,
    /// Megawatt-hours.
    MWh,
    /// Watts.
    W,
    /// Kilowatts.
    KW,
}

/// What values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Energy of an interval, or mean power over it.
    Interval,
    /// Reads of a register.
    Register,
}

/// What a row's time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The start of its interval.
    Start,
    /// The end of its interval.
    End,
}

/// The order of a date's day, month and year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// 2024-03-14.
    YearFirst,
    /// 14.03.2024.
    DayFirst,
    /// 03/14/2024.
    MonthFirst,
}

impl std::fmt::Display for Found {
    /// One line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", self.form, self.encoding)?;
        if let Form::Wide | Form::Long = self.form {
            let separator = match self.separator {
                '\t' => "tabs".to_owned(),
                ' ' => "blanks".to_owned(),
                separator => format!("{separator:?}"),
            };
            write!(
                f,
                ", separated by {separator}, decimal mark {:?}",
                self.decimal
            )?;
            match self.header {
                0 => write!(f, ", no header")?,
                1 => {}
                line => write!(f, ", header in line {line}")?,
            }
            match self.date_order {
                DateOrder::YearFirst => {}
                DateOrder::DayFirst => write!(f, ", day before month")?,
                DateOrder::MonthFirst => write!(f, ", month before day")?,
            }
        }
        let what = match (self.values, self.unit.is_power()) {
            (Values::Register, _) => "reads of registers",
            (Values::Interval, true) => "mean power",
            (Values::Interval, false) => "energy",
        };
        let label = match self.label {
            Label::Start => "start",
            Label::End => "end",
        };
        write!(
            f,
            ", {what} in {} of intervals of {} s, labelled at their {label}, {}",
            self.unit, self.interval_s, self.time_zone
        )?;
        if !self.left_out.is_empty() {
            let names: Vec<String> = self
                .left_out
                .iter()
                .take(8)
                .map(|name| format!("{name:?}"))
                .collect();
            write!(f, ", not read: {}", names.join(", "))?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wide => "wide",
            Self::Long => "long",
            Self::Nem12 => "NEM12",
            Self::Espi => "Green Button",
            Self::Cer => "Irish CER",
            Self::Ausgrid => "Ausgrid",
            Self::Dsmr => "DSMR P1",
        })
    }
}
