//! Text as it comes, in pieces of any length, becomes lines, and these are handed over.

use readings::{LineError, LineProblem, LiveReading, MAX_LINE, read_line};
use service::warn_limited;

use super::{Answer, Parcels, hand_over};
use crate::metrics;

/// What became of lines, each with its number; `None` if the gateway has ended.
pub(super) async fn answered(
    lines: Vec<ReadLine>,
    parcels: &Parcels,
) -> Option<Vec<(u64, Result<Answer, LineError>)>> {
    let readings: Vec<LiveReading> = lines
        .iter()
        .filter_map(|(_, read)| read.as_ref().ok().cloned())
        .collect();
    let mut answers = hand_over(parcels, readings).await?.into_iter();
    let answered = lines.into_iter().map(|(line, read)| {
        let answer = match read {
            // There is an answer to each reading.
            Ok(_) => Ok(answers.next().unwrap_or(Answer::Spare)),
            Err(error) => {
                metrics::live::refused(error.problem.reason());
                warn_limited!("refused a live reading: {error}");
                Err(error)
            }
        };
        if let Ok(Answer::Refused(refusal)) = &answer {
            warn_limited!("refused a live reading: line {line}: {refusal}");
        }
        (line, answer)
    });
    Some(answered.collect())
}

/// A line that is not blank: its number, and its reading.
pub(super) type ReadLine = (u64, Result<LiveReading, LineError>);

/// Lines from pieces of any length. A line that is too long takes no more memory than the longest that is not.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    number: u64,
    /// Whether the line is longer than what is kept of it.
    cut: bool,
}

impl Lines {
    /// The lines that end in `piece`.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<ReadLine> {
        let mut read = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let (part, ends) = match part.strip_suffix(b"\n") {
                Some(part) => (part, true),
                None => (part, false),
            };
            let room = MAX_LINE.saturating_sub(self.line.len());
            self.cut |= part.len() > room;
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if !ends {
                continue;
            }
            self.number += 1;
            let line = self.number;
            let problem = LineProblem::TooLong;
            match (self.cut, read_line(line, &self.line)) {
                (true, _) => read.push((line, Err(LineError { line, problem }))),
                (_, Ok(Some(reading))) => read.push((line, Ok(reading))),
                (_, Ok(None)) => {}
                (_, Err(error)) => read.push((line, Err(error))),
            }
            self.line.clear();
            self.cut = false;
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(read: &[ReadLine]) -> Vec<(u64, bool)> {
        read.iter()
            .map(|(line, read)| (*line, read.is_ok()))
            .collect()
    }

    #[test]
    fn lines_are_put_together_from_pieces_of_any_length() {
        let text = "{\"meter\":\"a\",\"time\":1,\"energy_wh\":1}\r\n\n{}\n{\"meter\":\"b\",\"time\":1,\"energy_wh\":1}\nrest";
        for length in [1, 7, 40, 1_000] {
            let mut lines = Lines::default();
            let pieces = text.as_bytes().chunks(length);
            let read: Vec<_> = pieces.flat_map(|piece| lines.take(piece)).collect();
            assert_eq!(numbers(&read), [(1, true), (3, false), (4, true)]);
        }
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_and_the_next_one_is_read() {
        let mut lines = Lines::default();
        for _ in 0..1_000 {
            assert!(lines.take(&[b'x'; 1_000]).is_empty());
            assert!(lines.line.len() <= MAX_LINE);
        }
        let read = lines.take(b"\n{\"meter\":\"a\",\"time\":1,\"energy_wh\":1}\n");
        assert_eq!(numbers(&read), [(1, false), (2, true)]);
        let error = read[0].1.as_ref().unwrap_err();
        assert_eq!(error.problem, LineProblem::TooLong);
    }
}
