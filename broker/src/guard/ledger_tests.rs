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
    ledger.enter(FILTER, "fast");
    ledger.enter(FILTER, "slow");
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
    ledger.enter(FILTER, "a");
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
    ledger.enter(FILTER, "a");
    assert!(ledger.append("r/1/report", 500));
    assert!(!ledger.append("r/1/report", 1));
}

#[test]
fn a_subscriber_that_has_taken_all_it_gets_is_not_waited_for() {
    let ledger = Ledger::new(100, GRACE);
    ledger.enter(FILTER, "a");
    // Counted, but appended before the router knew of the subscription.
    assert!(ledger.append("r/1/report", 100));
    ledger.review(Instant::now());
    assert!(!ledger.append("r/1/report", 1), "it may be on its way");
    ledger.review(Instant::now() + 2 * QUIET);
    assert!(ledger.append("r/1/report", 1));
}

#[test]
fn a_subscriber_with_something_unacknowledged_is_waited_for_however_long_it_takes() {
    let ledger = Ledger::new(100, GRACE);
    ledger.enter(FILTER, "a");
    assert!(ledger.append("r/1/report", 100));
    ledger.sent("a", &sent(0, 100));
    ledger.review(Instant::now() + 100 * GRACE);
    assert!(!ledger.append("r/1/report", 1));
}

#[test]
fn a_subscriber_that_stays_away_is_given_up_after_its_grace() {
    let ledger = Ledger::new(100, GRACE);
    ledger.enter(FILTER, "a");
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
        ledger.enter(FILTER, "a");
        assert!(ledger.append("r/1/report", 100) && !ledger.append("r/1/report", 1));
        ledger.leave("a", filter);
        assert!(ledger.append("r/1/report", 1));
    }
}
