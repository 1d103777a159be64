use super::*;
use proptest::prelude::*;

#[test]
fn a_quarter_hour_day() {
    let grid = Grid::new(900, 96).unwrap();
    assert_eq!(grid.longest_window_s(), 86_400);
    let window = grid.window_of(UnixSeconds(1_750_000_000));
    assert_eq!(window, WindowStart(1_749_945_600));
    assert_eq!(
        grid.interval_start(window, 95),
        UnixSeconds(1_749_945_600 + 95 * 900)
    );
    assert_eq!(grid.next_window(window), WindowStart(1_750_032_000));
}

#[test]
fn refuses_a_zero_and_a_day_and_a_second() {
    assert_eq!(Grid::new(0, 4), Err(GridError::Interval { found: 0 }));
    assert_eq!(
        Grid::new(86_401, 4),
        Err(GridError::Interval { found: 86_401 })
    );
    assert_eq!(Grid::new(900, 0), Err(GridError::Batch));
}

fn days(interval_s: u32, zone: &str) -> Grid {
    Grid::of_days(interval_s, zone.parse().unwrap()).unwrap()
}

fn utc(text: &str) -> UnixSeconds {
    let at: jiff::Timestamp = text.parse().unwrap();
    UnixSeconds(u64::try_from(at.as_second()).unwrap())
}

/// Starts of windows, and the intervals of each, from the one that contains a time on.
fn windows(grid: Grid, from: &str, count: usize) -> Vec<(UnixSeconds, u16)> {
    let first = grid.window_of(utc(from));
    let windows = std::iter::successors(Some(first), |window| Some(grid.next_window(*window)));
    let windows = windows.take(count);
    windows
        .map(|window| (window.seconds(), grid.intervals(window)))
        .collect()
}

#[test]
fn local_days_have_23_24_and_25_hours() {
    let berlin = days(900, "Europe/Berlin");
    assert_eq!((berlin.batch(), berlin.longest_window_s()), (100, 90_000));
    let spring = windows(berlin, "2024-03-30T12:00:00Z", 3);
    assert_eq!(
        spring,
        [
            (utc("2024-03-29T23:00:00Z"), 96),
            (utc("2024-03-30T23:00:00Z"), 92),
            (utc("2024-03-31T22:00:00Z"), 96),
        ]
    );
    let autumn = windows(berlin, "2024-10-26T22:00:00Z", 2);
    let expected = [
        (utc("2024-10-26T22:00:00Z"), 100),
        (utc("2024-10-27T23:00:00Z"), 96),
    ];
    assert_eq!(autumn, expected);
}

#[test]
fn a_clock_that_changes_by_half_an_hour_makes_days_of_47_and_49_half_hours() {
    let lord_howe = days(1_800, "Australia/Lord_Howe");
    assert_eq!(lord_howe.batch(), 49);
    let spring = windows(lord_howe, "2023-09-30T20:00:00Z", 1);
    assert_eq!(spring, [(utc("2023-09-30T13:30:00Z"), 47)]);
    let autumn = windows(lord_howe, "2024-04-06T20:00:00Z", 1);
    assert_eq!(autumn, [(utc("2024-04-06T13:00:00Z"), 49)]);
}

#[test]
fn a_day_without_midnight_begins_where_clocks_pass_over_it() {
    let sao_paulo = days(3_600, "America/Sao_Paulo");
    let spring = windows(sao_paulo, "2018-11-03T12:00:00Z", 3);
    assert_eq!(
        spring,
        [
            (utc("2018-11-03T03:00:00Z"), 24),
            (utc("2018-11-04T03:00:00Z"), 23),
            (utc("2018-11-05T02:00:00Z"), 24),
        ]
    );
    // At midnight clocks went back into the day before.
    let autumn = windows(sao_paulo, "2018-02-17T12:00:00Z", 2);
    let expected = [
        (utc("2018-02-17T02:00:00Z"), 25),
        (utc("2018-02-18T03:00:00Z"), 24),
    ];
    assert_eq!(autumn, expected);
}

#[test]
fn a_day_that_was_skipped_is_no_window() {
    let apia = days(900, "Pacific/Apia");
    let around = windows(apia, "2011-12-29T20:00:00Z", 2);
    // The 30th did not happen there: after the 29th came the 31st.
    let expected = [
        (utc("2011-12-29T10:00:00Z"), 96),
        (utc("2011-12-30T10:00:00Z"), 96),
    ];
    assert_eq!(around, expected);
}

