//! Analytics processes that share the feeders over PostgreSQL, killed and stopped with it, in small; `bench chaos --store postgres` does
//! the same at length. Only where it is named: `.ci/postgres`.

#![allow(clippy::unwrap_used, reason = "tests")]

use e2e::processes::chaos;

/// The least time for which `bench chaos` stops a process of the pool, whose leases end after three seconds.
const STOPPED_MS: f64 = 6_000.0;

#[test]
fn a_pool_over_a_database_loses_nothing_and_counts_nothing_twice() {
    let pool = ["--store", "postgres", "--analytics", "2"];
    let (status, outcome) = chaos(&[&pool[..], &["--kills", "12", "--seed", "5"]].concat());
    assert_eq!(status.code(), Some(0), "{outcome:#}");
    for process in [
        "broker",
        "operator",
        "analytics",
        "analytics-2",
        "meter",
        "live",
    ] {
        assert_eq!(outcome["kills"][process], 2, "{outcome:#}");
    }
    assert_eq!(outcome["reports_folded"], outcome["reports_expected"]);
    for none in ["lost", "duplicated", "windows_wrong", "sums_not_opened"] {
        assert_eq!(outcome[none], 0, "{outcome:#}");
    }
    let faults = &outcome["faults"];
    assert_eq!(faults["stops"], 2, "{outcome:#}");
    assert_eq!(faults["database_restarts"], 1, "{outcome:#}");
    assert_eq!(faults["database_promotions"], 1, "{outcome:#}");
    // Eight at the start, and whatever moved.
    assert!(faults["shards_taken"].as_u64() > Some(16), "{outcome:#}");
}

/// Others have the shards of a process while it stands still, and nobody did anything for that. How soon, `bench chaos` says.
#[test]
fn a_process_that_stands_still_is_taken_over_meanwhile() {
    let calm = [
        "--network-faults",
        "false",
        "--bills",
        "false",
        "--seed",
        "6",
    ];
    let pool = ["--store", "postgres", "--analytics", "3", "--kills", "21"];
    let (status, outcome) = chaos(&[&pool[..], &calm].concat());
    assert_eq!(status.code(), Some(0), "{outcome:#}");
    let faults = &outcome["faults"];
    assert!(faults["takeovers"].as_u64() >= Some(1), "{outcome:#}");
    let longest = faults["takeover_ms"]["max"].as_f64();
    assert!(longest < Some(STOPPED_MS), "{outcome:#}");
}

#[test]
fn a_missing_fence_is_noticed() {
    let pool = ["--store", "postgres", "--analytics", "2"];
    let broken = ["--sabotage", "fence", "--kills", "12", "--seed", "5"];
    let (status, outcome) = chaos(&[&pool[..], &broken].concat());
    assert_ne!(status.code(), Some(0), "{outcome:#}");
    // What two processes wrote is damaged, which ends whoever reads it; or it is in a total twice.
    let wrong = outcome["wrong"].as_array().unwrap().iter();
    let mut wrong = wrong.filter_map(|wrong| wrong.as_str());
    let ended = wrong.any(|wrong| wrong.starts_with("analytics") && wrong.contains(" ended "));
    let counts = ["lost", "duplicated", "windows_wrong"];
    let counted = counts.iter().any(|what| outcome[what].as_u64() > Some(0));
    assert!(ended || counted, "{outcome:#}");
}
