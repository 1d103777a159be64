//! What a gateway of the generator sends next, and when.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meter::pacing::Pace;

use super::reports::Reports;
use super::step::Step;

pub(super) struct State {
    pub(super) origin: Instant,
    pub(super) pace: Pace<u64>,
    pub(super) step: Option<Arc<Step>>,
    /// Rows to send again.
    pub(super) again: VecDeque<u64>,
    /// Rows refused for a reason that passes, and when they are tried again.
    pub(super) later: VecDeque<(u64, u64)>,
    /// The next report of the step to look at.
    pub(super) next: u64,
    /// Since when there is room for another report.
    pub(super) room_since: Instant,
}

pub(super) enum Next {
    Send { row: u64, again: bool },
    Wait(Option<Instant>),
}

impl State {
    pub(super) fn now_ms(&self) -> u64 {
        self.origin.elapsed().as_millis() as u64
    }

    pub(super) fn next(&mut self, index: u32, reports: &Reports) -> Next {
        let Some(step) = self.step.clone() else {
            return Next::Wait(None);
        };
        let now_ms = self.now_ms();
        while let Some(row) = self.pace.lost(now_ms) {
            self.again.push_back(row);
        }
        while let Some((_, row)) = self.later.pop_front_if(|(at_ms, _)| *at_ms <= now_ms) {
            self.again.push_back(row);
        }
        let at = |ms: u64| self.origin + Duration::from_millis(ms);
        let mut wake = self.pace.next_lost_ms().map(at);
        if let Some((at_ms, _)) = self.later.front() {
            wake = Some(wake.map_or(at(*at_ms), |wake| wake.min(at(*at_ms))));
        }
        if !self.pace.has_room(reports.bytes()) {
            return Next::Wait(wake);
        }
        while let Some(row) = self.again.pop_front() {
            if step.number(row).is_some_and(|n| !step.is_settled(n)) {
                return Next::Send { row, again: true };
            }
        }
        while self.next < step.reports() {
            let row = step.row(self.next);
            if reports.fleet.place(row).gateway != index {
                self.next += 1;
                continue;
            }
            let due = step.due(self.next);
            if due > Instant::now() {
                return Next::Wait(Some(wake.map_or(due, |wake| wake.min(due))));
            }
            return Next::Send { row, again: false };
        }
        Next::Wait(wake)
    }

    pub(super) fn sent(&mut self, row: u64, bytes: usize, again: bool) {
        let now_ms = self.now_ms();
        self.pace.sent(row, bytes, again, now_ms);
    }
}
