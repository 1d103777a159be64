//! A meter's registers, and the energy of the intervals between them.

use super::super::super::FileError;
use super::super::super::customer::Kind;
use super::super::super::row::{Row, Sink, Value};
use super::telegram::Read;

const INTERVALS_S: [u64; 5] = [60, 300, 900, 1_800, 3_600];
/// The longest gap that is filled, in intervals: a longer one is for the rules on gaps.
const LONGEST_FILLED: u64 = 8_784;

pub(super) struct Meter {
    pub(super) name: String,
    pub(super) reads: Vec<Read>,
}

impl Meter {
    pub(super) fn write(mut self, sink: &mut dyn Sink) -> Result<(), FileError> {
        self.reads.sort_by_key(|read| (read.at, read.line));
        self.reads.dedup_by(|second, first| {
            second.at == first.at
                && (second.drawn, second.exported) == (first.drawn, first.exported)
        });
        if let Some(pair) = self.reads.windows(2).find(|pair| pair[0].at == pair[1].at) {
            let problem = format!(
                "meter {:?} has drawn {}, and {} at the same time on line {}: remove one of the two telegrams",
                self.name,
                Kind::Register.shown(pair[1].drawn),
                Kind::Register.shown(pair[0].drawn),
                pair[0].line
            );
            return Err(FileError::line(pair[1].line, problem));
        }
        let mut distances: Vec<u64> = self
            .reads
            .windows(2)
            .map(|pair| pair[1].at - pair[0].at)
            .collect();
        distances.sort_unstable();
        let usual_s = distances.get(distances.len() / 2).copied().ok_or_else(|| {
            FileError::line(
                self.reads[0].line,
                format!(
                    "meter {:?} has one telegram: an interval needs two",
                    self.name
                ),
            )
        })?;
        let interval_s = INTERVALS_S.into_iter().find(|interval| *interval >= usual_s).ok_or_else(|| {
            let problem = format!("the telegrams of meter {:?} are {usual_s} s apart, and there is no interval longer than an hour: log them more often", self.name);
            FileError::line(self.reads[0].line, problem)
        })?;
        self.intervals(interval_s, usual_s, sink)
    }

    fn intervals(
        &self,
        interval_s: u64,
        usual_s: u64,
        sink: &mut dyn Sink,
    ) -> Result<(), FileError> {
        let mut last: Option<(u64, &Read)> = None;
        let mut written = 0u64;
        for read in &self.reads {
            let late = read.at % interval_s;
            let time = read.at - late;
            if late >= usual_s || last.is_some_and(|(last, _)| last == time) {
                continue;
            }
            if let Some((start, before)) = last {
                let whole = time - start == interval_s;
                let filled = (time - start) / interval_s <= LONGEST_FILLED;
                let end = if filled { time } else { start };
                for start in (start..end).step_by(interval_s as usize) {
                    written += 1;
                    sink.take(Row {
                        line: read.line,
                        customer: &self.name,
                        start,
                        interval_s: interval_s as u32,
                        value: if whole {
                            read.since(before)
                        } else {
                            Value::Missing
                        },
                    })?;
                }
            }
            last = Some((time, read));
        }
        if written == 0 {
            tracing::warn!(
                meter = self.name,
                "no two telegrams of the meter are at the ends of one interval: it is not read"
            );
        }
        Ok(())
    }
}

impl Read {
    fn since(&self, before: &Self) -> Value {
        let (drawn, exported) = (self.drawn - before.drawn, self.exported - before.exported);
        match drawn >= 0 && exported >= 0 {
            true => Value::Energy(drawn - exported),
            false => Value::Missing,
        }
    }
}
