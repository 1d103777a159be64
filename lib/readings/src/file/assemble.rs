//! From sorted rows to readings at one interval.
//!
//! # Rules
//! * An interval starts at a multiple of its length in UTC. A row between two is refused, and left out where it has no value.
//! * Where rows have several lengths, the longest is the file's, and shorter ones are added up: an interval of which a part is missing
//!   is missing.
//! * Power times the length of its interval is energy, rounded to the nearest millionth of a watt-hour, a half away from zero.
//! * Intervals without a row are refused or, with [`Gaps::Missing`], missing.

use super::{
    account::Account,
    column::{Column, FORGOTTEN, MISSING, is_reading},
    customer::{Customer, Kind},
    error::FileError,
    found::Label,
    intervals::Lengths,
    options::{Gaps, LONGEST_FILLED_GAP},
    run::{Entry, Run},
    times::show,
};

/// What a customer's rows are made into.
pub(super) struct Rules<'a> {
    pub(super) kind: Kind,
    pub(super) label: Label,
    pub(super) gaps: Gaps,
    pub(super) lengths: &'a Lengths,
}

/// The readings of a customer.
pub(super) fn column(
    customer: Customer,
    rules: &Rules<'_>,
    account: &mut Account,
) -> Result<Column, FileError> {
    let interval_s = rules.lengths.longest;
    let plain = match &customer.runs[..] {
        [run] if rules.is_plain(run) => rules
            .start(run.entry(0), interval_s)
            .filter(|start| start % u64::from(interval_s) == 0),
        _ => None,
    };
    let mut runs = customer.runs;
    let (start, values) = match (plain, runs.pop()) {
        (Some(start), Some(run)) => (start, rules.energies(&run, interval_s, account)),
        (_, last) => {
            runs.extend(last);
            let mut filling = Filling::new(&customer.name, rules, account);
            filling.fill(&runs)?;
            filling.finish()
        }
    };
    account.readings += customer.forgotten.readings;
    account.total_uwh += customer.forgotten.uwh;
    account.missing += values.iter().filter(|value| **value == MISSING).count() as u64;
    Ok(Column {
        id: customer.id,
        start,
        values,
        forgotten: customer.forgotten,
    })
}

impl Rules<'_> {
    /// Whether the rows of a run are the file's intervals, one after the other.
    fn is_plain(&self, run: &Run) -> bool {
        let interval_s = self.lengths.longest;
        run.step == i64::from(interval_s) && (run.interval_s == 0 || run.interval_s == interval_s)
    }

    fn start(&self, entry: Entry, length_s: u32) -> Option<u64> {
        match self.label {
            Label::Start => Some(entry.at),
            Label::End => entry.at.checked_sub(u64::from(length_s)),
        }
    }

    fn energies(&self, run: &Run, length_s: u32, account: &mut Account) -> Vec<i64> {
        let mut values: Vec<i64> = run.values.iter().collect();
        for value in values.iter_mut().filter(|value| is_reading(**value)) {
            *value = self.kind.energy(*value, length_s);
            account.readings += 1;
            account.total_uwh += i128::from(*value);
        }
        values
    }

    /// The length of the interval of each row, in order.
    fn lengths<'r>(&'r self, runs: &'r [Run]) -> impl Iterator<Item = (Entry, u32)> + 'r {
        runs.iter().enumerate().flat_map(move |(number, run)| {
            let count = run.values.len();
            let apart = |from: u64, to: u64| self.lengths.shown(to.saturating_sub(from));
            let inner = apart(0, run.step.unsigned_abs());
            let outer = match self.label {
                Label::Start => runs
                    .get(number + 1)
                    .and_then(|next| apart(run.last().at, next.start)),
                Label::End => number
                    .checked_sub(1)
                    .and_then(|before| apart(runs[before].last().at, run.start)),
            };
            let at_edge = move |place: usize| match self.label {
                Label::Start => place + 1 == count,
                Label::End => place == 0,
            };
            run.entries().enumerate().map(move |(place, entry)| {
                let shown = match at_edge(place) {
                    true => outer.or(inner),
                    false => inner,
                };
                let length = match run.interval_s {
                    0 => shown.unwrap_or(self.lengths.usual),
                    said => said,
                };
                (entry, length)
            })
        })
    }
}

/// A customer's readings, as they are put together.
struct Filling<'a> {
    name: &'a str,
    rules: &'a Rules<'a>,
    account: &'a mut Account,
    start: Option<u64>,
    values: Vec<i64>,
    /// End of the last interval that a row had.
    end: u64,
    slot: Slot,
}

