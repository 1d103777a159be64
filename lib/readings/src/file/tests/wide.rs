use wire::UnixSeconds;

use super::*;

fn berlin(text: &str) -> Result<Replay, String> {
    let options = ReplayOptions {
        time_zone: "Europe/Berlin".to_owned(),
        ..ReplayOptions::default()
    };
    parse(text, &options).map_err(said)
}

/// Rows of one customer at local times, their values counting up.
fn rows(times: &[&str]) -> String {
    let rows = times
        .iter()
        .enumerate()
        .map(|(i, time)| format!("{time},{i}\n"));
    "time,a\n".to_owned() + &rows.collect::<String>()
}

#[test]
fn an_index_counts_hours_from_the_start() {
    let options = ReplayOptions::default();
    let start = options.start.0;
    let mut t = parse(
        "hour,a,B_2\n0.5,1,-0.25\n0.75,,Null\n1,nan,0.001000002\n",
        &options,
    )
    .unwrap();
    assert_eq!(t.interval_s(), 900);
    let range = (UnixSeconds(start + 1_800), Some(UnixSeconds(start + 4_500)));
    assert_eq!(t.range(), range);
    assert_eq!(at(&mut t, start + 1_800), [kwh(1), Some(-250_000_000)]);
    assert_eq!(at(&mut t, start + 2_700), [None, None]);
    assert_eq!(at(&mut t, start + 3_600), [None, Some(1_000_002)]);
    let capacities: Vec<u64> = t.meters().iter().map(|m| m.capacity_w.0).collect();
    assert_eq!(capacities, [4_000, 1_000]);
}

#[test]
fn timestamps_may_have_any_offset_or_none() {
    for first in [
        "2014-03-03 01:00",
        "2014-03-03T00:00:00Z",
        "2014-03-03T05:30:00+05:30",
    ] {
        let mut t = berlin(&rows(&[first, "2014-03-03 02:00"])).unwrap();
        assert_eq!(at(&mut t, 1_393_804_800), [Some(0)], "{first}");
    }
}

#[test]
fn a_day_of_25_hours_has_the_repeated_hour_twice() {
    let autumn = [
        "2014-10-26 01:00",
        "2014-10-26 02:00",
        "2014-10-26 02:00",
        "2014-10-26 03:00",
    ];
    let mut t = berlin(&rows(&autumn)).unwrap();
    let start = 1_414_278_000; // 25 October, 23:00 UTC
    for hour in 0..4 {
        assert_eq!(at(&mut t, start + hour * 3_600), [kwh(hour as i64)]);
    }
    let once = berlin(&rows(&[
        "2014-10-26 00:00",
        "2014-10-26 01:00",
        "2014-10-26 02:00",
        "2014-10-26 03:00",
    ]));
    assert!(
        once.unwrap_err().contains("line 5"),
        "a file with 24 rows that day has a gap"
    );
}

#[test]
fn a_day_of_23_hours_goes_on_without_the_skipped_one() {
    let mut t = berlin(&rows(&[
        "2014-03-30 01:00",
        "2014-03-30 03:00",
        "2014-03-30 04:00",
    ]))
    .unwrap();
    assert_eq!(t.interval_s(), 3_600);
    assert_eq!(at(&mut t, 1_396_141_200), [kwh(1)]); // 01:00 UTC
    let error = berlin(&rows(&["2014-03-30 01:00", "2014-03-30 02:00"])).unwrap_err();
    assert!(
        error.contains("line 3") && error.contains("02:00") && error.contains("UTC"),
        "{error}"
    );
}

#[test]
fn gaps_are_refused_or_missing_as_asked() {
    let text = "hour,a\n0,1\n1,2\n4,3\n";
    let error = refusal(text);
    for part in [
        "test.csv",
        "line 4",
        "\"a\"",
        "without a row: 2",
        "empty fields",
        "meter.gaps",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let options = ReplayOptions {
        gaps: Gaps::Missing,
        ..ReplayOptions::default()
    };
    let mut t = parse(text, &options).unwrap();
    let start = options.start.0;
    let values: Vec<_> = (0..5).flat_map(|h| at(&mut t, start + h * 3_600)).collect();
    assert_eq!(values, [kwh(1), kwh(2), None, None, kwh(3)]);
    let long = parse("hour,a\n0,1\n1,2\n99999,3\n", &options);
    assert!(long.is_err(), "no gap of eleven years is filled");
}

#[test]
fn rows_may_come_in_any_order_and_equal_ones_are_counted() {
    let options = ReplayOptions::default();
    let mut t = parse("hour,a\n3,4\n2,3\n1,2\n0,1\n", &options).unwrap();
    assert_eq!(at(&mut t, options.start.0), [kwh(1)]);
    let mut t = parse("hour,a\n0,1\n2,3\n1,2\n2,3\n3,4\n", &options).unwrap();
    assert_eq!(at(&mut t, options.start.0 + 7_200), [kwh(3)]);
    assert_eq!(t.account().repeated, 1);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, parts) in [
        ("hour\n0\n", &["line 1", "only one column"][..]),
        (
            "hour,a,b\n0,1,2\n1,1\n",
            &["line 3", "2 fields", "3 columns", "\"b\""],
        ),
        ("hour,a\n0,1\n1,1,1\n", &["line 3", "3 fields", "2 columns"]),
        (
            "hour,a,b,a\n0,1,2,3\n",
            &["line 1", "columns 2 and 4", "\"a\""],
        ),
        (
            "hour,a_1,A-1\n0,1,2\n",
            &["line 2", "\"a_1\"", "\"A-1\"", "a-1"],
        ),
        ("hour,a,\n0,1,2\n", &["line 1", "\"\""]),
        (
            "hour,a\n0,1\n1,x1\n",
            &["line 3", "\"a\"", "\"x1\"", "meter.missing"],
        ),
        ("hour,a\n0,1\n1,inf\n", &["line 3", "\"a\"", "\"inf\""]),
        ("hour,a\n0,1\n1,1e7\n", &["line 3", "\"1e7\"", "million"]),
        ("hour,a\n0,1\nx,2\n", &["line 3", "\"hour\"", "\"x\""]),
        ("hour,a\n-1,1\n0,2\n", &["line 2", "\"-1\""]),
        ("hour,a\n0,1\n1e20,2\n", &["line 3", "\"1e20\""]),
        ("t,a\nnoon,1\n", &["line 2", "\"t\"", "\"noon\""]),
        (
            "hour,a\n0,1\n1,2\n1,3\n",
            &["line 4", "2 kWh", "3 kWh", "\"a\"", "line 3"],
        ),
        (
            "hour,a\n0,1\n2,2\n3,3\n",
            &["line 4", "off the grid", "7200 s"],
        ),
        ("hour,a\n0,1\n7,2\n", &["line 2", "25200 s", "86400"]),
        (
            "t,a\n2014-03-03 00:10,1\n2014-03-03 01:10,2\n",
            &["line 2", "00:10", "3600 s"],
        ),
        ("hour,a\n0,1\n", &["rows of readings: 1", "at least 2"]),
        ("hour,a\n", &["rows of readings: 0"]),
    ] {
        let error = refusal(text);
        for part in parts {
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
