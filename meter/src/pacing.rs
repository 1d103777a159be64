//! How many reports may be on their way to one destination, and which of them are taken for lost.
//!
//! The broker keeps what it has not delivered in a ring and drops the oldest silently, so a sender that goes on while
//! the pipeline is slow loses reports, sends them again, and takes the room of the rest: throughput collapses just
//! when it is short. Receipts are the only sign of how fast a destination is, so they set the pace here, as
//! acknowledgements do in TCP:
//!
//! * Reports under way (sent, neither receipted nor taken for lost) are bounded by an *allowance*, which never exceeds a
//!   number of reports and a number of bytes. It grows by one for each receipt until it was too large once, then by one
//!   for each round trip, and only while it is used up.
//! * A receipt that took longer than the quickest of the last minutes by more than [`Limits::delay_target`] means that
//!   a queue has built up: the allowance shrinks to seven tenths, at most once a round trip. All gateways of a broker
//!   together keep about that much time's worth of reports in its ring, however many they are.
//! * A report is **lost** if one that was sent later has its receipt and it has itself waited longer than receipts
//!   take, plus a margin for those that change places on the way (RACK, RFC 8985). It is sent again. The allowance stays: a
//!   ring that overflows holds more than the delay target's worth, so the delay has shrunk the allowance before, and a lossy network is no reason to
//!   send less. Only when more than a third of what is sent is lost is that taken for a ring too small for the delay to
//!   show, and the allowance shrinks.
//! * Only silence is a **standstill**: no receipt at all for the time that receipts take plus four times its variation
//!   (RFC 6298), within the settings' bounds. Then everything under way is taken for lost, the allowance shrinks to one
//!   report and the patience doubles until a receipt comes, so a destination that stands still is asked for a sign of
//!   life, and not buried. A receipt that comes late still counts, and the report is not sent again.
//! * Where nothing was sent later, the last report is sent once more after half of that silence: a *probe*, whose receipt
//!   tells what is lost (RFC 8985, 7).
//!
//! A receipt follows a commit, and one commit answers many reports at once, in any order. So the receipts of one
//! millisecond are one measurement, the longest; and losses are only looked for afterwards.
//!
//! Plain code without a clock: the gateway and the load generator of `bench` drive it with theirs.

use std::collections::HashMap;
use std::hash::Hash;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

mod allowance;
mod delay;
mod limits;
mod unanswered;

use allowance::Allowance;
use delay::{Quickest, RoundTrip};
use limits::milliseconds;
use unanswered::{Sent, State, Unanswered};

pub use limits::Limits;

/// How often a network may lose the same report. One that is lost more often may be one that is never answered: it is
/// waited for twice as long each time.
const LOST_BY_CHANCE: u32 = 3;

/// The reports of one gateway that are on their way to one destination, by key. Times are milliseconds of the caller's.
#[derive(Debug)]
pub struct Pace<K> {
    limits: Limits,
    unanswered: Unanswered<K>,
    /// Answered after they were sent again, and how late that was if it was the first copy that was answered: a second
    /// receipt tells that it was.
    doubtful: HashMap<K, u64>,
    allowance: Allowance,
    round_trip: RoundTrip,
    quickest: Quickest,
    /// Doublings of the patience.
    backoff: u32,
    /// While something is under way: when the silence is a standstill, and when a probe breaks it.
    standstill_ms: u64,
    probe_ms: Option<u64>,
    random: StdRng,
}

