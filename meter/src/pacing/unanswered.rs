//! The reports that have no receipt: under way, overtaken, lost.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::Hash;

/// Everything sent to one destination that has no receipt.
#[derive(Debug)]
pub(super) struct Unanswered<K> {
    reports: HashMap<K, Sent>,
    /// Under way, in the order of sending, with nothing sent later known to have arrived.
    in_order: BTreeMap<u64, K>,
    /// Under way, overtaken by a receipt for something sent later: when each is lost.
    overtaken: BTreeSet<(u64, K)>,
    /// Lost, and not yet handed to the caller to be sent again.
    lost: VecDeque<K>,
    /// Bytes under way.
    bytes: usize,
    /// The number of the next report sent.
    next: u64,
}

/// A report, as it was sent last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) sent_ms: u64,
    pub(super) bytes: usize,
    /// A copy was sent before, so that a receipt may be for either.
    pub(super) again: bool,
    /// How often it was taken for lost because something sent later arrived.
    pub(super) losses: u32,
    /// When the receipt of the first copy that was overtaken was expected.
    pub(super) expected_ms: Option<u64>,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    InOrder,
    /// Until then it may still come.
    Overtaken {
        lost_ms: u64,
    },
    /// Not under way any more: it is to be sent again.
    Lost,
}

impl<K: Copy + Ord + Hash> Unanswered<K> {
    pub(super) fn new() -> Self {
        Self {
            reports: HashMap::new(),
            in_order: BTreeMap::new(),
            overtaken: BTreeSet::new(),
            lost: VecDeque::new(),
            bytes: 0,
            next: 0,
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.in_order.len() + self.overtaken.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether everything sent has its receipt.
    pub(super) fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }

    /// The number of the next report sent.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Records that a report was sent, or sent again after it was forgotten as `before`.
    pub(super) fn send(
        &mut self,
        key: K,
        bytes: usize,
        again: bool,
        now_ms: u64,
        before: Option<Sent>,
    ) {
        let sent = Sent {
            number: self.next,
            sent_ms: now_ms,
            bytes,
            again,
            losses: before.map_or(0, |before| before.losses),
            expected_ms: before.and_then(|before| before.expected_ms),
            state: State::InOrder,
        };
        self.next += 1;
        self.bytes += bytes;
        self.in_order.insert(sent.number, key);
        self.reports.insert(key, sent);
    }

    pub(super) fn forget(&mut self, key: &K) -> Option<Sent> {
        let sent = self.reports.remove(key)?;
        self.end(key, &sent);
        Some(sent)
    }

    /// Reports sent before the one with this number are overtaken, each with the time until which it may still come.
    pub(super) fn overtake(&mut self, number: u64, mut until_ms: impl FnMut(&mut Sent) -> u64) {
        while let Some(entry) = self.in_order.first_entry()
            && *entry.key() < number
        {
            let key = entry.remove();
            if let Some(sent) = self.reports.get_mut(&key) {
                let lost_ms = until_ms(sent);
                sent.state = State::Overtaken { lost_ms };
                self.overtaken.insert((lost_ms, key));
            }
        }
    }

    /// Takes the next report whose time is over for lost.
    pub(super) fn lose_overtaken(&mut self, now_ms: u64) -> Option<Sent> {
        let &(lost_ms, key) = self.overtaken.first()?;
        if lost_ms > now_ms {
            return None;
        }
        let sent = self.reports.get_mut(&key)?;
        sent.losses += 1;
        self.lose(key)
    }

    /// Takes the newest report that nothing has overtaken for lost.
    pub(super) fn lose_newest(&mut self) -> Option<Sent> {
        let (_, key) = self.in_order.last_key_value()?;
        self.lose(*key)
    }

    /// Takes everything for lost.
    pub(super) fn lose_all(&mut self) -> Vec<Sent> {
        let under_way = self
            .reports
            .iter()
            .filter(|(_, sent)| sent.state != State::Lost);
        let mut under_way: Vec<(u64, K)> =
            under_way.map(|(key, sent)| (sent.number, *key)).collect();
        under_way.sort_unstable();
        let keys = under_way.into_iter();
        keys.filter_map(|(_, key)| self.lose(key)).collect()
    }

    fn lose(&mut self, key: K) -> Option<Sent> {
        let sent = *self.reports.get(&key)?;
        self.end(&key, &sent);
        self.reports.get_mut(&key)?.state = State::Lost;
        self.lost.push_back(key);
        Some(sent)
    }

    /// Takes the next lost report, to be sent again.
    pub(super) fn take_lost(&mut self) -> Option<K> {
        while let Some(key) = self.lost.pop_front() {
            // Its receipt may have come since.
            if (self.reports.get(&key)).is_some_and(|sent| sent.state == State::Lost) {
                return Some(key);
            }
        }
        None
    }

    pub(super) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// When the next overtaken report is lost.
    pub(super) fn next_lost_ms(&self) -> Option<u64> {
        self.overtaken.first().map(|(lost_ms, _)| *lost_ms)
    }

    pub(super) fn any_in_order(&self) -> bool {
        !self.in_order.is_empty()
    }

    /// Takes a report out of what is under way, if it is in there.
    fn end(&mut self, key: &K, sent: &Sent) {
        match sent.state {
            State::InOrder => drop(self.in_order.remove(&sent.number)),
            State::Overtaken { lost_ms } => drop(self.overtaken.remove(&(lost_ms, *key))),
            State::Lost => return,
        }
        self.bytes -= sent.bytes;
    }
}
