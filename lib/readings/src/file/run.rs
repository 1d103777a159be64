//! Rows of one customer that follow one another at one distance.

use super::{column::MISSING, compact::Compact};

const DAY_S: u64 = 86_400;

/// Consecutive rows at one distance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Time of the first row.
    pub(super) start: u64,
    /// Distance of rows in seconds, below zero where the newest comes first; 0 of a single row.
    pub(super) step: i64,
    /// Length of an interval in seconds, 0 where the form does not say it.
    pub(super) interval_s: u32,
    /// Line of the first row, and the distance of lines.
    pub(super) line: u64,
    pub(super) line_step: i64,
    pub(super) values: Compact,
    /// Whether some of them are [`FORGOTTEN`](super::column::FORGOTTEN).
    pub(super) forgotten: bool,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: u64,
    pub(super) interval_s: u32,
    pub(super) line: u64,
    pub(super) value: i64,
}

impl Run {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            start: entry.at,
            step: 0,
            interval_s: entry.interval_s,
            line: entry.line,
            line_step: 0,
            values: [entry.value].into_iter().collect(),
            forgotten: false,
        }
    }

    pub(super) fn entry(&self, place: usize) -> Entry {
        let by = place as i64;
        Entry {
            at: self
                .start
                .saturating_add_signed(self.step.saturating_mul(by)),
            interval_s: self.interval_s,
            line: self
                .line
                .saturating_add_signed(self.line_step.saturating_mul(by)),
            value: self.values.get(place).unwrap_or(MISSING),
        }
    }

    pub(super) fn last(&self) -> Entry {
        self.entry(self.values.len().saturating_sub(1))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        (0..self.values.len()).map(|place| self.entry(place))
    }

    /// Appends a row if it goes on at the same distance.
    pub(super) fn append(&mut self, entry: Entry) -> bool {
        let last = self.last();
        let distance = |to: u64, from: u64| i64::try_from(i128::from(to) - i128::from(from)).ok();
        let (Some(step), Some(line_step)) =
            (distance(entry.at, last.at), distance(entry.line, last.line))
        else {
            return false;
        };
        if entry.interval_s != self.interval_s || step == 0 {
            return false;
        }
        if self.values.len() == 1 {
            (self.step, self.line_step) = (step, line_step);
        } else if step != self.step || line_step != self.line_step {
            return false;
        }
        self.values.push(entry.value);
        true
    }

    /// The length of the intervals that the run shows, in seconds, if it shows one.
    pub(super) fn length_s(&self) -> Option<u32> {
        let length = u32::try_from(self.step.unsigned_abs()).ok();
        let length = length.filter(|length| self.interval_s == 0 || self.interval_s == *length);
        length.filter(|length| (1..=DAY_S).contains(&u64::from(*length)))
    }

    /// Forgets the values of a block that has just become whole, unless one is missing or they come near `keep`, from and until.
    /// Returns what they were.
    pub(super) fn forget(&mut self, (from, until): (u64, u64)) -> Option<Vec<i64>> {
        let places = self.values.just_packed()?;
        let ends = [places.start, places.end - 1].map(|place| self.entry(place).at);
        let (first, last) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let beyond =
            last.saturating_add(2 * DAY_S) < from || first > until.saturating_add(2 * DAY_S);
        let values: Vec<i64> = self.values.within(places).collect();
        if !beyond || self.length_s().is_none() || values.contains(&MISSING) {
            return None;
        }
        self.values.forget();
        self.forgotten = true;
        Some(values)
    }

    /// The same rows, the oldest first.
    fn ascending(mut self) -> Self {
        if self.step < 0 {
            let last = self.last();
            let values: Vec<i64> = self.values.iter().collect();
            self.values = values.into_iter().rev().collect();
            (self.start, self.line) = (last.at, last.line);
            (self.step, self.line_step) = (-self.step, -self.line_step);
        }
        self
    }
}

/// Two rows of the same time with different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conflict(pub(super) Entry, pub(super) Entry);

/// The runs in the order of time, without repetitions, of which `repeated` counts the equal ones. None where runs that have forgotten
/// values may repeat each other.
pub(super) fn sorted(runs: Vec<Run>, repeated: &mut u64) -> Result<Option<Vec<Run>>, Conflict> {
    let mut runs: Vec<Run> = runs.into_iter().map(Run::ascending).collect();
    runs.sort_by_key(|run| run.start);
    let follow = |pair: &[Run]| pair[0].last().at < pair[1].start;
    if runs.windows(2).all(follow) {
        return Ok(Some(runs));
    }
    if runs.iter().any(|run| run.forgotten) {
        return Ok(None);
    }
    let mut entries: Vec<Entry> = runs.iter().flat_map(Run::entries).collect();
    drop(runs);
    entries.sort_by_key(|entry| (entry.at, entry.line));
    let mut sorted: Vec<Run> = Vec::new();
    for entry in entries {
        let Some(run) = sorted.last_mut() else {
            sorted.push(Run::new(entry));
            continue;
        };
        let last = run.last();
        if last.at == entry.at {
            if last.value != entry.value {
                return Err(Conflict(last, entry));
            }
            *repeated += 1;
        } else if !run.append(entry) {
            sorted.push(Run::new(entry));
        }
    }
    Ok(Some(sorted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(rows: &[(u64, i64)]) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (line, (at, value)) in (2..).zip(rows) {
            let entry = Entry {
                at: *at,
                interval_s: 0,
                line,
                value: *value,
            };
            if !runs.last_mut().is_some_and(|run| run.append(entry)) {
                runs.push(Run::new(entry));
            }
        }
        runs
    }

    #[test]
    fn rows_in_any_order_come_out_sorted_with_their_lines() {
        let shuffled = [
            (7_200, 2),
            (0, 0),
            (3_600, 1),
            (3_600, 1),
            (14_400, 4),
            (10_800, 3),
        ];
        let mut repeated = 0;
        let sorted = sorted(runs(&shuffled), &mut repeated).unwrap().unwrap();
        let entries: Vec<_> = sorted
            .iter()
            .flat_map(Run::entries)
            .map(|e| (e.at, e.value, e.line))
            .collect();
        let expected = [
            (0, 0, 3),
            (3_600, 1, 4),
            (7_200, 2, 2),
            (10_800, 3, 7),
            (14_400, 4, 6),
        ];
        assert_eq!((repeated, &entries[..]), (1, &expected[..]));
    }

    #[test]
    fn newest_first_is_one_run_turned_round() {
        let mut repeated = 0;
        let rows = runs(&[(7_200, 2), (3_600, 1), (0, 0)]);
        let sorted = sorted(rows, &mut repeated).unwrap().unwrap();
        assert_eq!(sorted.len(), 1);
        assert_eq!(sorted[0].start, 0);
        assert!(sorted[0].values.iter().eq([0, 1, 2]));
        assert_eq!(sorted[0].entry(0).line, 4);
    }

    #[test]
    fn another_value_for_the_same_time_is_a_conflict() {
        let conflict = sorted(runs(&[(0, 1), (60, 1), (0, 2)]), &mut 0).unwrap_err();
        assert_eq!((conflict.0.line, conflict.1.line), (2, 4));
    }
}
