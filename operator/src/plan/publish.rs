//! When plan and roster are published: soon after a change, at every connection, and now and then because a broker may
//! forget what it retains.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::roster::{Extent, RosterBook};

/// How long changes are gathered before they are made durable and published: enrolment comes in bursts.
pub(crate) const DEBOUNCE: Duration = Duration::from_millis(100);

/// How long requests for what is known already are gathered before it is published again.
const REMIND: Duration = Duration::from_secs(1);

/// Roster pages republished at one time, so that a large roster does not crowd out everything else.
const PAGES_AT_ONCE: u16 = 4;

/// The same for the parts of gateways, which are small.
const PARTS_AT_ONCE: usize = 256;

/// Something to publish. The plan sorts first, so that no meter is announced on a feeder that is not in the plan yet; then the
/// roster, so that analytics hears of a meter before its gateway does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    Plan,
    /// A page of the roster.
    Page(u16),
    /// What a gateway is told of it.
    Own(usize),
}

/// What is to be published, and when.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// Each with the time by which it is published. A change must not wait because a reminder is pending.
    items: BTreeMap<Item, Instant>,
    every: Duration,
    next_round: Instant,
    next_page: u16,
    next_part: usize,
}

impl Schedule {
    /// Nothing to publish yet; a round every `every`.
    pub(crate) fn new(every: Duration, now: Instant) -> Self {
        Self {
            items: BTreeMap::new(),
            every,
            next_round: now + every,
            next_page: 0,
            next_part: 0,
        }
    }

    /// The plan changed: publish it once the burst it came in is over.
    pub(crate) fn plan_changed(&mut self, now: Instant) {
        self.publish_by(Item::Plan, now + DEBOUNCE);
    }

    /// Publishes what changed of the roster: the version on each of its pages, and the parts of some gateways.
    pub(crate) fn roster_changed(&mut self, roster: &mut RosterBook, now: Instant) {
        let parts = roster.take_changed();
        if !parts.is_empty() {
            self.pages_changed(roster.extent().pages, parts, now);
        }
    }

    /// The more pages there are, the longer changes are gathered: a million meters are 64 pages of megabytes each.
    fn pages_changed(&mut self, pages: u16, parts: Vec<usize>, now: Instant) {
        let patience = DEBOUNCE * u32::from(1 + pages / 4);
        let pages = (0..pages).map(Item::Page);
        for item in pages.chain(parts.into_iter().map(Item::Own)) {
            self.publish_by(item, now + patience);
        }
    }

    /// Somebody asks for what is known already, so may have missed it: publish it again, but not at every request.
    pub(crate) fn missed(&mut self, items: impl Iterator<Item = Item>, now: Instant) {
        for item in items {
            self.items.entry(item).or_insert(now + REMIND);
        }
    }

    /// A broker that may know nothing: publish everything.
    pub(crate) fn connected(&mut self, extent: Extent, now: Instant) {
        let pages = (0..extent.pages).map(Item::Page);
        let parts = (0..extent.gateways).map(Item::Own);
        for item in [Item::Plan].into_iter().chain(pages).chain(parts) {
            self.publish_by(item, now);
        }
        self.next_round = now + self.every;
    }

    fn publish_by(&mut self, item: Item, due: Instant) {
        let entry = self.items.entry(item).or_insert(due);
        *entry = due.min(*entry);
    }

    /// When [`Schedule::take`] has something next.
    pub(crate) fn due(&self) -> Instant {
        let due = self.items.values().copied();
        due.fold(self.next_round, Instant::min)
    }

    /// What to publish now, in order. Empty before [`Schedule::due`].
    pub(crate) fn take(&mut self, extent: Extent, now: Instant) -> Vec<Item> {
        if now >= self.next_round {
            self.begin_round(extent, now);
        }
        if self.items.values().all(|due| now < *due) {
            return Vec::new();
        }
        // A page that is published has the roster of now, so the plan of now goes before it.
        let due = |item: &Item, due: &mut Instant| *item == Item::Plan || *due <= now;
        self.items
            .extract_if(.., due)
            .map(|(item, _)| item)
            .collect()
    }

