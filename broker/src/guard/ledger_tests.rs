use std::pin::pin;
use std::task::{Context, Waker};

use super::super::required::QUIET;
use super::*;

const FILTER: &str = "r/+/report";
const GRACE: Duration = Duration::from_secs(10);

fn sent(offset: u64, size: u64) -> Sent {
    Sent {
        filter: FILTER.to_owned(),
        size,
        offset,
    }
}

#[test]
fn messages_wait_once_the_slowest_required_subscriber_is_a_log_behind() {
    let ledger = Ledger::new(100, GRACE);
    assert!(ledger.append("r/1/report", 1_000), "nobody is required");
    ledger.enter(FILTER, "fast", &Arc::default());
    ledger.enter(FILTER, "slow", &Arc::default());
    assert!(ledger.append("r/1/report", 60));
    assert!(ledger.append("r/1/report", 40));
    assert!(!ledger.append("r/2/report", 1));
    assert!(ledger.append("r/2/other", 1_000), "not of the filter");
    for (client, room) in [("fast", false), ("slow", true)] {
        ledger.sent(client, &sent(0, 60));
        ledger.acknowledged(client, &sent(0, 60));
        assert_eq!(ledger.append("r/2/report", 60), room);
    }
}

#[test]
fn a_message_that_is_acknowledged_twice_makes_room_once() {
    let ledger = Ledger::new(100, GRACE);
    ledger.enter(FILTER, "a", &Arc::default());
    assert!(ledger.append("r/1/report", 50) && ledger.append("r/1/report", 50));
    ledger.acknowledged("a", &sent(7, 50));
    ledger.away("a");
    ledger.returned("a");
    ledger.acknowledged("a", &sent(7, 50));
    assert!(ledger.append("r/1/report", 50));
    assert!(!ledger.append("r/1/report", 50));
}

#[test]
fn a_message_larger_than_a_log_passes_alone() {
    let ledger = Ledger::new(100, GRACE);
    ledger.enter(FILTER, "a", &Arc::default());
    assert!(ledger.append("r/1/report", 500));
    assert!(!ledger.append("r/1/report", 1));
}

#[test]
fn a_subscriber_that_has_taken_all_it_gets_is_not_waited_for() {
    let ledger = Ledger::new(100, GRACE);
    ledger.enter(FILTER, "a", &Arc::default());
    // Counted, but appended before the router knew of the subscription.
    assert!(ledger.append("r/1/report", 100));
    ledger.review(Instant::now());
    assert!(!ledger.append("r/1/report", 1), "it may be on its way");
    ledger.review(Instant::now() + 2 * QUIET);
    assert!(ledger.append("r/1/report", 1));
}

/// Whether a session was told that it is given up.
fn is_told(given_up: &Notify) -> bool {
    let notified = pin!(given_up.notified());
    let mut context = Context::from_waker(Waker::noop());
    notified.poll(&mut context).is_ready()
}

#[test]
fn a_subscriber_that_stops_acknowledging_is_given_up_after_its_grace_and_told() {
    let ledger = Ledger::new(100, GRACE);
    let given_up = Arc::default();
    ledger.enter(FILTER, "a", &given_up);
    assert!(ledger.append("r/1/report", 100));
    ledger.sent("a", &sent(0, 100));
    ledger.review(Instant::now() + GRACE / 2);
    assert!(!ledger.append("r/1/report", 1) && !is_told(&given_up));
    ledger.review(Instant::now() + 2 * GRACE);
    assert!(ledger.append("r/1/report", 1) && is_told(&given_up));
}

#[test]
fn a_subscriber_that_only_comes_and_goes_is_away_until_it_acknowledges_something() {
    for acknowledges in [false, true] {
        let ledger = Ledger::new(100, GRACE);
        ledger.enter(FILTER, "a", &Arc::default());
        assert!(ledger.append("r/1/report", 60) && ledger.append("r/1/report", 40));
        ledger.away("a");
        let left = Instant::now();
        std::thread::sleep(Duration::from_millis(20));
        ledger.returned("a");
        ledger.sent("a", &sent(0, 60));
        if acknowledges {
            ledger.acknowledged("a", &sent(0, 60));
        }
        ledger.away("a");
        ledger.review(left + GRACE + Duration::from_millis(10));
        assert_eq!(ledger.append("r/1/report", 61), !acknowledges);
    }
}

