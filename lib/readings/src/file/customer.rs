//! One customer's rows, and what the values of a file are.

use wire::MeterId;

use super::{
    column::{Forgotten, MISSING},
    number::nearest,
    run::Run,
};

/// What the values of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Energy,
    Power,
    Register,
}

impl Kind {
    /// Energy in µWh of a value of an interval of `length_s` seconds.
    pub(super) fn energy(self, value: i64, length_s: u32) -> i64 {
        match self {
            Self::Power => {
                let nanowatt_seconds = i128::from(value) * i128::from(length_s);
                // Within a billion watts for a day: fits.
                nearest(nanowatt_seconds, 3_600 * 1_000) as i64
            }
            Self::Energy | Self::Register => value,
        }
    }

    /// A value as errors show it.
    pub(super) fn shown(self, value: i64) -> String {
        match (value, self) {
            (MISSING, _) => "no value".to_owned(),
            (value, Self::Power) => format!("{} W", value as f64 / 1e9),
            (value, _) => format!("{} kWh", value as f64 / 1e9),
        }
    }
}

/// One customer's rows.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) name: String,
    pub(super) id: MeterId,
    /// In the order of time once the file has been read.
    pub(super) runs: Vec<Run>,
    pub(super) counted: Counted,
    pub(super) forgotten: Forgotten,
}

/// What is counted of a customer's values as they come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) readings: u64,
    /// How often a value is above the one before, and below it.
    pub(super) rises: u64,
    pub(super) falls: u64,
    last: Option<i64>,
}

impl Customer {
    /// Counts and forgets values of the last run that are not replayed. Reads of a register are needed by those around them.
    pub(super) fn forget(&mut self, keep: Option<(u64, u64)>, kind: Option<Kind>) {
        let (Some(keep), Some(kind @ (Kind::Energy | Kind::Power))) = (keep, kind) else {
            return;
        };
        let Some(run) = self.runs.last_mut() else {
            return;
        };
        let (Some(length_s), Some(values)) = (run.length_s(), run.forget(keep)) else {
            return;
        };
        for value in values {
            self.forgotten.add(kind.energy(value, length_s));
        }
    }
}

impl Counted {
    pub(super) fn see(&mut self, value: i64) {
        if value == MISSING {
            return;
        }
        self.readings += 1;
        if let Some(last) = self.last {
            self.rises += u64::from(value > last);
            self.falls += u64::from(value < last);
        }
        self.last = Some(value);
    }
}
