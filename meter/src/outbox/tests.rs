use std::time::Duration;

use wire::{Reason, Shard, Status};

use super::*;
use crate::pacing;

mod destinations;

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

fn to(name: &str) -> Option<Destination> {
    Some(Destination {
        owner: name.parse().unwrap(),
        shard: Shard(0),
    })
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
        readings: vec![None; 2],
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

/// What a receipt does that says so, to any report of these tests.
fn folded() -> ReceiptEffect {
    ReceiptEffect::Folded {
        status: Status::Folded,
        bytes: b"report".len() as u64,
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
            .receipt(key, Digest([2; 32]), Status::Folded, 0, outdated)
            .0,
        ReceiptEffect::Unknown
    );
    assert_eq!(outbox.len(), 1);
    assert_eq!(
        outbox
            .receipt(key, Digest([1; 32]), Status::Folded, 0, outdated)
            .0,
        folded()
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
    let answered = outbox.receipt(key, Digest([1; 32]), Status::Folded, again_ms, outdated);
    assert_eq!(answered, (folded(), Some(7)));
}

#[test]
fn a_report_of_an_earlier_process_is_sent_again_as_it_was() {
    let mut outbox = outbox(10, 1);
    outbox.restore(batch(0), sealed(0, 1));
    outbox.accept(batch(1));
    assert_eq!(outbox.next_to_seal(1), vec![], "it counts as unreceipted");
    assert_eq!(outbox.pop_due(5), Some((sealed(0, 1), true)));
    let key = (0, WindowStart(0));
    let duplicate = outbox.receipt(key, Digest([1; 32]), Status::Duplicate, 5, outdated);
    assert_eq!(
        duplicate,
        (
            ReceiptEffect::Folded {
                status: Status::Duplicate,
                bytes: 6,
            },
            None
        )
    );
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
    let mut now_ms = 0;
    let mut again = 0;
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
        outbox.receipt(key, Digest([1; 32]), Status::Folded, now_ms, outdated);
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
    outbox.receipt((0, WindowStart(0)), Digest([1; 32]), early, 0, outdated);
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
    outbox.receipt(
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
    let ahead = outbox
        .receipt(key, Digest([1; 32]), REFUSED, 0, |_| false)
        .0;
    assert_eq!(ahead, ReceiptEffect::Retry(Reason::OutdatedConfig));
    assert_eq!(
        outbox.receipt(key, Digest([1; 32]), REFUSED, 0, outdated).0,
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
        outbox.receipt(key, Digest([2; 32]), early, 0, outdated).0,
        ReceiptEffect::Retry(Reason::ReportTooEarly)
    );
    let conflict = Status::Rejected(Reason::Conflict);
    assert_eq!(
        outbox
            .receipt(key, Digest([2; 32]), conflict, 0, outdated)
            .0,
        ReceiptEffect::Lost(Reason::Conflict)
    );
    assert!(outbox.is_empty());
}