    fn begin_round(&mut self, extent: Extent, now: Instant) {
        self.next_round = now + self.every;
        self.publish_by(Item::Plan, now);
        for _ in 0..extent.pages.min(PAGES_AT_ONCE) {
            self.next_page %= extent.pages;
            self.publish_by(Item::Page(self.next_page), now);
            self.next_page += 1;
        }
        for _ in 0..extent.gateways.min(PARTS_AT_ONCE) {
            self.next_part %= extent.gateways;
            self.publish_by(Item::Own(self.next_part), now);
            self.next_part += 1;
        }
    }

    /// For what could not be made durable, or not be sent because there is no broker: it is due again after a second.
    pub(crate) fn postpone(&mut self, items: Vec<Item>, now: Instant) {
        for item in items {
            self.publish_by(item, now + Duration::from_secs(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    fn extent(pages: u16, gateways: usize) -> Extent {
        Extent { pages, gateways }
    }

    #[test]
    fn a_burst_is_published_once_and_the_plan_first() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(30), start);
        schedule.pages_changed(1, vec![7], at(start, 0));
        schedule.plan_changed(at(start, 60));
        schedule.pages_changed(1, Vec::new(), at(start, 90));
        assert_eq!(schedule.due(), at(start, 100));
        assert!(schedule.take(extent(1, 0), at(start, 99)).is_empty());
        assert_eq!(
            schedule.take(extent(1, 9), at(start, 100)),
            [Item::Plan, Item::Page(0), Item::Own(7)]
        );
        assert!(schedule.take(extent(1, 9), at(start, 101)).is_empty());
    }

    #[test]
    fn a_change_does_not_wait_for_a_reminder() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(30), start);
        schedule.missed([Item::Plan, Item::Page(0)].into_iter(), start);
        assert_eq!(schedule.due(), at(start, 1_000));
        schedule.plan_changed(at(start, 10));
        assert_eq!(schedule.due(), at(start, 110));
        assert_eq!(schedule.take(extent(1, 0), at(start, 110)), [Item::Plan]);
        assert_eq!(schedule.due(), at(start, 1_000));
        schedule.postpone(vec![Item::Plan], at(start, 200));
        schedule.connected(extent(1, 0), at(start, 300));
        assert_eq!(
            schedule.take(extent(1, 0), at(start, 300)),
            [Item::Plan, Item::Page(0)]
        );
    }

    #[test]
    fn a_large_roster_is_gathered_longer() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(30), start);
        schedule.pages_changed(64, Vec::new(), start);
        assert_eq!(schedule.due(), at(start, 1_700));
        assert_eq!(schedule.take(extent(64, 0), at(start, 1_700)).len(), 64);
    }

    #[test]
    fn a_connection_publishes_everything_and_rounds_go_through_pages_and_parts() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(30), start);
        let all = extent(6, 300);
        schedule.connected(all, start);
        assert_eq!(schedule.take(all, start).len(), 1 + 6 + 300);
        let mut round = |number: u64| {
            let items = schedule.take(all, at(start, number * 30_000));
            let (own, others): (Vec<_>, Vec<_>) = items
                .into_iter()
                .partition(|item| matches!(item, Item::Own(_)));
            assert_eq!((others[0], own.len()), (Item::Plan, 256));
            (others[1..].to_vec(), own)
        };
        let pages = |numbers: [u16; 4]| numbers.map(Item::Page).to_vec();
        let parts = |numbers: std::ops::Range<usize>| numbers.map(Item::Own);
        assert_eq!(round(1), (pages([0, 1, 2, 3]), parts(0..256).collect()));
        let second = parts(0..212).chain(parts(256..300)).collect();
        assert_eq!(round(2), (pages([0, 1, 4, 5]), second));
    }

    #[test]
    fn without_a_roster_a_round_is_the_plan() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(30), start);
        assert_eq!(schedule.take(extent(0, 0), at(start, 30_000)), [Item::Plan]);
        schedule.postpone(vec![Item::Plan], at(start, 30_000));
        assert_eq!(schedule.due(), at(start, 31_000));
    }
}
