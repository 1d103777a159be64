//! Which lengths a file's intervals have.

use std::collections::BTreeMap;

use super::{customer::Customer, error::FileError, run::Run};

/// Equal distances in a row that make an interval of their own length, and are no gaps.
const SUSTAINED: usize = 3;
const DAY_S: u64 = 86_400;

/// The lengths of a file's intervals, in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lengths {
    /// The most frequent one: that of a row at a gap.
    pub(super) usual: u32,
    /// The longest one: that of the file.
    pub(super) longest: u32,
    /// The shortest one that the form says, or else the usual one.
    shortest: u32,
    /// All of them that rows show by their distance.
    shown: Vec<u32>,
    /// Where a customer's rows go on at another length, or begin at another than usual: the line, and the lengths before and after.
    pub(super) change: Option<(u64, u32, u32)>,
}

impl Lengths {
    /// The lengths of what the customers have, in the order of time.
    pub(super) fn of(customers: &[Customer]) -> Result<Self, FileError> {
        let mut distances = Distances::new();
        let mut said: BTreeMap<u32, u64> = BTreeMap::new();
        for customer in customers {
            for (place, run) in customer.runs.iter().enumerate() {
                if run.interval_s > 0 {
                    *said.entry(run.interval_s).or_default() += run.values.len() as u64;
                    continue;
                }
                see(
                    &mut distances,
                    run.step.unsigned_abs(),
                    run.values.len() as u64 - 1,
                    run.line,
                );
                if let Some(next) = customer.runs.get(place + 1) {
                    see(&mut distances, next.start - run.last().at, 1, next.line);
                }
            }
        }
        distances.remove(&0);
        let usual = match said.iter().max_by_key(|(_, count)| **count) {
            Some((length, _)) => *length,
            None => usual(&distances, customers)?,
        };
        let mut lengths = Self {
            usual,
            longest: usual.max(said.keys().next_back().copied().unwrap_or(0)),
            shortest: said.keys().next().copied().unwrap_or(usual),
            shown: vec![usual],
            change: None,
        };
        lengths.see_changes(customers);
        let shorter = said
            .keys()
            .chain(&lengths.shown)
            .find(|length| !lengths.longest.is_multiple_of(**length));
        match shorter {
            Some(length) => Err(FileError::Whole(format!(
                "the file has intervals of {length} s and of {} s, which is not a multiple of it: replay them as two files",
                lengths.longest
            ))),
            None => Ok(lengths),
        }
    }

    /// Intervals of one length.
    pub(super) fn only(length: u32) -> Self {
        Self {
            usual: length,
            longest: length,
            shortest: length,
            shown: vec![length],
            change: None,
        }
    }

    /// Looks for stretches at another length.
    fn see_changes(&mut self, customers: &[Customer]) {
        for run in customers.iter().flat_map(|customer| &customer.runs) {
            let Ok(length) = u32::try_from(run.step) else {
                continue;
            };
            let known = run.interval_s > 0 || self.shown.contains(&length);
            let related =
                length > 0 && (length % self.usual == 0 || self.usual.is_multiple_of(length));
            if known
                || run.values.len() <= SUSTAINED
                || !related
                || !DAY_S.is_multiple_of(u64::from(length))
            {
                continue;
            }
            self.shown.push(length);
            self.longest = self.longest.max(length);
        }
        let sustained = |run: &&Run| run.interval_s == 0 && run.values.len() > SUSTAINED;
        let length = |run: &Run| self.shown(run.step.unsigned_abs());
        let change = customers.iter().find_map(|customer| {
            let runs = customer
                .runs
                .iter()
                .filter(sustained)
                .filter_map(|run| Some((run.line, length(run)?)));
            let runs: Vec<(u64, u32)> = runs.collect();
            let changed = runs.windows(2).find(|pair| pair[0].1 != pair[1].1);
            changed.map(|pair| (pair[1].0, pair[0].1, pair[1].1))
        });
        // One customer's may all be longer than the others'.
        let other = || {
            let runs = customers
                .iter()
                .flat_map(|customer| &customer.runs)
                .filter(sustained);
            let mut lengths = runs.filter_map(|run| Some((run.line, length(run)?)));
            let (line, length) = lengths.find(|(_, length)| *length != self.usual)?;
            Some((line, self.usual, length))
        };
        self.change = change.or_else(other);
    }

    /// The length of every interval, if there is only one.
    pub(super) fn single(&self) -> Option<u32> {
        let only = self.shown.len() == 1 && self.shortest == self.longest;
        only.then_some(self.longest)
    }

    /// The length of a distance, if it is one.
    pub(super) fn shown(&self, distance_s: u64) -> Option<u32> {
        let distance_s = u32::try_from(distance_s).ok()?;
        self.shown.contains(&distance_s).then_some(distance_s)
    }
}

/// How often rows are so many seconds apart, and the first line of those.
type Distances = BTreeMap<u64, (u64, u64)>;

fn see(distances: &mut Distances, distance_s: u64, count: u64, line: u64) {
    if count > 0 {
        let known = distances.entry(distance_s).or_insert((0, line));
        *known = (known.0 + count, known.1.min(line));
    }
}

/// The most frequent distance of rows that can be an interval; of several, the first one in the file.
fn usual(distances: &Distances, customers: &[Customer]) -> Result<u32, FileError> {
    let divides = |distance: &u64| DAY_S.is_multiple_of(*distance);
    let most = |fits: &dyn Fn(&u64) -> bool| {
        let fitting = distances.iter().filter(|(distance, _)| fits(distance));
        fitting.max_by_key(|(_, (count, line))| (*count, std::cmp::Reverse(*line)))
    };
    if let Some((distance, _)) = most(&divides) {
        // No longer than a day.
        return Ok(u32::try_from(*distance).unwrap_or(u32::MAX));
    }
    let Some((distance, (_, line))) = most(&|_| true) else {
        let runs = customers.iter().flat_map(|customer| &customer.runs);
        let rows = runs.map(|run| run.values.len()).max().unwrap_or(0);
        return Err(FileError::Whole(format!(
            "too few rows of readings: {rows} of a customer, where at least 2 are needed to know the length of an interval"
        )));
    };
    let problem = format!(
        "rows are {distance} s apart from here on, as most rows are: an interval must divide a day of 86400 s (reads of a register at \
         odd times need meter.values = \"register\")"
    );
    Err(FileError::line(*line, problem))
}
