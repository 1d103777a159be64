use std::collections::VecDeque;
use std::time::Duration;

use wire::{AnalyticsId, Reason, Status};

use super::*;
use crate::pacing;

fn limits(capacity: usize, unreceipted: usize) -> Limits {
    Limits {
        capacity,
        meters: 10,
        pace: pacing::Limits {
            reports: unreceipted,
            bytes: 1 << 20,
            delay_target: Duration::from_millis(250),
            retry_min: Duration::from_millis(100),
            retry_max: Duration::from_secs(1),
        },
    }
}

fn to(name: &str) -> Option<AnalyticsId> {
    Some(name.parse().unwrap())
}

/// An outbox for one destination.
fn outbox(capacity: usize, unreceipted: usize) -> Outbox {
    let mut outbox = Outbox::new(limits(capacity, unreceipted));
    outbox.route(&vec![to("analytics-1"); 20]);
    outbox
}

fn outdated(_: &Sealed) -> bool {
    true
}

fn batch(meter: usize) -> Batch {
    Batch {
        meter,
        window: WindowStart(0),
        readings_wh: vec![1, 2],
        clamped: 0,
        missing: 0,
    }
}

fn sealed(meter: usize, digest: u8) -> Sealed {
    Sealed {
        meter,
        window: WindowStart(0),
        digest: Digest([digest; 32]),
        payload: Bytes::from_static(b"report"),
    }
}

#[test]
fn a_report_stays_until_a_receipt_names_its_digest() {
    let mut outbox = outbox(10, 10);
    outbox.accept(batch(0));
    assert_eq!(outbox.next_to_seal(8).len(), 1);
    outbox.sealed(sealed(0, 1));
    assert_eq!(outbox.pop_due(0), Some((sealed(0, 1), false)));
    let key = (0, WindowStart(0));
    assert_eq!(
        outbox
            .settle(key, Digest([2; 32]), Status::Folded, 0, outdated)
            .0,
        ReceiptEffect::Unknown
    );
    assert_eq!(outbox.len(), 1);
    assert_eq!(
        outbox
            .settle(key, Digest([1; 32]), Status::Folded, 0, outdated)
            .0,
        ReceiptEffect::Done(Status::Folded)
    );
    assert!(outbox.is_empty());
    assert_eq!(outbox.next_due_ms(), None);
}

#[test]
fn the_wait_for_a_receipt_counts_from_the_first_attempt() {
    let mut outbox = outbox(10, 10);
    outbox.accept(batch(0));
    outbox.next_to_seal(1);
    outbox.sealed(sealed(0, 1));
    assert!(outbox.pop_due(7).is_some());
    let again_ms = outbox.next_due_ms().unwrap();
    assert!(outbox.pop_due(again_ms).is_some());
    let key = (0, WindowStart(0));
    let folded = outbox.settle(key, Digest([1; 32]), Status::Folded, again_ms, outdated);
    assert_eq!(folded, (ReceiptEffect::Done(Status::Folded), Some(7)));
}

#[test]
fn a_report_of_an_earlier_process_is_sent_again_as_it_was() {
    let mut outbox = outbox(10, 1);
    outbox.restore(batch(0), sealed(0, 1));
    outbox.accept(batch(1));
    assert_eq!(outbox.next_to_seal(1), vec![], "it counts as unreceipted");
    assert_eq!(outbox.pop_due(5), Some((sealed(0, 1), true)));
    let key = (0, WindowStart(0));
    let duplicate = outbox.settle(key, Digest([1; 32]), Status::Duplicate, 5, outdated);
    assert_eq!(duplicate, (ReceiptEffect::Done(Status::Duplicate), None));
    assert_eq!(outbox.next_to_seal(1), vec![batch(1)]);
}

#[test]
fn an_unanswered_report_is_due_again_later_and_later() {
    let mut outbox = outbox(10, 10);
    outbox.accept(batch(0));
    outbox.next_to_seal(1);
    outbox.sealed(sealed(0, 1));
    let mut now_ms = 0;
    // A probe, and then standstills.
    for (attempt, least_ms) in [50, 100, 200, 400, 800, 1000].into_iter().enumerate() {
        assert_eq!(
            outbox.next_due_ms(),
            Some(now_ms).filter(|_| attempt > 0).or(Some(0))
        );
        assert_eq!(outbox.pop_due(now_ms), Some((sealed(0, 1), attempt > 0)));
        assert_eq!(outbox.pop_due(now_ms), None);
        let wait_ms = outbox.next_due_ms().unwrap() - now_ms;
        assert!(
            (least_ms..=least_ms * 6 / 5).contains(&wait_ms),
            "{wait_ms}"
        );
        now_ms += wait_ms;
    }
}

