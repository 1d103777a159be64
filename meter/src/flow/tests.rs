use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

const REPORT: usize = 27_300;

fn limits(reports: usize) -> Limits {
    Limits {
        reports,
        bytes: 1 << 30,
        delay_target: Duration::from_millis(250),
        retry_min: Duration::from_secs(2),
        retry_max: Duration::from_secs(60),
    }
}

/// Gateways that always have something to send, a ring that drops the oldest when it is full, and a consumer that takes
/// so many reports a millisecond and answers those of 20 ms together.
struct World {
    gateways: Vec<Flow<u64>>,
    again: Vec<VecDeque<u64>>,
    next: u64,
    ring: VecDeque<(usize, u64)>,
    ring_size: usize,
    answers: Vec<(usize, u64)>,
    settled: BTreeMap<u64, u32>,
    sent: u64,
    repeated: u64,
    dropped: u64,
    longest: usize,
    now_ms: u64,
}

impl World {
    fn new(gateways: usize, window: usize, ring_size: usize) -> Self {
        Self {
            gateways: (0..gateways).map(|_| Flow::new(limits(window))).collect(),
            again: vec![VecDeque::new(); gateways],
            next: 0,
            ring: VecDeque::new(),
            ring_size,
            answers: Vec::new(),
            settled: BTreeMap::new(),
            sent: 0,
            repeated: 0,
            dropped: 0,
            longest: 0,
            now_ms: 0,
        }
    }

    fn run(&mut self, until_ms: u64, takes_a_ms: usize) {
        while self.now_ms < until_ms {
            for index in 0..self.gateways.len() {
                self.send(index);
            }
            self.longest = self.longest.max(self.ring.len());
            let taken = takes_a_ms.min(self.ring.len());
            self.answers.extend(self.ring.drain(..taken));
            if self.now_ms.is_multiple_of(20) {
                for (index, key) in std::mem::take(&mut self.answers) {
                    self.gateways[index].receipt(&key, self.now_ms);
                    *self.settled.entry(key).or_default() += 1;
                }
            }
            self.now_ms += 1;
        }
    }

    fn send(&mut self, index: usize) {
        let flow = &mut self.gateways[index];
        while let Some(key) = flow.overdue(self.now_ms) {
            self.again[index].push_back(key);
        }
        while flow.has_room(REPORT) {
            let settled = &self.settled;
            let old = std::iter::from_fn(|| self.again[index].pop_front())
                .find(|key| !settled.contains_key(key));
            let key = old.unwrap_or(self.next);
            self.next += u64::from(old.is_none());
            self.repeated += u64::from(old.is_some());
            self.sent += 1;
            flow.sent(key, REPORT, old.is_some(), self.now_ms);
            self.ring.push_back((index, key));
            if self.ring.len() > self.ring_size {
                self.ring.pop_front();
                self.dropped += 1;
            }
        }
    }
}

#[test]
fn beyond_capacity_throughput_stays_at_capacity_and_nothing_is_sent_twice() {
    for gateways in [1, 4, 40] {
        let mut world = World::new(gateways, 4_096, 9_000);
        world.run(10_000, 5);
        let before = world.settled.len();
        world.run(40_000, 5);
        let settled = world.settled.len() - before;
        assert!(settled >= 30_000 * 5 * 98 / 100, "{gateways}: {settled}");
        assert_eq!((world.repeated, world.dropped), (0, 0), "{gateways}");
        // What waits in the ring is about the target's worth.
        let waiting = world.ring.len();
        assert!(waiting <= 5 * 400, "{gateways}: {waiting}");
        assert!(world.longest <= 9_000 / 2, "{gateways}: {}", world.longest);
    }
}

#[test]
fn a_slower_consumer_is_followed_and_a_faster_one_is_used() {
    let mut world = World::new(4, 4_096, 9_000);
    world.run(10_000, 8);
    world.run(20_000, 1);
    let before = world.settled.len();
    world.run(40_000, 1);
    assert!(world.settled.len() - before >= 19_500);
    world.run(50_000, 8);
    let before = world.settled.len();
    world.run(70_000, 8);
    assert!(world.settled.len() - before >= 20_000 * 8 * 95 / 100);
    assert_eq!((world.repeated, world.dropped), (0, 0));
}

#[test]
fn a_stall_repeats_a_handful_and_not_the_window() {
    let mut world = World::new(4, 512, 9_000);
    world.run(10_000, 5);
    world.run(70_000, 0);
    // Four gateways, each after 2, 4, 8, 16 and 32 s.
    assert!(world.repeated <= 4 * 5, "{}", world.repeated);
    let before = world.settled.len();
    world.run(90_000, 5);
    let settled = world.settled.len() - before;
    assert!(settled >= 20_000 * 5 * 90 / 100, "{settled}");
    assert_eq!(world.dropped, 0);
    assert!(world.settled.values().all(|times| *times <= 2));
}

