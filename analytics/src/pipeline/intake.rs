//! What was received and is in no sum yet: bounded in reports and in bytes.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::early::EarlyReports;
use crate::admit::Incoming;
use crate::verify::{TOGETHER, Verdicts};

/// Reports verified in one go at most, so that the first of a long queue are not kept waiting by the last.
const ONE_GO: usize = 4 * TOGETHER;

/// Reports on their way to the engine.
#[derive(Debug)]
pub(super) struct Intake {
    max_reports: usize,
    max_bytes: usize,
    /// Received, with the time at which they were.
    queue: VecDeque<(Instant, Incoming)>,
    /// Verified, and the time at which the first of them was received.
    verified: VecDeque<Lot>,
    /// Reports and bytes in all stages before the fold, those being verified included.
    reports: usize,
    bytes: usize,
}

/// Reports that are verified together.
#[derive(Debug)]
pub(super) struct Lot {
    /// When the first was received.
    pub(super) since: Instant,
    /// How many they are, and bytes of their messages.
    pub(super) reports: usize,
    pub(super) bytes: usize,
    /// What became of them.
    pub(super) verdicts: Verdicts,
    /// Those of them that are to be judged again under a newer plan or roster than these.
    pub(super) early: EarlyReports,
    pub(super) generation: u64,
}

impl Intake {
    pub(super) fn new(max_reports: usize, max_bytes: usize) -> Self {
        Self {
            max_reports,
            max_bytes,
            queue: VecDeque::new(),
            verified: VecDeque::new(),
            reports: 0,
            bytes: 0,
        }
    }

    /// Whether another report may be received.
    pub(super) fn has_room(&self) -> bool {
        self.reports < self.max_reports && self.bytes < self.max_bytes
    }

    /// Reports received and not folded.
    pub(super) fn reports(&self) -> usize {
        self.reports
    }

    pub(super) fn receive(&mut self, report: Incoming, now: Instant) {
        self.reports += 1;
        self.bytes += report.payload.len();
        self.queue.push_back((now, report));
    }

    /// When the queue is to be verified: at once if it is worth it, else when its first report has waited for others.
    pub(super) fn verify_at(&self, wait: Duration) -> Option<Instant> {
        let (since, _) = self.queue.front()?;
        Some(match self.queue.len() {
            0..TOGETHER => *since + wait,
            _ => *since,
        })
    }

    /// Takes reports to verify. They count until their lot is taken, or forgotten.
    pub(super) fn take_queue(&mut self) -> Option<(Instant, Vec<Incoming>)> {
        let since = self.queue.front()?.0;
        let most = self.queue.len().min(ONE_GO);
        Some((
            since,
            self.queue.drain(..most).map(|(_, report)| report).collect(),
        ))
    }

    /// The reports of a lot were dropped.
    pub(super) fn forget(&mut self, reports: usize, bytes: usize) {
        self.reports -= reports;
        self.bytes -= bytes;
    }

    pub(super) fn enter_verified(&mut self, lot: Lot) {
        self.verified.push_back(lot);
    }

    /// Takes lots to fold, up to so many reports or one lot.
    pub(super) fn take_verified(&mut self, most: usize) -> Option<(Instant, Verdicts)> {
        let first = self.verified.pop_front()?;
        self.forget(first.reports, first.bytes);
        let since = first.since;
        let mut verdicts = first.verdicts;
        while let Some(next) = self.verified.front()
            && verdicts.len() + next.verdicts.len() <= most
            && let Some(next) = self.verified.pop_front()
        {
            self.forget(next.reports, next.bytes);
            verdicts.extend(next.verdicts);
        }
        Some((since, verdicts))
    }

    pub(super) fn has_verified(&self) -> bool {
        !self.verified.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.reports == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(10);

    fn report(bytes: usize) -> Incoming {
        Incoming {
            topic: "t".to_owned(),
            payload: vec![0; bytes].into(),
        }
    }

    fn lot(intake: &mut Intake) -> Lot {
        let (since, batch) = intake.take_queue().unwrap();
        Lot {
            since,
            reports: batch.len(),
            bytes: batch.iter().map(|report| report.payload.len()).sum(),
            // What they are found to be does not matter here.
            verdicts: Verdicts::new(),
            early: EarlyReports::default(),
            generation: 0,
        }
    }

    #[test]
    fn what_is_held_is_bounded_in_reports_and_in_bytes_until_it_is_taken_to_be_folded() {
        for (max_reports, max_bytes, fits) in [(3, 1_000, 3), (100, 250, 3), (100, 1, 1)] {
            let mut intake = Intake::new(max_reports, max_bytes);
            let mut received = 0;
            while intake.has_room() {
                intake.receive(report(100), Instant::now());
                received += 1;
            }
            assert_eq!((received, intake.reports()), (fits, fits));
            let verified = lot(&mut intake);
            assert!(!intake.has_room(), "what is being verified counts");
            intake.enter_verified(verified);
            assert!(!intake.has_room(), "what was verified counts");
            assert!(intake.take_verified(usize::MAX).is_some());
            assert!(intake.has_room() && intake.is_empty() && !intake.has_verified());
        }
    }

    #[test]
    fn reports_wait_for_others_and_enough_of_them_do_not() {
        let mut intake = Intake::new(10_000, usize::MAX);
        let first = Instant::now();
        assert_eq!(intake.verify_at(WAIT), None);
        for index in 0..TOGETHER - 1 {
            intake.receive(report(1), first + WAIT * index as u32);
        }
        assert_eq!(intake.verify_at(WAIT), Some(first + WAIT));
        intake.receive(report(1), first);
        assert_eq!(intake.verify_at(WAIT), Some(first));
    }

    #[test]
    fn a_lot_is_as_old_as_its_oldest_report_and_one_go_is_bounded() {
        let mut intake = Intake::new(10_000, usize::MAX);
        let first = Instant::now();
        for index in 0..ONE_GO + 1 {
            intake.receive(report(1), first + WAIT * index as u32);
        }
        for (reports, since) in [(ONE_GO, first), (1, first + WAIT * ONE_GO as u32)] {
            let lot = lot(&mut intake);
            assert_eq!((lot.reports, lot.since), (reports, since));
            intake.enter_verified(lot);
        }
        // Lots without verdicts fit any number: all of them are taken, and the first says how old they are.
        let (since, _) = intake.take_verified(0).unwrap();
        assert_eq!(since, first);
        assert!(intake.is_empty());
    }
}
