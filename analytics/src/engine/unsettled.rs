//! Releases that the operator has not answered for good: sent again, and in the end given up.

use service::trust::Roster;
use wire::{Digest, Reason};

use super::Engine;
use crate::store::{Store, StoreError, SumKey};

/// The longest wait of a release that the operator puts off, in milliseconds of reach.
const LONGEST_WAIT_MS: u64 = 3_600_000;

/// A release that awaits the operator's receipt.
#[derive(Debug, Clone)]
pub(super) struct Unsettled {
    pub(super) digest: Digest,
    /// The sums of other feeders that are in it.
    pub(super) pooled: Vec<SumKey>,
    put_off: Option<PutOff>,
}

/// The operator's last answer, if it was one that passes.
#[derive(Debug, Clone, Copy)]
struct PutOff {
    reason: Reason,
    /// When it was put off first.
    since_ms: u64,
    until_ms: u64,
    wait_ms: u64,
}

impl Unsettled {
    pub(super) fn new(digest: Digest, pooled: Vec<SumKey>) -> Self {
        Self {
            digest,
            pooled,
            put_off: None,
        }
    }

    /// Whether it is to be sent again.
    pub(super) fn is_due(&self, active_ms: u64) -> bool {
        self.put_off
            .is_none_or(|put_off| put_off.until_ms <= active_ms)
    }

    /// The operator put it off.
    pub(super) fn put_off(&mut self, reason: Reason, active_ms: u64, first_wait_ms: u64) {
        let wait_ms = match self.put_off {
            // It was sent several times before it was answered.
            Some(before) if active_ms < before.until_ms => return,
            Some(before) => (before.wait_ms * 2).min(LONGEST_WAIT_MS),
            None => first_wait_ms,
        };
        self.put_off = Some(PutOff {
            reason,
            since_ms: self.put_off.map_or(active_ms, |before| before.since_ms),
            until_ms: active_ms + wait_ms,
            wait_ms,
        });
    }
}

impl<S: Store> Engine<S> {
    /// Gives up the releases that the operator still puts off when the retention of their window is over by the wall clock, or
    /// has put off for as long as that. By a feeder's time it may be over within minutes.
    pub(super) fn give_up(&mut self, roster: &Roster) -> Result<(), StoreError> {
        let windows = &self.windows;
        let over = self.unsettled.iter().filter_map(|(key, unsettled)| {
            let put_off = unsettled.put_off?;
            let for_ms = self.active_ms.saturating_sub(put_off.since_ms);
            let is_over = for_ms >= windows.retention_ms()
                || (for_ms >= LONGEST_WAIT_MS && windows.is_past_retention(key));
            is_over.then(|| (key.clone(), put_off.reason))
        });
        let over: Vec<(SumKey, Reason)> = over.collect();
        over.iter()
            .try_for_each(|(key, reason)| self.refused(key, *reason, roster))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_is_put_off_waits_longer_and_longer() {
        let mut unsettled = Unsettled::new(Digest([1; 32]), Vec::new());
        assert!(unsettled.is_due(0));
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..12 {
            unsettled.put_off(Reason::KeySpent, now, 5_000);
            // The answer to one that was sent twice.
            unsettled.put_off(Reason::KeySpent, now + 1, 5_000);
            let begin = now;
            while !unsettled.is_due(now) {
                now += 1_000;
            }
            waits.push((now - begin) / 1_000);
        }
        assert_eq!(waits[..4], [5, 10, 20, 40]);
        assert_eq!(waits[10..], [3_600, 3_600]);
    }
}