#[test]
fn what_a_ring_dropped_is_sent_again_until_it_is_settled() {
    // A ring far smaller than the windows, which start before they know.
    let mut world = World::new(10, 512, 40);
    world.run(120_000, 5);
    assert!(world.dropped > 0);
    let lost = (0..world.next).filter(|key| !world.settled.contains_key(key));
    let under_way: usize = world.gateways.iter().map(Flow::under_way).sum();
    let waiting: usize = world.again.iter().map(VecDeque::len).sum();
    assert!(lost.count() <= under_way + waiting);
    assert!(world.settled.len() > 100_000, "{}", world.settled.len());
}

#[test]
fn patience_follows_the_time_receipts_take_within_its_bounds() {
    let mut flow = Flow::new(limits(64));
    assert_eq!(flow.patience_ms(), 2_000);
    for key in 0..100 {
        flow.sent(key, REPORT, false, key * 1_000);
        flow.receipt(&key, key * 1_000 + 20);
    }
    assert_eq!(flow.patience_ms(), 2_000, "never less than retry_min");
    let mut now_ms = 200_000;
    for key in 0..100 {
        flow.sent(key, REPORT, false, now_ms);
        now_ms += if key % 2 == 0 { 3_000 } else { 5_000 };
        flow.receipt(&key, now_ms);
    }
    let patience_ms = flow.patience_ms();
    assert!((6_000..12_000).contains(&patience_ms), "{patience_ms}");
    flow.sent(0, REPORT, false, now_ms);
    for _ in 0..10 {
        now_ms = flow.next_overdue_ms().unwrap();
        assert_eq!(flow.overdue(now_ms), Some(0));
        flow.sent(0, REPORT, true, now_ms);
    }
    assert_eq!(flow.patience_ms(), 60_000, "never more than retry_max");
    flow.receipt(&0, now_ms + 1);
    assert_eq!(
        flow.patience_ms(),
        60_000,
        "which copy was answered is not known"
    );
    flow.sent(1, REPORT, false, now_ms + 1);
    flow.receipt(&1, now_ms + 2);
    assert_eq!(flow.backoff, 0);
}

#[test]
fn after_an_outage_the_window_grows_with_receipts_for_what_is_sent_again() {
    let mut flow = Flow::new(limits(512));
    for key in 0..64 {
        flow.sent(key, REPORT, false, 0);
    }
    while flow.overdue(120_000).is_some() {}
    assert_eq!(flow.window(), 1);
    for key in 0..64 {
        flow.sent(key, REPORT, true, 120_000 + key);
        flow.receipt(&key, 120_050 + key);
    }
    assert!(flow.window() > 8, "{}", flow.window());
}

#[test]
fn a_window_that_is_not_used_up_does_not_grow() {
    let mut flow = Flow::new(limits(512));
    for key in 0..1_000 {
        flow.sent(key, REPORT, false, key * 100);
        flow.receipt(&key, key * 100 + 10);
    }
    assert_eq!(flow.window(), INITIAL as usize);
}

#[test]
fn bytes_bound_the_flow_too_and_a_single_report_always_fits() {
    let mut flow = Flow::new(Limits {
        bytes: 2 * REPORT,
        ..limits(512)
    });
    assert!(flow.has_room(10 * REPORT));
    flow.sent(1, REPORT, false, 0);
    assert!(flow.has_room(REPORT) && !flow.has_room(REPORT + 1));
    flow.sent(2, REPORT, false, 0);
    assert!(!flow.has_room(1));
    flow.receipt(&1, 1);
    assert!(flow.has_room(REPORT));
}

proptest! {
    /// Whatever happens in whatever order, the books are right: what is under way is what was sent and neither answered,
    /// overdue nor released, and never more than the bounds where the caller asks before it sends.
    #[test]
    fn the_books_are_right(steps in prop::collection::vec((0..5_u8, 0..20_u64, 1..3_000_u64), 1..400)) {
        let mut flow = Flow::new(Limits { bytes: 12 * 1_000, ..limits(10) });
        let mut model = BTreeMap::new();
        let mut now_ms = 0;
        for (what, key, number) in steps {
            match what {
                0 | 1 if flow.has_room(number as usize) => {
                    let others: usize = model.iter().filter(|(other, _)| **other != key).map(|(_, bytes)| *bytes).sum();
                    prop_assert!(model.len() < 10 && (model.is_empty() || others <= 12_000));
                    flow.sent(key, number as usize, what == 1, now_ms);
                    model.insert(key, number as usize);
                }
                2 => {
                    flow.receipt(&key, now_ms);
                    model.remove(&key);
                }
                3 => {
                    flow.release(&key);
                    model.remove(&key);
                }
                _ => {
                    now_ms += number;
                    while let Some(key) = flow.overdue(now_ms) {
                        prop_assert!(model.remove(&key).is_some());
                    }
                    prop_assert!(flow.next_overdue_ms().is_none_or(|at| at > now_ms));
                }
            }
            prop_assert_eq!(flow.under_way(), model.len());
            prop_assert_eq!(flow.bytes, model.values().sum::<usize>());
            prop_assert!((1..=10).contains(&flow.window()));
            prop_assert_eq!(flow.next_overdue_ms().is_some(), !model.is_empty());
        }
    }
}