/// An interval of the file, of which parts may be there.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    start: u64,
    covered_s: u32,
    parts: u64,
    sum: i64,
}

impl<'a> Filling<'a> {
    fn new(name: &'a str, rules: &'a Rules<'a>, account: &'a mut Account) -> Self {
        Self {
            name,
            rules,
            account,
            start: None,
            values: Vec::new(),
            end: 0,
            slot: Slot::default(),
        }
    }

    fn fill(&mut self, runs: &[Run]) -> Result<(), FileError> {
        for (entry, length_s) in self.rules.lengths(runs) {
            let Some(start) = self.rules.start(entry, length_s) else {
                return Err(FileError::line(
                    entry.line,
                    "the interval begins before 1970: correct the time",
                ));
            };
            if start % u64::from(length_s) != 0 {
                if entry.value != MISSING {
                    return Err(self.off_grid(entry, length_s));
                }
                self.account.between += 1;
                continue;
            }
            self.follows(entry, start, length_s)?;
            self.add(entry.value, start, length_s);
            self.end = start + u64::from(length_s);
        }
        Ok(())
    }

    fn off_grid(&self, entry: Entry, length_s: u32) -> FileError {
        let problem = format!(
            "{} is off the grid: intervals of {length_s} s start at multiples of {length_s} s of UTC, and customer {:?} has {} there: \
             correct the time, or empty the value to leave it out",
            show(entry.at),
            self.name,
            self.rules.kind.shown(entry.value)
        );
        FileError::line(entry.line, problem)
    }

    /// Checks that a row goes on where the one before it ended, or that it may leave a gap.
    fn follows(&mut self, entry: Entry, start: u64, length_s: u32) -> Result<(), FileError> {
        if self.start.is_none() || start == self.end {
            return Ok(());
        }
        let Some(gap_s) = start.checked_sub(self.end) else {
            let problem = format!(
                "the {length_s} s from {} on are in an interval of the row before already (customer {:?}): the file changes the length \
                 of intervals there, so replay its parts as two files",
                show(start),
                self.name
            );
            return Err(FileError::line(entry.line, problem));
        };
        let interval_s = u64::from(self.rules.lengths.usual);
        let intervals = gap_s.div_ceil(interval_s);
        let after = format!(
            "{} leaves a gap after {} (customer {:?}; intervals of {interval_s} s without a row: {intervals})",
            show(start),
            show(self.end),
            self.name
        );
        let mend = match self.rules.gaps {
            Gaps::Missing if intervals <= LONGEST_FILLED_GAP => {
                self.account.without_row += intervals;
                return Ok(());
            }
            Gaps::Missing => "correct the date: no gap of more than 8784 intervals is filled",
            Gaps::Refuse => {
                "add the missing rows, with empty fields, or set meter.gaps = \"missing\" to read them as missing (a file whose \
                 clock is not set back in autumn needs meter.time_zone = \"UTC\")"
            }
        };
        Err(FileError::line(entry.line, format!("{after}: {mend}")))
    }

    fn add(&mut self, value: i64, start: u64, length_s: u32) {
        let interval_s = u64::from(self.rules.lengths.longest);
        let slot = start - start % interval_s;
        if self.start.is_none() {
            self.start = Some(slot);
            self.slot.start = slot;
        }
        while self.slot.start < slot {
            self.close();
        }
        if value == MISSING {
            return;
        }
        if value == FORGOTTEN {
            // Its interval has no other part.
            (self.slot.covered_s, self.slot.sum) = (length_s, FORGOTTEN);
            return;
        }
        let energy = self.rules.kind.energy(value, length_s);
        self.account.readings += 1;
        self.account.total_uwh += i128::from(energy);
        self.slot.covered_s += length_s;
        self.slot.parts += 1;
        self.slot.sum = self.slot.sum.saturating_add(energy);
    }

    /// The interval has all of its parts, or is missing.
    fn close(&mut self) {
        let interval_s = self.rules.lengths.longest;
        let whole = self.slot.covered_s == interval_s;
        if !whole {
            self.account.partial += self.slot.parts;
            self.account.partial_uwh += i128::from(self.slot.sum);
        }
        self.values
            .push(if whole { self.slot.sum } else { MISSING });
        self.slot = Slot {
            start: self.slot.start + u64::from(interval_s),
            ..Slot::default()
        };
    }

    fn finish(mut self) -> (u64, Vec<i64>) {
        match self.start {
            Some(start) => {
                self.close();
                (start, self.values)
            }
            None => (0, Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests;
