//! Destinations, each with a lane of its own.

use std::collections::VecDeque;

use wire::{Digest, Shard, Status, WindowStart};

use super::{batch, folded, limits, outdated, sealed, to};
use crate::batch::Batch;
use crate::outbox::{Destination, Key, Outbox, Sealed};

/// Two destinations with four feeders of a gateway between them; each takes so many reports a tick and answers at once.
struct Deployment {
    outbox: Outbox,
    next_window: [u64; 2],
    windows: u64,
    under_way: [VecDeque<(Key, Digest)>; 2],
    settled: [u64; 2],
    most_unreceipted: usize,
    now_ms: u64,
}

const METERS: usize = 40;
const UNRECEIPTED: usize = 64;

impl Deployment {
    fn new(windows: u64) -> Self {
        let mut limits = limits(4 * METERS, UNRECEIPTED);
        limits.meters = METERS;
        let mut outbox = Outbox::new(limits);
        outbox.route(&Self::split());
        Self {
            outbox,
            next_window: [0; 2],
            windows,
            under_way: [VecDeque::new(), VecDeque::new()],
            settled: [0; 2],
            most_unreceipted: 0,
            now_ms: 0,
        }
    }

    fn split() -> Vec<Option<Destination>> {
        let owner = |meter| {
            if meter % 4 < 2 {
                "analytics-1"
            } else {
                "analytics-2"
            }
        };
        (0..METERS).map(|meter| to(owner(meter))).collect()
    }

    fn destination(meter: usize) -> usize {
        usize::from(meter % 4 >= 2)
    }

    /// Milliseconds pass in which each destination takes so many reports.
    fn run(&mut self, ms: u64, takes: [usize; 2]) {
        for _ in 0..ms {
            for (destination, first) in [(0, 0), (1, 2)] {
                let window = &mut self.next_window[destination];
                if *window < self.windows && self.outbox.has_room(first) {
                    let meters =
                        (0..METERS).filter(|meter| Self::destination(*meter) == destination);
                    for meter in meters {
                        let window = WindowStart(*window);
                        self.outbox.accept(Batch {
                            window,
                            ..batch(meter)
                        });
                    }
                    *window += 1;
                }
            }
            for batch in self.outbox.next_to_seal(8) {
                let window = batch.window;
                self.outbox.sealed(Sealed {
                    window,
                    ..sealed(batch.meter, 1)
                });
            }
            while let Some((sealed, _)) = self.outbox.pop_due(self.now_ms) {
                let key = (sealed.meter, sealed.window);
                self.under_way[Self::destination(sealed.meter)].push_back((key, sealed.digest));
            }
            let unreceipted = self.outbox.unreceipted();
            self.most_unreceipted = self.most_unreceipted.max(unreceipted);
            for (destination, takes) in takes.into_iter().enumerate() {
                let queue = &mut self.under_way[destination];
                for (key, digest) in queue.drain(..takes.min(queue.len())).collect::<Vec<_>>() {
                    let settled =
                        self.outbox
                            .receipt(key, digest, Status::Folded, self.now_ms, outdated);
                    self.settled[destination] += u64::from(settled.0 == folded());
                }
            }
            self.now_ms += 1;
        }
    }
}

#[test]
fn a_destination_that_is_silent_costs_the_others_nothing() {
    let rate = |takes| {
        let mut deployment = Deployment::new(u64::MAX);
        deployment.run(1_000, [4, 4]);
        let before = deployment.settled;
        deployment.run(10_000, takes);
        assert!(deployment.most_unreceipted <= UNRECEIPTED);
        assert!(deployment.outbox.len() <= 4 * METERS);
        [0, 1].map(|to: usize| deployment.settled[to] - before[to])
    };
    let both = rate([4, 4]);
    let one = rate([4, 0]);
    assert_eq!((one[0], one[1]), (both[0], 0));
    assert!(one[0] > 30_000, "{one:?}");
}

#[test]
fn a_destination_that_comes_back_gets_everything_that_waited_for_it() {
    let mut deployment = Deployment::new(20);
    deployment.run(5_000, [4, 0]);
    assert_eq!(deployment.settled, [20 * METERS as u64 / 2, 0]);
    deployment.run(60_000, [4, 4]);
    assert_eq!(deployment.settled, [20 * METERS as u64 / 2; 2]);
    assert!(deployment.outbox.is_empty());
}

