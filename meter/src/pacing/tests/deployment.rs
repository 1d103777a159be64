//! Deployments in which every gateway keeps its pace.

use std::collections::{BTreeMap, VecDeque};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{REPORT, limits};
use crate::pacing::Pace;

/// Gateways that always have something to send, a network that loses some of it, a ring that drops the oldest when it is
/// full, and a consumer that takes so many reports a millisecond and answers those of 20 ms together, in no order.
struct World {
    gateways: Vec<Pace<u64>>,
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
    /// The probability that a report is lost before the ring.
    loss: f64,
    /// The longest a report takes to the ring, and those that are on their way there.
    jitter_ms: u64,
    travelling: BTreeMap<(u64, u64), (usize, u64)>,
    /// What there is to send in all.
    reports: u64,
    random: StdRng,
}

impl World {
    fn new(gateways: usize, most: usize, ring_size: usize) -> Self {
        let pace = |index| Pace::seeded(limits(most), index as u64);
        Self {
            gateways: (0..gateways).map(pace).collect(),
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
            loss: 0.0,
            jitter_ms: 0,
            travelling: BTreeMap::new(),
            reports: u64::MAX,
            random: StdRng::seed_from_u64(7),
        }
    }

    fn lossy(gateways: usize, loss: f64) -> Self {
        Self {
            loss,
            ..Self::new(gateways, 512, 9_000)
        }
    }

    fn run(&mut self, until_ms: u64, takes_a_ms: usize) {
        while self.now_ms < until_ms {
            for index in 0..self.gateways.len() {
                self.send(index);
            }
            while let Some(entry) = self.travelling.first_entry()
                && entry.key().0 <= self.now_ms
            {
                self.ring.push_back(entry.remove());
                if self.ring.len() > self.ring_size {
                    self.ring.pop_front();
                    self.dropped += 1;
                }
            }
            self.longest = self.longest.max(self.ring.len());
            let taken = takes_a_ms.min(self.ring.len());
            self.answers.extend(self.ring.drain(..taken));
            if self.now_ms.is_multiple_of(20) {
                let mut answers = std::mem::take(&mut self.answers);
                for last in (1..answers.len()).rev() {
                    answers.swap(last, self.random.random_range(0..=last));
                }
                for (index, key) in answers {
                    self.gateways[index].receipt(&key, self.now_ms);
                    *self.settled.entry(key).or_default() += 1;
                }
            }
            self.now_ms += 1;
        }
    }

    fn send(&mut self, index: usize) {
        let pace = &mut self.gateways[index];
        while let Some(key) = pace.lost(self.now_ms) {
            self.again[index].push_back(key);
        }
        while pace.has_room(REPORT) {
            let settled = &self.settled;
            let old = std::iter::from_fn(|| self.again[index].pop_front())
                .find(|key| !settled.contains_key(key));
            if old.is_none() && self.next >= self.reports {
                return;
            }
            let key = old.unwrap_or(self.next);
            self.next += u64::from(old.is_none());
            self.repeated += u64::from(old.is_some());
            self.sent += 1;
            pace.sent(key, REPORT, old.is_some(), self.now_ms);
            if self.random.random_bool(1.0 - self.loss) {
                let arrives_ms = self.now_ms + self.random.random_range(0..=self.jitter_ms);
                self.travelling
                    .insert((arrives_ms, self.sent), (index, key));
            }
        }
    }

    /// Runs until everything is settled; how long that takes.
    fn settle(&mut self, reports: u64, takes_a_ms: usize) -> u64 {
        self.reports = reports;
        while (self.settled.len() as u64) < reports {
            assert!(self.now_ms < 3_600_000, "{} settled", self.settled.len());
            self.run(self.now_ms + 1, takes_a_ms);
        }
        self.now_ms
    }
}

#[test]
fn one_loss_in_twenty_leaves_half_of_the_rate_and_more_and_one_in_five_comes_to_an_end() {
    for (gateways, jitter_ms) in [(1, 0), (4, 30), (40, 30)] {
        let settled = |loss: f64| {
            let mut world = World::lossy(gateways, loss);
            world.jitter_ms = jitter_ms;
            world.run(5_000, 5);
            let before = (world.sent, world.repeated);
            world.run(12_000, 5);
            // What is lost is sent again, and hardly anything that is not.
            let sent = (world.sent - before.0) as f64;
            let repeated = (world.repeated - before.1) as f64;
            assert!(repeated <= sent * (loss * 1.1 + 0.02), "{repeated}");
            world.settled.len()
        };
        let [without, some, many] = [0.0, 0.05, 0.2].map(settled);
        assert!(some * 10 >= without * 9, "{gateways}: {some} of {without}");
        assert!(many * 2 >= without, "{gateways}: {many} of {without}");
        let mut world = World::lossy(gateways, 0.2);
        let took_ms = world.settle(10_000, 5);
        assert!(took_ms < 60_000, "{gateways}: {took_ms} ms");
    }
}

#[test]
fn losses_do_not_shrink_the_allowance_while_receipts_are_quick() {
    let mut world = World::lossy(1, 0.2);
    world.run(20_000, 1_000);
    assert_eq!(world.gateways[0].allowance(), 512);
}

#[test]
fn losses_do_not_hide_a_queue_that_builds_up() {
    for gateways in [4, 40] {
        let mut world = World::lossy(gateways, 0.1);
        world.run(40_000, 5);
        assert_eq!(world.dropped, 0, "{gateways}");
        assert!(world.longest <= 9_000 / 2, "{gateways}: {}", world.longest);
    }
}

#[test]
fn a_ring_too_small_for_the_delay_to_show_is_not_flooded() {
    // It holds 80 ms of what is taken, and the delay target is 250 ms.
    let mut world = World::new(10, 512, 400);
    world.run(30_000, 5);
    let settled = world.settled.len();
    let sent = world.sent;
    world.run(90_000, 5);
    let settled = (world.settled.len() - settled) as u64;
    let sent = world.sent - sent;
    assert!(settled >= 60_000 * 5 * 8 / 10, "{settled}");
    assert!(sent <= 2 * 60_000 * 5, "{sent} sent, {settled} settled");
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
fn a_stall_repeats_a_handful_and_not_the_allowance() {
    let mut world = World::new(4, 512, 9_000);
    world.run(10_000, 5);
    world.run(70_000, 0);
    // Four gateways, each a probe, and one after 2, 4, 8, 16 and 32 s.
    assert!(world.repeated <= 4 * 6, "{}", world.repeated);
    let before = world.settled.len();
    world.run(90_000, 5);
    let settled = world.settled.len() - before;
    assert!(settled >= 20_000 * 5 * 90 / 100, "{settled}");
    assert_eq!(world.dropped, 0);
    // The standstill takes a gateway's probe for lost like everything else, and the probe's turn can come again before the
    // receipts of its first two copies: one a gateway, no other.
    let thrice = world.settled.values().filter(|times| **times > 2).count();
    assert!(thrice <= 4, "{thrice}");
}

#[test]
fn what_a_ring_dropped_is_sent_again_until_it_is_settled() {
    // A ring far smaller than the allowances, which start before they know.
    let mut world = World::new(10, 512, 40);
    world.run(120_000, 5);
    assert!(world.dropped > 0);
    let lost = (0..world.next).filter(|key| !world.settled.contains_key(key));
    let under_way: usize = world.gateways.iter().map(Pace::under_way).sum();
    let waiting: usize = world.again.iter().map(VecDeque::len).sum();
    assert!(lost.count() <= under_way + waiting);
    assert!(world.settled.len() > 100_000, "{}", world.settled.len());
}