impl<K: Copy + Ord + Hash> Pace<K> {
    /// Nothing under way.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::seeded(limits, rand::rng().random())
    }

    fn seeded(limits: Limits, seed: u64) -> Self {
        Self {
            allowance: Allowance::new(limits.reports),
            limits,
            unanswered: Unanswered::new(),
            doubtful: HashMap::new(),
            round_trip: RoundTrip::default(),
            quickest: Quickest::default(),
            backoff: 0,
            standstill_ms: 0,
            probe_ms: None,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// Changes the bounds: there are more or fewer destinations than there were.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.allowance.set_most(limits.reports);
        self.limits = limits;
    }

    /// Reports under way.
    #[must_use]
    pub(crate) fn under_way(&self) -> usize {
        self.unanswered.under_way()
    }

    /// Reports that may be under way now.
    #[must_use]
    pub(crate) fn allowance(&self) -> usize {
        self.allowance.size()
    }

    /// Whether a report of so many bytes may be sent now.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let under_way = self.under_way();
        let fits = self.unanswered.bytes() + bytes <= self.limits.bytes;
        under_way < self.allowance() && (under_way == 0 || fits)
    }

    /// Notes that a report is sent. `again`: a copy of it may have been sent before, by this process or an earlier one.
    pub fn sent(&mut self, key: K, bytes: usize, again: bool, now_ms: u64) {
        let before = self.forget(&key);
        self.doubtful.remove(&key);
        if self.under_way() == 0 {
            // A probe does not break the silence; that nothing was under way does.
            let idle = self.unanswered.is_empty() && before.is_none();
            self.listen(now_ms, idle || self.probe_ms.is_some());
        }
        self.unanswered.send(key, bytes, again, now_ms, before);
        if self.under_way() >= self.allowance() {
            self.allowance.filled(now_ms);
        }
    }

    /// Takes a receipt for a report, whatever it says: a refusal tells as much about the pace.
    pub fn receipt(&mut self, key: &K, now_ms: u64) {
        let Some(sent) = self.forget(key) else {
            // Both copies arrived (a DSACK, RFC 8985, 6.2): the first was late and not lost.
            if let Some(late_ms) = self.doubtful.remove(key) {
                self.round_trip.changed_places(late_ms);
            }
            return;
        };
        self.listen(now_ms, true);
        if let Some(expected_ms) = sent.expected_ms {
            // Later than that it was a standstill.
            let most_ms = milliseconds(self.limits.retry_min);
            let late_ms = now_ms.saturating_sub(expected_ms).min(most_ms);
            self.was_overtaken(*key, &sent, late_ms);
        }
        let took_ms = now_ms.saturating_sub(sent.sent_ms);
        if sent.again {
            // It says nothing certain about time; that the pipeline lives, it does say. After an outage everything is sent
            // again, and would be one at a time for as long as these did not count.
            self.allowance.grow(sent.sent_ms);
            // A copy that is answered sooner than any report ever was may not be the one that is answered: the patience comes
            // back step by step. Not at all would be too little, since a pipeline that has become idle is as quick.
            let quickest_ms = self.quickest.get();
            if quickest_ms.is_some_and(|least_ms| took_ms < least_ms) {
                self.backoff = self.backoff.saturating_sub(1);
                return;
            }
        } else {
            self.round_trip.measure(took_ms, now_ms);
            let quickest_ms = self.quickest.with(took_ms, now_ms);
            if took_ms > quickest_ms.saturating_add(milliseconds(self.limits.delay_target)) {
                let next = self.unanswered.next();
                self.allowance.shrink(sent.sent_ms, now_ms, next);
            } else {
                self.allowance.grow(sent.sent_ms);
            }
        }
        self.backoff = 0;
        self.overtake(sent.number, took_ms);
    }

    /// A report has its receipt, `late_ms` after one that was sent later told to expect it.
    fn was_overtaken(&mut self, key: K, sent: &Sent, late_ms: u64) {
        if sent.state == State::Lost {
            self.allowance.found(sent.number);
        } else if sent.losses > 0 {
            if self.doubtful.len() >= self.limits.reports {
                self.doubtful.clear();
            }
            self.doubtful.insert(key, late_ms);
            return;
        }
        self.round_trip.changed_places(late_ms);
    }

    /// The next report that is lost, or sent once more as a probe. It is no longer under way, and the caller's to send
    /// again, before everything else. To be asked when all that a receipt says has been entered.
    pub fn lost(&mut self, now_ms: u64) -> Option<K> {
        while let Some(sent) = self.unanswered.lose_overtaken(now_ms) {
            self.allowance.ended(sent.number, true);
        }
        self.allowance.judge(now_ms, self.unanswered.next());
        if self.under_way() > 0 && now_ms >= self.standstill_ms {
            self.stand_still(now_ms);
        } else if self.probe_ms.is_some_and(|probe_ms| probe_ms <= now_ms)
            && let Some(sent) = self.unanswered.lose_newest()
        {
            self.probe_ms = None;
            self.allowance.ended(sent.number, false);
        }
        self.unanswered.take_lost()
    }

    fn stand_still(&mut self, now_ms: u64) {
        self.unanswered.lose_all();
        self.allowance.collapse(now_ms, self.unanswered.next());
        self.backoff = (self.backoff + 1).min(16);
        self.probe_ms = None;
    }

    /// When to ask for lost reports next.
    #[must_use]
    pub fn next_lost_ms(&self) -> Option<u64> {
        if self.unanswered.has_lost() {
            return Some(0);
        }
        let silence = (self.under_way() > 0).then_some(self.standstill_ms);
        let probe = self.probe_ms.filter(|_| self.unanswered.any_in_order());
        let overtaken = self.unanswered.next_lost_ms();
        [silence, probe, overtaken].into_iter().flatten().min()
    }

    /// The silence that is taken for a standstill, in milliseconds.
    #[must_use]
    pub(crate) fn patience_ms(&self) -> u64 {
        let least = milliseconds(self.limits.retry_min).max(1);
        let most = milliseconds(self.limits.retry_max).max(least);
        self.round_trip
            .timeout_ms()
            .clamp(least, most)
            .saturating_mul(1 << self.backoff)
            .min(most)
    }

    /// A report that is of no interest any more.
    pub(crate) fn release(&mut self, key: &K) {
        self.forget(key);
    }

    fn forget(&mut self, key: &K) -> Option<Sent> {
        let sent = self.unanswered.forget(key)?;
        if sent.state != State::Lost {
            self.allowance.ended(sent.number, false);
        }
        Some(sent)
    }

    /// Waits for a sign of life from now on.
    fn listen(&mut self, now_ms: u64, probes: bool) {
        // Up to a fifth longer, so that gateways that lost the same broker do not come back as one.
        let patience_ms = self.patience_ms();
        let wait_ms = patience_ms.saturating_add(self.random.random_range(0..=patience_ms / 5));
        self.standstill_ms = now_ms.saturating_add(wait_ms);
        self.probe_ms = probes.then(|| now_ms.saturating_add(wait_ms / 2));
    }

    /// The report with this number arrived after `took_ms`: those sent before it should be here, too.
    fn overtake(&mut self, number: u64, took_ms: u64) {
        let usual_ms = self.round_trip.usual_ms(took_ms);
        let margin_ms = self.round_trip.margin_ms();
        let most_ms = milliseconds(self.limits.retry_max);
        self.unanswered.overtake(number, |sent| {
            // Of one that is sent again, the first copy is what a late receipt is for.
            let expected_ms = sent.sent_ms.saturating_add(usual_ms);
            sent.expected_ms.get_or_insert(expected_ms);
            let doublings = sent.losses.saturating_sub(LOST_BY_CHANCE).min(16);
            let wait_ms = (usual_ms + margin_ms).saturating_mul(1 << doublings);
            sent.sent_ms.saturating_add(wait_ms.min(most_ms))
        });
    }
}

#[cfg(test)]
mod tests;
