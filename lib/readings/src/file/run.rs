//! Rows of one customer that follow one another at one distance: eight bytes each.

use super::table::MISSING;

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
    pub(super) values: Vec<i64>,
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
            values: vec![entry.value],
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
            value: self.values.get(place).copied().unwrap_or(MISSING),
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
        // Doubling would waste up to half of the memory of a long file.
        if self.values.len() == self.values.capacity() {
            self.values.reserve_exact(self.values.len() / 8 + 64);
        }
        self.values.push(entry.value);
        true
    }

    /// The same rows, the oldest first.
    fn ascending(mut self) -> Self {
        if self.step < 0 {
            let last = self.last();
            self.values.reverse();
            (self.start, self.line) = (last.at, last.line);
            (self.step, self.line_step) = (-self.step, -self.line_step);
        }
        self
    }
}

/// Two rows of the same time with different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conflict(pub(super) Entry, pub(super) Entry);

/// The runs in the order of time, without repetitions, of which `repeated` counts the equal ones.
pub(super) fn sorted(runs: Vec<Run>, repeated: &mut u64) -> Result<Vec<Run>, Conflict> {
    let mut runs: Vec<Run> = runs.into_iter().map(Run::ascending).collect();
    runs.sort_by_key(|run| run.start);
    if runs
        .windows(2)
        .all(|pair| pair[0].last().at < pair[1].start)
    {
        return Ok(runs);
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
    Ok(sorted)
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
        let sorted = sorted(runs(&shuffled), &mut repeated).unwrap();
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
        let sorted = sorted(runs(&[(7_200, 2), (3_600, 1), (0, 0)]), &mut repeated).unwrap();
        assert_eq!(sorted.len(), 1);
        assert_eq!(
            (sorted[0].start, &sorted[0].values[..]),
            (0, &[0, 1, 2][..])
        );
        assert_eq!(sorted[0].entry(0).line, 4);
    }

    #[test]
    fn another_value_for_the_same_time_is_a_conflict() {
        let conflict = sorted(runs(&[(0, 1), (60, 1), (0, 2)]), &mut 0).unwrap_err();
        assert_eq!((conflict.0.line, conflict.1.line), (2, 4));
    }
}
