//! A customer's readings in the order of time.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::NONE;

/// A customer's readings: runs of intervals of one length, in the order of time.
#[derive(Default)]
pub(super) struct Series {
    runs: Vec<Run>,
    /// What came out of order, or again.
    late: Vec<(u64, u64, i64)>,
}

struct Run {
    start: u64,
    step_s: u64,
    values: Vec<i64>,
}

impl Run {
    fn end(&self) -> u64 {
        self.start + self.step_s * self.values.len() as u64
    }
}

impl Series {
    /// Adds the reading of the interval that starts at `start` and lasts `step_s`.
    pub(super) fn add(&mut self, start: u64, step_s: u64, uwh: Option<i64>) {
        let value = uwh.unwrap_or(NONE);
        match self.runs.last_mut() {
            Some(last) if last.end() == start && last.step_s == step_s => last.values.push(value),
            Some(last) if start < last.end() => self.late.push((start, step_s, value)),
            _ => self.runs.push(Run {
                start,
                step_s,
                values: vec![value],
            }),
        }
    }

    /// Puts what came late in its place. A repeat must be of the same value; what another reading covers must not differ.
    pub(super) fn sort(&mut self) -> Result<()> {
        if self.late.is_empty() {
            return Ok(());
        }
        let mut all = BTreeMap::new();
        let runs = std::mem::take(&mut self.runs);
        let early = runs.iter().flat_map(|run| {
            let starts = (0..).map(|k| run.start + k * run.step_s);
            run.values
                .iter()
                .zip(starts)
                .map(|(value, start)| (start, run.step_s, *value))
        });
        for (start, step_s, value) in early.chain(std::mem::take(&mut self.late)) {
            let known = all.entry(start).or_insert((step_s, value));
            ensure!(*known == (step_s, value), "two readings at {start}");
        }
        for (start, (step_s, value)) in all {
            self.add(start, step_s, (value != NONE).then_some(value));
        }
        ensure!(self.late.is_empty(), "readings overlap");
        Ok(())
    }

    /// The energy from `start` until `end`, if it is that of whole intervals none of which is missing.
    pub(super) fn energy(&self, start: u64, end: u64) -> Option<i64> {
        let mut at = start;
        let mut sum = 0i64;
        let mut place = self.runs.partition_point(|run| run.end() <= start);
        while at < end {
            let run = self.runs.get(place)?;
            let behind = at
                .checked_sub(run.start)
                .filter(|behind| behind % run.step_s == 0)?;
            let value = *run.values.get((behind / run.step_s) as usize)?;
            sum += Some(value).filter(|value| *value != NONE)?;
            at += run.step_s;
            place += usize::from(at == run.end());
        }
        (at == end).then_some(sum)
    }
}
