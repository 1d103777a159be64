//! What is doubtful about a file that could be read, and the setting that answers it.

use super::{
    customer::{Customer, Kind},
    found::{Found, Label, Unit, Values},
    intervals::Lengths,
    options::ReplayOptions,
};

/// Names that a total has, in lower case.
const TOTALS: [&str; 9] = [
    "total", "totals", "sum", "summe", "gesamt", "somme", "suma", "totaal", "totale",
];
/// Steps between readings that tell a register, and rows that tell a total.
const STEPS: u64 = 8;
const ROWS: u32 = 4;
/// Mean demand in kW that no home has, and how many customers tell that the unit is wrong.
const LARGE_KW: f64 = 50.0;
const CUSTOMERS: usize = 5;
/// Hours of a year.
const YEAR_S: u64 = 8_784 * 3_600;

/// What a doubt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// `meter.unit`.
    Unit,
    /// `meter.values`.
    Values,
    /// `meter.label`.
    Label,
    /// `meter.columns`.
    Columns,
    /// `meter.replay_start`.
    Start,
    /// The length of intervals, which becomes so many seconds.
    Interval(u32),
}

/// Something about a file that may have been read wrongly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What it is about.
    pub subject: Subject,
    /// What is doubtful.
    pub what: String,
    /// What to set.
    pub answer: String,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.answer)
    }
}

/// What doubts follow from.
pub(super) struct Facts<'a> {
    pub(super) found: &'a Found,
    pub(super) options: &'a ReplayOptions,
    pub(super) lengths: &'a Lengths,
    pub(super) kind: Kind,
    /// Whether the file says its unit.
    pub(super) unit_said: bool,
    /// The names of the customers' columns, where they are columns.
    pub(super) names: Vec<String>,
    /// Columns that are the sum of the others.
    pub(super) sums: Vec<usize>,
    /// Of the first row, where times count hours.
    pub(super) first_hour: Option<u64>,
    /// The first and the last time of the file by the clock, in seconds since midnight, where it is written.
    pub(super) first_and_last: Option<(u64, u64)>,
}