#[test]
fn a_subscriber_that_stays_away_is_given_up_after_its_grace() {
    let ledger = Ledger::new(100, GRACE);
    ledger.enter(FILTER, "a", &Arc::default());
    assert!(ledger.append("r/1/report", 100));
    ledger.away("a");
    ledger.review(Instant::now() + GRACE / 2);
    assert!(!ledger.append("r/1/report", 1));
    ledger.review(Instant::now() + 2 * GRACE);
    assert!(ledger.append("r/1/report", 1));
}

#[test]
fn a_subscriber_that_unsubscribes_or_leaves_is_not_waited_for() {
    for filter in [Some(FILTER), None] {
        let ledger = Ledger::new(100, GRACE);
        ledger.enter(FILTER, "a", &Arc::default());
        assert!(ledger.append("r/1/report", 100) && !ledger.append("r/1/report", 1));
        ledger.leave("a", filter);
        assert!(ledger.append("r/1/report", 1));
    }
}

const TOPIC: &str = "r/1/report";
const PART: u64 = SHARE / 4;

/// A full log of four parts, and a function that acknowledges the next message of so many bytes.
fn full() -> (Ledger, impl FnMut(&Ledger, u64)) {
    let ledger = Ledger::new(SHARE, GRACE);
    ledger.enter(FILTER, "a", &Arc::default());
    assert!((0..4).all(|_| ledger.append(TOPIC, PART)));
    let mut next = 0;
    let acknowledge = move |ledger: &Ledger, size| {
        ledger.acknowledged("a", &sent(next, size));
        next += 1;
    };
    (ledger, acknowledge)
}

#[test]
fn small_messages_do_not_take_the_room_that_a_large_one_waits_for() {
    let (ledger, mut acknowledge) = full();
    let (mut large, mut small) = (Turn::default(), Turn::default());
    assert!(!ledger.pass(TOPIC, SHARE, &mut large));
    let call_large = ledger.stand(TOPIC, SHARE, &mut large);
    for _ in 0..3 {
        acknowledge(&ledger, PART);
        assert!(!ledger.pass(TOPIC, PART, &mut small) && !is_told(&call_large));
    }
    let call_small = ledger.stand(TOPIC, PART, &mut small);
    acknowledge(&ledger, PART);
    assert!(is_told(&call_large) && !is_told(&call_small));
    assert!(!ledger.pass(TOPIC, PART, &mut small));
    assert!(ledger.pass(TOPIC, SHARE, &mut large));
}

#[test]
fn a_publisher_hands_on_a_share_before_the_next_in_line() {
    let (ledger, mut acknowledge) = full();
    let (mut first, mut second) = (Turn::default(), Turn::default());
    ledger.stand(TOPIC, PART, &mut first);
    let call_second = ledger.stand(TOPIC, SHARE, &mut second);
    for _ in 0..4 {
        acknowledge(&ledger, PART);
        assert!(ledger.pass(TOPIC, PART, &mut first));
    }
    for _ in 0..4 {
        acknowledge(&ledger, PART);
        assert!(!ledger.pass(TOPIC, PART, &mut first), "its share is over");
    }
    ledger.stand(TOPIC, PART, &mut first);
    assert!(is_told(&call_second) && ledger.pass(TOPIC, SHARE, &mut second));
    acknowledge(&ledger, SHARE);
    assert!(ledger.pass(TOPIC, PART, &mut first));
}

#[test]
fn a_publisher_that_does_something_else_is_not_waited_for_and_keeps_its_place() {
    let (ledger, mut acknowledge) = full();
    let (mut busy, mut other) = (Turn::default(), Turn::default());
    ledger.stand(TOPIC, PART, &mut busy);
    let called = ledger.stand(TOPIC, PART, &mut other);
    acknowledge(&ledger, PART);
    assert!(!ledger.pass(TOPIC, PART, &mut other));
    ledger.stand_back(&mut busy);
    assert!(is_told(&called) && ledger.pass(TOPIC, PART, &mut other));
    ledger.stand(TOPIC, PART, &mut busy);
    acknowledge(&ledger, PART);
    assert!(!ledger.pass(TOPIC, PART, &mut other));
    assert!(ledger.pass(TOPIC, PART, &mut busy));
}

#[test]
fn whoever_waits_is_called_once_nobody_is_required_any_more() {
    let (ledger, _) = full();
    let mut turn = Turn::default();
    let called = ledger.stand(TOPIC, PART, &mut turn);
    assert!(!is_told(&called));
    ledger.leave("a", None);
    assert!(is_told(&called) && ledger.pass(TOPIC, PART, &mut turn));
}
