//! What the gateway waits for.

use std::time::Duration;

use tokio::time::Instant;

use super::{ASK_AGAIN, AWAIT_SETTLEMENTS, Gateway};

impl Gateway {
    /// Whether there is nothing more to do. Sums that are not released yet are waited for, but not long: what becomes of them is
    /// known to the next process, too.
    pub(super) fn is_done(&mut self) -> bool {
        let idle = self.reader.ended && self.outbox.is_empty() && self.writer.is_idle();
        if !idle || self.kept.is_empty() {
            self.idle_since = None;
            return idle;
        }
        let since = *self.idle_since.get_or_insert_with(Instant::now);
        since.elapsed() >= AWAIT_SETTLEMENTS
    }

    /// Milliseconds since the gateway began: the time its outbox counts in.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// When there is something to do next if nothing happens.
    pub(super) fn next_wake(&self, due_ms: Option<u64>) -> Instant {
        let asked = self
            .waiting
            .last_asked
            .map_or_else(Instant::now, |asked| asked + ASK_AGAIN);
        let due = due_ms.map(|due_ms| self.origin + Duration::from_millis(due_ms));
        let due = due.filter(|due| *due > Instant::now());
        let interval = self
            .reader
            .run
            .as_ref()
            .filter(|run| self.reader.reading.is_none() && !run.accepting && !self.reader.ended)
            .filter(|run| !self.writer.is_failing() && run.progress().has_intervals())
            .map(|run| {
                let ahead_ms = self.due_at(run).0.saturating_sub(self.clock.now().0);
                // A full outbox is looked at again by receipts, not by spinning.
                Instant::now()
                    + Duration::from_millis(ahead_ms.max(if self.may_read_on() { 0 } else { 1000 }))
            });
        let enrolment = self
            .waiting
            .patience_ends(self.settings.meter.enrolment_wait);
        let enrolment = enrolment.filter(|end| self.reader.run.is_none() && *end > Instant::now());
        let idle = self.idle_since.map(|since| since + AWAIT_SETTLEMENTS);
        [
            Some(asked),
            due,
            interval,
            enrolment,
            idle,
            self.writer.next_wake(),
        ]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(asked)
    }
}
