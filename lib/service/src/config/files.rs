//! Settings that say what a replayed file does not say itself, as words.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A setting of a few words. An empty text leaves it to the reader of files.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let all = [$(($word, Self::$variant)),+];
                let found = all.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
                let words = || all.map(|(word, _)| format!("{word:?}")).join(", ");
                found.map(|(_, variant)| *variant).ok_or_else(|| format!("expected one of {}, or nothing", words()))
            }
        }

        impl Display for $name {
            fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)+
                })
            }
        }
    };
}

words! {
    /// The form of a file.
    FileForm {
        /// A column a customer.
        Wide = "wide",
        /// A row for each customer and interval.
        Long = "long",
        /// AEMO's NEM12.
        Nem12 = "nem12",
        /// Green Button XML.
        Espi = "espi",
        /// The Irish trial's.
        Cer = "cer",
        /// Ausgrid's solar homes.
        Ausgrid = "ausgrid",
        /// DSMR P1 telegrams.
        Dsmr = "dsmr",
    }
}

words! {
    /// The unit of a file's values.
    FileUnit {
        /// Watt-hours.
        Wh = "Wh",
        /// Kilowatt-hours.
        KWh = "kWh",
        /// Watts.
        W = "W",
        /// Kilowatts.
        KW = "kW",
        /// Megawatt-hours.
        MWh = "MWh",
    }
}

words! {
    /// What a file's values are.
    FileValues {
        /// Energy of an interval, or mean power over it.
        Interval = "interval",
        /// Reads of a register.
        Register = "register",
    }
}

words! {
    /// What the time of a row is.
    FileLabel {
        /// The start of its interval.
        Start = "start",
        /// The end of its interval.
        End = "end",
    }
}

words! {
    /// What becomes of intervals without a row.
    FileGaps {
        /// The file is refused.
        Refuse = "refuse",
        /// They are missing.
        Missing = "missing",
    }
}

words! {
    /// The order of day, month and year.
    FileDateOrder {
        /// The year first.
        YearFirst = "ymd",
        /// The day first.
        DayFirst = "dmy",
        /// The month first.
        MonthFirst = "mdy",
    }
}

words! {
    /// What separates fields.
    FileSeparator {
        /// A comma.
        Comma = ",",
        /// A semicolon.
        Semicolon = ";",
        /// A tab.
        Tab = "tab",
        /// A bar.
        Bar = "|",
        /// Any number of blanks.
        Blanks = "blanks",
    }
}

words! {
    /// The decimal mark.
    FileDecimal {
        /// A full stop.
        Stop = ".",
        /// A comma.
        Comma = ",",
    }
}

/// `[meter.columns]`: which columns of a file are what, by their names in its header. Empty ones are found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileColumns {
    /// The customer's, of a file with a row for each customer and interval.
    pub meter: String,
    /// The time's.
    pub time: String,
    /// The reading's, of a file with a row for each customer and interval.
    pub value: String,
    /// Columns that are no customer's.
    pub skip: Vec<String>,
    /// Columns that are a customer's, though they look like a total.
    pub keep: Vec<String>,
}
