use super::*;
use crate::testing::{plan, report};
use wire::EpochPlan;

/// Windows of four hours, as in [`plan`].
const WINDOW: u64 = 14_400;
const DAY: u64 = 86_400;
/// Not the start of a window.
const NOW: u64 = 1_700_000_000;

fn two_epochs(second: u64) -> Plan {
    let mut plan = plan();
    let first = plan.epochs[0].clone();
    plan.epochs.push(EpochPlan {
        epoch: KeyEpoch(2),
        first_window: WindowStart(second),
        ..first
    });
    plan
}

fn released(windows: &[(&str, u64)]) -> BTreeMap<FeederId, WindowStart> {
    let entry = |&(feeder, window): &(&str, u64)| (feeder.parse().unwrap(), WindowStart(window));
    windows.iter().map(entry).collect()
}

fn ask(
    plan: &Plan,
    windows: &[(&str, u64)],
    first: Option<u64>,
    force: bool,
) -> Result<Request, RotateError> {
    let facts = Facts {
        plan,
        released: &released(windows),
        now: UnixSeconds(NOW),
        retention_s: DAY,
    };
    next(&facts, first.map(UnixSeconds), force)
}

fn aligned(time: u64) -> u64 {
    time.next_multiple_of(WINDOW)
}

#[test]
fn unless_told_an_epoch_begins_at_least_a_window_from_now_and_times_are_rounded_up() {
    let request = ask(&plan(), &[], None, false).unwrap();
    let first_window = request.first_window.0;
    assert_eq!((request.epoch, request.force), (KeyEpoch(2), false));
    assert!((NOW + WINDOW..NOW + 2 * WINDOW).contains(&first_window));
    for asked in [WINDOW + 1, 2 * WINDOW] {
        let request = ask(&plan(), &[], Some(asked), false).unwrap();
        assert_eq!(request.first_window.0, 2 * WINDOW);
    }
    assert!(matches!(
        ask(&plan(), &[], Some(u64::MAX), false),
        Err(RotateError::Beyond(u64::MAX))
    ));
}

#[test]
fn where_windows_are_local_days_an_epoch_begins_at_midnight_there() {
    let mut plan = plan();
    (plan.batch, plan.time_zone) = (25, Some("Europe/Berlin".parse().unwrap()));
    // 2023-11-14T22:13:20Z, and at least a whole day later.
    let request = ask(&plan, &[], None, false).unwrap();
    assert_eq!(time(request.first_window), "2023-11-15T23:00:00Z");
    let summer = parse_time("2024-07-01T00:00:00Z").unwrap();
    let request = ask(&plan, &[], Some(summer.0), false).unwrap();
    assert_eq!(time(request.first_window), "2024-07-01T22:00:00Z");
}

#[test]
fn an_epoch_begins_after_the_one_before_and_after_every_release() {
    assert!(matches!(
        ask(&plan(), &[], Some(0), true),
        Err(RotateError::NotLater { .. })
    ));
    let windows = [("feeder-1", WINDOW), ("feeder-2", 3 * WINDOW)];
    match ask(&plan(), &windows, Some(3 * WINDOW), true) {
        Err(RotateError::Released { feeder, .. }) => assert_eq!(feeder.as_str(), "feeder-2"),
        other => panic!("{other:?}"),
    }
    assert!(ask(&plan(), &windows, Some(4 * WINDOW), false).is_ok());
}

