use super::*;

const HOUR_MS: u64 = 3_600_000;

fn kept(part: u16, since_ms: u64, bytes: u64) -> Kept {
    Kept {
        part: Part(part),
        since: UnixMillis(since_ms),
        bytes,
    }
}

fn reports(bytes: u64) -> KeptReports {
    KeptReports::new(Limits {
        age: Duration::from_secs(3_600),
        bytes,
    })
}

fn feeder(number: usize) -> FeederId {
    format!("feeder-{number}").parse().unwrap()
}

fn sum(window: u64, feeder_number: usize, part: u16) -> SumKey {
    SumKey {
        window: WindowStart(window),
        feeder: feeder(feeder_number),
        part: Part(part),
    }
}

/// Two windows of four meters in turn on two feeders, of which meter 2 is in another part.
fn two_windows() -> KeptReports {
    let mut reports = reports(1_000);
    for meter in 0..4 {
        for window in [900, 1_800] {
            let part = u16::from(meter == 2);
            let key = (meter, WindowStart(window));
            reports.keep(key, feeder(meter % 2), kept(part, 0, 10));
        }
    }
    reports
}

#[test]
fn a_part_is_of_one_feeder_and_one_window() {
    let mut reports = two_windows();
    let window = WindowStart(900);
    assert_eq!(reports.take(&sum(900, 0, 0), 9), [((0, window), 10)]);
    assert_eq!(reports.take(&sum(900, 0, 0), 9), []);
    assert_eq!(reports.take(&sum(900, 0, 1), 9), [((2, window), 10)]);
    assert_eq!((reports.len(), reports.bytes()), (6, 60));
}

#[test]
fn those_of_failed_sums_are_taken_in_lots_that_there_is_room_for() {
    let mut reports = two_windows();
    assert_eq!(reports.fail(sum(900, 1, 0)), Some(2));
    assert_eq!(reports.fail(sum(900, 1, 0)), None, "it is known");
    assert_eq!(reports.fail(sum(900, 1, 5)), None, "nothing is kept of it");
    assert_eq!(reports.fail(sum(1_800, 0, 1)), Some(1));
    assert_eq!(reports.take_failed(|_| 0), []);
    let (first, second) = (WindowStart(900), WindowStart(1_800));
    assert_eq!(reports.take_failed(|_| 1), [(1, first)]);
    assert_eq!(reports.take_failed(|_| 9), [], "the first is being read");
    reports.has_read();
    // Where meter 3's go there is no room now.
    let elsewhere = |meter: usize| usize::from(meter == 2);
    assert_eq!(reports.take_failed(elsewhere), [(2, second)]);
    reports.has_read();
    assert_eq!(reports.take_failed(|_| 9), [(3, first)]);
    reports.has_read();
    assert_eq!(reports.take_failed(|_| 9), []);
    assert_eq!(reports.len(), 5);
    assert!(reports.answers_again((3, first)) && !reports.answers_again((0, first)));
}

#[test]
fn what_was_to_be_sent_again_and_is_released_after_all_is_not_sent() {
    let mut reports = two_windows();
    reports.fail(sum(900, 1, 0));
    assert_eq!(reports.take(&sum(900, 1, 0), 9).len(), 2);
    assert_eq!(reports.take_failed(|_| 9), []);
}

#[test]
fn the_oldest_go_first_and_what_is_old_goes_anyway() {
    let mut reports = reports(25);
    let window = WindowStart(900);
    for (meter, since_ms) in [(0, 5), (1, 3), (2, 4)] {
        reports.keep((meter, window), feeder(0), kept(0, since_ms, 10));
    }
    assert_eq!(
        reports.take_surplus(UnixMillis(9)),
        [((1, window), Surplus::Bytes)]
    );
    assert_eq!(reports.take_surplus(UnixMillis(HOUR_MS + 3)), []);
    assert_eq!(
        reports.take_surplus(UnixMillis(HOUR_MS + 4)),
        [((2, window), Surplus::Age)]
    );
    // A clock that is put back makes nothing older.
    assert_eq!(reports.take_surplus(UnixMillis(0)), []);
    assert_eq!((reports.len(), reports.bytes()), (1, 10));
}

#[test]
fn a_report_that_is_in_another_part_now_is_kept_once() {
    let mut reports = reports(1_000);
    let window = WindowStart(900);
    reports.keep((0, window), feeder(0), kept(0, 5, 10));
    reports.keep((0, window), feeder(0), kept(2, 7, 10));
    assert_eq!((reports.len(), reports.bytes()), (1, 10));
    assert_eq!(reports.take(&sum(900, 0, 0), 9), []);
    assert_eq!(reports.take(&sum(900, 0, 2), 9), [((0, window), 10)]);
    assert_eq!(reports.take_surplus(UnixMillis(u64::MAX)), []);
}