#[test]
fn a_midnight_that_clocks_go_back_over_begins_its_day_once() {
    // A minute past midnight, until 2011.
    let st_johns = days(60, "America/St_Johns");
    let autumn = windows(st_johns, "2010-11-06T12:00:00Z", 3);
    assert_eq!(
        autumn,
        [
            (utc("2010-11-06T02:30:00Z"), 1_440),
            (utc("2010-11-07T02:30:00Z"), 1_500),
            (utc("2010-11-08T03:30:00Z"), 1_440),
        ]
    );
}

#[test]
fn days_of_other_lengths_are_refused_by_name() {
    let error = |grid: Result<Grid, GridError>| grid.unwrap_err().to_string();
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    assert_eq!(
        error(Grid::planned(900, 96, Some(berlin))),
        "batch is 96; where windows are days of Europe/Berlin it must be 100, the intervals of the longest day"
    );
    assert_eq!(
        Grid::planned(900, 100, Some(berlin)),
        Ok(days(900, "Europe/Berlin"))
    );
    let kathmandu = "Asia/Kathmandu".parse().unwrap();
    assert_eq!(
        error(Grid::of_days(3_600, kathmandu)),
        "days of Asia/Kathmandu do not begin at a multiple of interval_s, which is 3600; it must divide 900 seconds"
    );
    assert!(error(Grid::of_days(1, berlin)).contains("it must be 90000"));
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Antarctica/Troll",
];

proptest! {
    #[test]
    fn every_time_is_in_exactly_one_aligned_window(
        interval_s in 1..=MAX_INTERVAL_S, batch in 1..=u16::MAX, time in 0..u64::MAX / 2,
    ) {
        let grid = Grid::new(interval_s, batch).unwrap();
        let window = grid.window_of(UnixSeconds(time));
        prop_assert!(grid.is_aligned(window));
        prop_assert!(window.0 <= time && time < grid.window_end(window).0);
        prop_assert_eq!(grid.interval_start(window, 0), window.seconds());
        let last = grid.interval_start(window, batch - 1);
        prop_assert_eq!(last.0 + u64::from(interval_s), grid.window_end(window).0);
    }

    #[test]
    fn every_second_is_in_exactly_one_local_day(
        zone in proptest::sample::select(&ZONES[..]), time in 0..4_102_444_800u64, after in 0..200_000u64,
    ) {
        let grid = days(1_800, zone);
        let window = grid.window_of(UnixSeconds(time));
        let end = grid.window_end(window);
        prop_assert!(grid.is_aligned(window) && window.0 <= time && time < end.0);
        prop_assert_eq!(grid.window_of(UnixSeconds(end.0 - 1)), window);
        prop_assert_eq!(grid.window_of(end), grid.next_window(window));
        prop_assert_eq!(grid.window_before(grid.next_window(window)), Some(window));
        let intervals = grid.intervals(window);
        prop_assert!((1..=grid.batch()).contains(&intervals));
        prop_assert_eq!(grid.interval_start(window, intervals), end);
        let first = grid.first_from(UnixSeconds(time));
        prop_assert_eq!(first == window, window.0 == time);
        prop_assert!(grid.is_aligned(first) && first.0 >= time);
        let later = grid.window_of(UnixSeconds(time + after));
        prop_assert_eq!(later == window, time + after < end.0);
        prop_assert!(later >= window);
    }

    #[test]
    fn the_end_of_time_saturates_in_a_zone(
        zone in proptest::sample::select(&ZONES[..]), time in 1 << 37..=u64::MAX,
    ) {
        let grid = days(1_800, zone);
        let window = grid.window_of(UnixSeconds(time));
        prop_assert!(window.0 <= time && (time < grid.window_end(window).0 || time == u64::MAX));
        prop_assert_eq!(grid.window_end(WindowStart(u64::MAX)), UnixSeconds(u64::MAX));
    }

    #[test]
    fn the_end_of_time_saturates(interval_s in 1..=MAX_INTERVAL_S, batch in 1..=u16::MAX) {
        let grid = Grid::new(interval_s, batch).unwrap();
        prop_assert_eq!(grid.window_end(WindowStart(u64::MAX)), UnixSeconds(u64::MAX));
        prop_assert!(grid.window_of(UnixSeconds(u64::MAX)).0 > 0);
    }
}
