//! The processes killed for real, in small; `bench chaos` does the same at length. Over a database: `pool.rs`.

#![allow(clippy::unwrap_used, reason = "tests")]

use e2e::processes::chaos;
#[test]
fn killed_processes_lose_nothing_and_count_nothing_twice() {
    let (status, outcome) = chaos(&["--kills", "10", "--seed", "5", "--windows", "50"]);
    assert_eq!(status.code(), Some(0), "{outcome:#}");
    for process in ["broker", "operator", "analytics", "meter", "live"] {
        assert_eq!(outcome["kills"][process], 2, "{outcome:#}");
        assert!(outcome["recovery_ms"][process]["max"].as_f64() > Some(0.0));
    }
    // And the 20 meters that send a line for each quarter of an hour.
    assert_eq!(outcome["reports_expected"], (80 + 20) * 50);
    assert_eq!(outcome["reports_folded"], (80 + 20) * 50);
    // A line whose answer a kill held back was sent again.
    let lines = |what: &str| outcome["lines"][what].as_u64().unwrap();
    let all = 20 * 50 * 4;
    assert!(
        lines("taken") <= all && lines("taken") + lines("repeated") >= all,
        "{outcome:#}"
    );
    assert!(lines("cut") >= 2, "{outcome:#}");
    for none in [
        "lost",
        "duplicated",
        "windows_wrong",
        "resealed",
        "sums_not_opened",
    ] {
        assert_eq!(outcome[none], 0, "{outcome:#}");
    }
    // Three meters of each of four feeders, for each billing period that is over: six of eight hours, or five.
    let bills = |what: &str| outcome["bills"][what].as_u64().unwrap();
    assert!(bills("due") >= 12 * 5, "{outcome:#}");
    assert_eq!(bills("opened"), bills("due"), "{outcome:#}");
    assert_eq!(outcome["max_relative_error"], 0.0, "{outcome:#}");
}

#[test]
fn what_is_broken_is_noticed() {
    let (status, found) = chaos(&[
        "--self-test",
        "--kills",
        "10",
        "--seed",
        "5",
        "--windows",
        "50",
    ]);
    assert_eq!(status.code(), Some(0), "{found:#}");
    let noticed = found.as_array().unwrap().iter();
    let noticed: Vec<&str> = noticed
        .filter(|found| found["noticed"] == true)
        .filter_map(|found| found["sabotage"].as_str())
        .collect();
    assert_eq!(noticed, ["dedup", "journal"], "{found:#}");
}
