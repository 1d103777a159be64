//! Reports that are sent, and sent again.

use super::lane::Lane;
use super::{Key, Outbox, Sealed};

impl Outbox {
    /// Reports under way: sent, and neither receipted nor taken for lost.
    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        self.lanes.iter().map(|lane| lane.pace.under_way()).sum()
    }

    /// When there is something to do next, in the caller's milliseconds: 0 if a report may be sent at once.
    #[must_use]
    pub(crate) fn next_due_ms(&self) -> Option<u64> {
        let back = self.due.first().map(|(due_ms, _)| *due_ms);
        let of_lane = |lane: &Lane| match self.next_of(lane) {
            Some(_) => Some(0),
            None => lane.pace.next_lost_ms(),
        };
        let lanes = self.lanes.iter().filter_map(of_lane);
        lanes.chain(back).min()
    }

    /// Takes the next report that may be sent now, of the destinations in turn. The flag: it may have been sent before.
    pub(crate) fn pop_due(&mut self, now_ms: u64) -> Option<(Sealed, bool)> {
        self.come_back(now_ms);
        for _ in 0..self.lanes.len() {
            self.turn = (self.turn + 1) % self.lanes.len();
            if let Some(key) = self.next_of(&self.lanes[self.turn]) {
                return self.send(key, now_ms);
            }
        }
        None
    }

    /// The report that a lane may send now.
    fn next_of(&self, lane: &Lane) -> Option<Key> {
        lane.to.as_ref()?;
        let key = *lane
            .ready
            .iter()
            .find(|key| self.waiting(**key).is_some())?;
        let sealed = self.waiting(key)?;
        lane.pace.has_room(sealed.payload.len()).then_some(key)
    }

    fn send(&mut self, key: Key, now_ms: u64) -> Option<(Sealed, bool)> {
        let index = self.lane_of(key);
        let lane = &mut self.lanes[index];
        // Those before it no longer wait.
        while lane.ready.pop_front().is_some_and(|front| front != key) {}
        let report = self.reports.get_mut(&key)?;
        report.attempts = report.attempts.saturating_add(1);
        report.ready = false;
        let again = std::mem::replace(&mut report.sent, true);
        if !again {
            report.first_sent_ms = Some(now_ms);
        }
        let sealed = report.sealed.clone()?;
        lane.pace.sent(key, sealed.payload.len(), again, now_ms);
        Some((sealed, again))
    }

    /// The report, if it waits to be sent: it may have been settled, or reopened, while it was in line.
    fn waiting(&self, key: Key) -> Option<&Sealed> {
        let report = self.reports.get(&key)?;
        report.sealed.as_ref().filter(|_| report.ready)
    }

    /// What is lost or has waited after a refusal is in line again.
    fn come_back(&mut self, now_ms: u64) {
        for lane in &mut self.lanes {
            let lost: Vec<Key> = std::iter::from_fn(|| lane.pace.lost(now_ms)).collect();
            for key in lost.into_iter().rev() {
                if let Some(report) = self.reports.get_mut(&key) {
                    report.ready = true;
                    lane.ready.push_front(key);
                }
            }
        }
        while let Some(&(due_ms, key)) = self.due.first()
            && due_ms <= now_ms
        {
            self.due.pop_first();
            let index = self.lane_of(key);
            let Some(report) = self.reports.get_mut(&key) else {
                continue;
            };
            report.due_ms = None;
            if report.sealed.is_some() {
                report.ready = true;
                self.lanes[index].ready.push_back(key);
            } else {
                self.lanes[index].to_seal.push_back(key);
            }
        }
    }
}