#[test]
fn the_reports_of_a_feeder_that_moves_are_paced_and_sent_with_those_of_its_new_destination() {
    let mut deployment = Deployment::new(3);
    deployment.run(3_000, [4, 0]);
    let waiting = deployment.outbox.len();
    assert_eq!(waiting, 3 * METERS / 2);
    // All feeders are the first service's now, and the second is not coming back.
    deployment.outbox.route(&vec![to("analytics-1"); METERS]);
    deployment.under_way[1].clear();
    let mut moved = Vec::new();
    for _ in 0..1_000 {
        for batch in deployment.outbox.next_to_seal(8) {
            let window = batch.window;
            deployment.outbox.sealed(Sealed {
                window,
                ..sealed(batch.meter, 1)
            });
        }
        while let Some((sealed, _)) = deployment.outbox.pop_due(deployment.now_ms) {
            moved.push((sealed.meter, sealed.window));
            let key = (sealed.meter, sealed.window);
            let now_ms = deployment.now_ms;
            deployment
                .outbox
                .receipt(key, sealed.digest, Status::Folded, now_ms, outdated);
        }
        deployment.now_ms += 1;
    }
    assert_eq!((moved.len(), deployment.outbox.len()), (waiting, 0));
    assert_eq!(deployment.outbox.unreceipted(), 0);
}

#[test]
fn reports_without_a_destination_wait_until_the_plan_names_one() {
    let mut outbox = Outbox::new(limits(10, 10));
    outbox.restore(batch(0), sealed(0, 1));
    outbox.accept(batch(1));
    outbox.route(&[None, None]);
    assert_eq!((outbox.next_to_seal(8), outbox.pop_due(0)), (vec![], None));
    assert_eq!(outbox.next_due_ms(), None);
    outbox.route(&[None, to("analytics-1")]);
    assert_eq!(
        (outbox.next_to_seal(8), outbox.pop_due(0)),
        (vec![batch(1)], None)
    );
    // It moves while it is being sealed.
    outbox.route(&[to("analytics-2"), to("analytics-2")]);
    outbox.sealed(sealed(1, 1));
    assert_eq!(outbox.pop_due(0), Some((sealed(0, 1), true)));
    assert_eq!(outbox.pop_due(0), Some((sealed(1, 1), false)));
    assert_eq!((outbox.unreceipted(), outbox.under_way()), (2, 2));
    // And while it is under way: it is sent again, to where it belongs.
    outbox.route(&[to("analytics-2"), to("analytics-1")]);
    assert_eq!(outbox.pop_due(0), Some((sealed(1, 1), true)));
    assert_eq!((outbox.unreceipted(), outbox.under_way()), (2, 2));
}

/// A shard with one meter of the gateway needs no room that another with nine could use.
#[test]
fn the_pace_of_a_destination_is_by_its_meters() {
    let mut outbox = Outbox::new(limits(1_000, 10));
    let shard = |number| {
        let to = to("north");
        to.map(|to| Destination {
            shard: Shard(number),
            ..to
        })
    };
    let by_shard = |meter: usize| shard(u16::from(meter > 0));
    outbox.route(&(0..10).map(by_shard).collect::<Vec<_>>());
    assert_eq!([0, 9].map(|meter| outbox.room_sealed(meter)), [1, 9]);
    let moved = |meter: usize| shard(u16::from(meter > 4));
    outbox.route(&(0..10).map(moved).collect::<Vec<_>>());
    assert_eq!([0, 9].map(|meter| outbox.room_sealed(meter)), [5, 5]);
}

#[test]
fn every_destination_has_room_for_as_many_windows() {
    let mut outbox = Outbox::new(limits(25, 10));
    let owner = |meter| {
        if meter < 2 {
            "analytics-1"
        } else {
            "analytics-2"
        }
    };
    outbox.route(&(0..10).map(|meter| to(owner(meter))).collect::<Vec<_>>());
    for window in 0..2 {
        for meter in 0..10 {
            assert!(outbox.has_room(meter) || window == 1);
        }
        for meter in 0..10 {
            let window = WindowStart(window);
            outbox.accept(Batch {
                window,
                ..batch(meter)
            });
        }
    }
    assert!((0..10).all(|meter| !outbox.has_room(meter)));
}