#[test]
fn an_epoch_stays_while_its_reports_are_taken_unless_forced() {
    // By the wall clock.
    let recent = two_epochs(aligned(NOW - DAY + WINDOW));
    let refused = ask(&recent, &[], None, false);
    match refused {
        Err(error @ RotateError::Needed { .. }) => {
            let text = error.to_string();
            assert!(text.contains("epoch 1 would end") && text.contains("the clock is at"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(ask(&recent, &[], None, true).unwrap().epoch, KeyEpoch(3));

    // Nothing could be sealed until the newer one begins.
    let to_come = two_epochs(aligned(NOW + WINDOW));
    assert!(matches!(
        ask(&to_come, &[], Some(NOW + 9 * WINDOW), true),
        Err(RotateError::NotBegun { .. })
    ));

    // By what each feeder has released: a replay of the past is long over by the wall clock.
    let replay = two_epochs(10 * WINDOW);
    let over = 10 * WINDOW + DAY;
    let behind = [("feeder-1", over), ("feeder-2", over - WINDOW)];
    match ask(&replay, &behind, None, false) {
        Err(RotateError::Needed { who, until, .. }) => {
            assert_eq!((who.as_str(), until.0), ("feeder-2", over));
        }
        other => panic!("{other:?}"),
    }
    assert!(ask(&replay, &behind, None, true).is_ok());
    let ahead = [("feeder-1", over), ("feeder-2", over)];
    assert!(ask(&replay, &ahead, None, false).is_ok());
}

#[test]
fn a_request_out_of_turn_does_not_hold() {
    let facts = Facts {
        plan: &plan(),
        released: &released(&[]),
        now: UnixSeconds(NOW),
        retention_s: DAY,
    };
    for (epoch, first) in [(1, WINDOW), (3, WINDOW), (2, WINDOW + 1)] {
        let request = Request {
            epoch: KeyEpoch(epoch),
            first_window: WindowStart(first),
            force: true,
        };
        assert!(matches!(check(&request, &facts), Err(RotateError::Plan(_))));
    }
}

#[test]
fn a_request_waits_once_and_what_is_none_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let inbox = Inbox::new(dir.path());
    assert!(inbox.waiting().unwrap().is_none());
    let request = ask(&plan(), &[], None, false).unwrap();
    inbox.leave(&request).unwrap();
    assert!(matches!(
        inbox.leave(&request),
        Err(RotateError::Waiting { .. })
    ));
    assert_eq!(inbox.waiting().unwrap(), Some(request));
    inbox.remove_request().unwrap();
    inbox.remove_request().unwrap();
    assert!(inbox.waiting().unwrap().is_none());
    std::fs::write(dir.path().join("rotate.json"), b"{}").unwrap();
    assert!(matches!(
        inbox.waiting(),
        Err(RotateError::Malformed { .. })
    ));
}

#[test]
fn the_ledger_says_what_each_feeder_released_last_also_while_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let deployment = plan().deployment;
    let newest = || newest_released(dir.path(), &deployment).unwrap();
    assert!(newest().is_empty());
    let place = ledger::Place {
        dir: dir.path(),
        totals: &dir.path().join("totals"),
        deployment: &deployment,
        operator: "key",
    };
    let mut record = ledger::Ledger::open(&place, false).unwrap();
    for (feeder, window) in [
        ("feeder-1", 2),
        ("feeder-2", 1),
        ("feeder-1", 1),
        ("feeder-2", 5),
    ] {
        record
            .settle(&[report(feeder, window * WINDOW)], &[])
            .unwrap();
    }
    let expected = released(&[("feeder-1", 2 * WINDOW), ("feeder-2", 5 * WINDOW)]);
    assert_eq!(newest(), expected);
    drop(record);
    assert_eq!(newest(), expected);
}

#[test]
fn a_time_is_a_date_or_seconds() {
    assert_eq!(parse_time("86400"), Ok(UnixSeconds(86_400)));
    assert_eq!(parse_time("1970-01-02T00:00:00Z"), Ok(UnixSeconds(86_400)));
    assert_eq!(
        parse_time("1970-01-02T01:00+01:00"),
        Ok(UnixSeconds(86_400))
    );
    for text in ["tomorrow", "", "-5", "1969-12-31T00:00:00Z", "1970-01-02"] {
        assert!(parse_time(text).is_err(), "{text}");
    }
    assert_eq!(time(WindowStart(86_400)), "1970-01-02T00:00:00Z");
}