impl Facts<'_> {
    /// Doubts that the customers' rows raise.
    pub(super) fn of_rows(&self, customers: &[Customer]) -> Vec<Doubt> {
        [
            self.register(customers),
            self.total(),
            self.start(),
            self.label(),
            self.lengths(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Doubts about the unit. `demands` has the mean demand in kW of every customer who draws something.
    pub(super) fn of_unit(&self, demands: &[f64]) -> Option<Doubt> {
        if self.options.unit.is_some() {
            return None;
        }
        let doubt = |what: String, answer: String| {
            Some(Doubt {
                subject: Subject::Unit,
                what,
                answer,
            })
        };
        let mut units = self
            .names
            .iter()
            .filter_map(|name| Some((name, Unit::in_name(name)?)));
        if let Some((name, unit)) = units.find(|(_, unit)| *unit != Unit::KWh) {
            return doubt(
                format!(
                    "column {name:?} seems to say {unit}, and readings are read as {}",
                    self.found.unit
                ),
                format!("set meter.unit = \"{unit}\", or \"kWh\" if it only looks so"),
            );
        }
        let uci = self.names.iter().filter(|name| {
            name.strip_prefix("MT_")
                .is_some_and(|number| number.parse::<u32>().is_ok())
        });
        if self.found.interval_s < 3_600 && !self.unit_said && uci.count() * 2 > self.names.len() {
            return doubt(
                "customers are named as in UCI's LD2011_2014, whose quarter hours are kW and labelled at their end".to_owned(),
                "set meter.unit = \"kW\" and meter.label = \"end\", or meter.unit = \"kWh\" if they were converted".to_owned(),
            );
        }
        let large = demands.iter().all(|kw| *kw >= LARGE_KW);
        if !self.unit_said && demands.len() >= CUSTOMERS && large {
            return doubt(
                format!(
                    "every customer draws {LARGE_KW} kW and more in the mean, read as {}",
                    self.found.unit
                ),
                "set meter.unit = \"Wh\", or \"kWh\" if they are as large as that".to_owned(),
            );
        }
        None
    }

    fn register(&self, customers: &[Customer]) -> Option<Doubt> {
        if self.kind != Kind::Energy || self.options.values.is_some() {
            return None;
        }
        let mut registers = customers.iter().filter(|customer| {
            let counted = &customer.counted;
            let steps = counted.readings.saturating_sub(1);
            // In rows of either order, and across a swap of the meter.
            let (more, fewer) = (
                counted.rises.max(counted.falls),
                counted.rises.min(counted.falls),
            );
            steps >= STEPS && fewer <= 1 && more * 2 > steps
        });
        let first = registers.next()?;
        let count = 1 + registers.count();
        (2 * count >= customers.len()).then(|| Doubt {
            subject: Subject::Values,
            what: format!(
                "the values of {count} of {} customers, {:?} among them, never fall, as those of a register do",
                customers.len(),
                first.name
            ),
            answer: "set meter.values = \"register\", or \"interval\" if they are energies of intervals".to_owned(),
        })
    }

    fn total(&self) -> Option<Doubt> {
        let keep = &self.options.columns.keep;
        let kept = |name: &&String| keep.iter().any(|k| k.to_lowercase() == name.to_lowercase());
        let named = self
            .names
            .iter()
            .filter(|name| TOTALS.contains(&name.to_lowercase().as_str()))
            .find(|name| !kept(name));
        let summed = self
            .sums
            .iter()
            .filter_map(|place| self.names.get(*place))
            .find(|name| !kept(name));
        let (name, what) = match (summed, named) {
            (Some(name), _) => (name, "is the sum of the others"),
            (None, Some(name)) if self.names.len() > 2 => (name, "is named as a total"),
            _ => return None,
        };
        Some(Doubt {
            subject: Subject::Columns,
            what: format!("column {name:?} {what}, so that everything is counted twice"),
            answer: format!(
                "set meter.columns.skip = [{name:?}] to leave it out, or meter.columns.keep = [{name:?}] if it is a customer"
            ),
        })
    }

    fn start(&self) -> Option<Doubt> {
        let first = self.first_hour.filter(|_| !self.options.start_said)?;
        let after_s = first.saturating_sub(self.options.start.0);
        (after_s > YEAR_S).then(|| Doubt {
            subject: Subject::Start,
            what: format!(
                "times are numbers, read as hours, and the first one is {} hours from the start",
                after_s / 3_600
            ),
            answer: "set meter.replay_start to say when hour 0 is, or write the times as dates"
                .to_owned(),
        })
    }

    fn label(&self) -> Option<Doubt> {
        let (first, last) = self
            .first_and_last
            .filter(|_| self.options.label.is_none() && self.found.label == Label::Start)?;
        let ends = self.found.values == Values::Interval
            && first == u64::from(self.lengths.usual)
            && last == 0;
        ends.then(|| Doubt {
            subject: Subject::Label,
            what: "the first time of the file is one interval after midnight and the last one is midnight, as times at the end of \
                intervals are"
                .to_owned(),
            answer: "set meter.label = \"end\", or \"start\" if they are the starts".to_owned(),
        })
    }

    fn lengths(&self) -> Option<Doubt> {
        let (line, before, after) = self.lengths.change?;
        let longest = self.lengths.longest;
        Some(Doubt {
            subject: Subject::Interval(longest),
            what: format!("line {line}: intervals of {before} s become intervals of {after} s"),
            answer: format!(
                "say --interval {longest}s to have them added up to {longest} s, or replay the parts as two files"
            ),
        })
    }
}

/// Looks for columns that are the sum of the others.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    candidates: Option<Vec<usize>>,
    rows: u32,
}

impl Totals {
    /// Sees a row of values.
    pub(super) fn see(&mut self, values: &[i64]) {
        let readings = values.iter().filter(|value| **value != 0).count();
        if readings < 4 || self.candidates.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        let sum: i128 = values.iter().map(|value| i128::from(*value)).sum();
        let is_sum = |place: &usize| {
            let value = i128::from(values[*place]);
            let others = sum - value;
            // To a thousandth: a total may be rounded.
            value != 0 && (others - value).abs() * 1_000 <= value.abs()
        };
        self.rows += 1;
        match &mut self.candidates {
            Some(candidates) => candidates.retain(is_sum),
            None => self.candidates = Some((0..values.len()).filter(is_sum).collect()),
        }
    }

    /// The places of such columns.
    pub(super) fn found(self) -> Vec<usize> {
        self.candidates
            .filter(|_| self.rows >= ROWS)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