#[test]
fn a_pipeline_that_stands_still_is_asked_with_one_report_and_a_late_receipt_is_enough() {
    const REPORTS: usize = 16;
    let mut outbox = outbox(100, 100);
    for meter in 0..REPORTS {
        outbox.accept(batch(meter));
    }
    outbox.next_to_seal(REPORTS);
    for meter in 0..REPORTS {
        outbox.sealed(sealed(meter, 1));
    }
    while outbox.pop_due(0).is_some() {}
    assert_eq!(outbox.under_way(), REPORTS);
    let (mut now_ms, mut again) = (0, 0);
    while now_ms < 10_000 {
        now_ms = outbox.next_due_ms().unwrap();
        while let Some((_, repeated)) = outbox.pop_due(now_ms) {
            assert!(repeated);
            again += 1;
        }
        assert!(outbox.under_way() <= REPORTS);
    }
    // A probe, then after 100, 200, 400, 800 ms and once a second, jittered, and not sixteen times that.
    assert!((5..=14).contains(&again), "{again}");
    for meter in 0..REPORTS {
        let key = (meter, WindowStart(0));
        outbox.settle(key, Digest([1; 32]), Status::Folded, now_ms, outdated);
    }
    assert_eq!(outbox.next_due_ms(), None);
    assert_eq!(outbox.pop_due(u64::MAX), None);
    assert!(outbox.is_empty());
}

#[test]
fn a_report_refused_for_a_reason_that_passes_waits_and_is_not_under_way() {
    let mut outbox = outbox(10, 10);
    outbox.accept(batch(0));
    outbox.next_to_seal(1);
    outbox.sealed(sealed(0, 1));
    assert!(outbox.pop_due(0).is_some());
    let early = Status::Rejected(Reason::ReportTooEarly);
    outbox.settle((0, WindowStart(0)), Digest([1; 32]), early, 0, outdated);
    assert_eq!((outbox.under_way(), outbox.pop_due(0)), (0, None));
    let due_ms = outbox.next_due_ms().unwrap();
    assert!((50..=100).contains(&due_ms), "{due_ms}");
    assert_eq!(outbox.pop_due(due_ms), Some((sealed(0, 1), true)));
}

#[test]
fn the_cap_on_unreceipted_reports_holds_sealing_back() {
    let mut outbox = outbox(10, 3);
    for meter in 0..5 {
        outbox.accept(batch(meter));
    }
    assert_eq!(outbox.next_to_seal(2).len(), 2);
    assert_eq!(outbox.next_to_seal(2).len(), 1);
    assert_eq!(outbox.next_to_seal(2).len(), 0);
    outbox.sealed(sealed(0, 1));
    assert_eq!(outbox.next_to_seal(2).len(), 0);
    outbox.settle(
        (0, WindowStart(0)),
        Digest([1; 32]),
        Status::Folded,
        0,
        outdated,
    );
    assert_eq!(outbox.next_to_seal(2).len(), 1);
}

#[test]
fn a_report_under_an_older_plan_is_sealed_again_and_one_refused_for_good_is_lost() {
    let mut outbox = outbox(10, 10);
    outbox.accept(batch(0));
    outbox.next_to_seal(1);
    outbox.sealed(sealed(0, 1));
    let key = (0, WindowStart(0));
    const REFUSED: Status = Status::Rejected(Reason::OutdatedConfig);
    let ahead = outbox.settle(key, Digest([1; 32]), REFUSED, 0, |_| false).0;
    assert_eq!(ahead, ReceiptEffect::Retry(Reason::OutdatedConfig));
    assert_eq!(
        outbox.settle(key, Digest([1; 32]), REFUSED, 0, outdated).0,
        ReceiptEffect::Reseal(Reason::OutdatedConfig)
    );
    assert_eq!(outbox.next_to_seal(1), vec![]);
    let due_ms = outbox.next_due_ms().unwrap();
    assert!(due_ms > 0);
    assert_eq!(outbox.pop_due(due_ms), None);
    assert_eq!(outbox.next_to_seal(1), vec![batch(0)]);
    outbox.sealed(sealed(0, 2));
    let early = Status::Rejected(Reason::ReportTooEarly);
    assert_eq!(
        outbox.settle(key, Digest([2; 32]), early, 0, outdated).0,
        ReceiptEffect::Retry(Reason::ReportTooEarly)
    );
    let conflict = Status::Rejected(Reason::Conflict);
    assert_eq!(
        outbox.settle(key, Digest([2; 32]), conflict, 0, outdated).0,
        ReceiptEffect::Lost(Reason::Conflict)
    );
    assert!(outbox.is_empty());
}

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

    fn split() -> Vec<Option<AnalyticsId>> {
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
                            .settle(key, digest, Status::Folded, self.now_ms, outdated);
                    self.settled[destination] +=
                        u64::from(settled.0 == ReceiptEffect::Done(Status::Folded));
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
            let (key, now_ms) = ((sealed.meter, sealed.window), deployment.now_ms);
            deployment
                .outbox
                .settle(key, sealed.digest, Status::Folded, now_ms, outdated);
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
