//! Analytics processes that share the feeders over PostgreSQL, killed and stopped with it, in small; `bench chaos --store postgres` does
//! the same at length. And sums that are carried over to it. Only where it is named: `.ci/postgres`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use cluster::Cluster;
use e2e::processes::{Deployment, chaos, wait_for};

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

/// Each window is in one total, of all its meters, whatever store its reports came to.
#[test]
fn sums_are_carried_over_to_a_database_and_back_while_meters_report() {
    const TOTALS: usize = 24;
    let cluster = Cluster::start(&[]).unwrap();
    cluster
        .sql("postgres", "CREATE DATABASE cipherwatt")
        .unwrap();
    let deployment = Deployment::new();
    // A window closes when all its meters have reported, and for no other reason.
    let file = "[analytics]\ngrace = \"1000days\"\nretention = \"1000days\"\nidle_limit = \"1h\"\n";
    let database = format!(
        "{file}store = \"postgres\"\n[analytics.postgres]\naddress = \"127.0.0.1:{}\"\n",
        cluster.port()
    );
    for (name, settings) in [("file", file), ("postgres", &database)] {
        let path = deployment.folder.path().join(format!("{name}.toml"));
        std::fs::write(path, settings).unwrap();
    }
    let analytics = |store: &str| {
        let arguments = ["--config", &format!("{store}.toml")];
        deployment.start_as(&format!("with-{store}"), "analytics", &arguments)
    };
    let _broker = deployment.start("broker", &[]);
    let operator = deployment.start("operator", &[]);
    let mut running = analytics("file");
    // A window of four hours every second.
    let arguments = "--meters 40 --feeders 2 --speed 14400 --duration 48h";
    let mut meter = deployment.start("meter", &arguments.split(' ').collect::<Vec<_>>());
    let totals = |least| {
        let are_there = || deployment.totals().len() >= least;
        wait_for("totals", are_there, || operator.log());
    };
    for (least, to) in [(6, "postgres"), (14, "file")] {
        totals(least);
        running.signal("TERM");
        assert!(running.ends().success(), "{}", running.log());
        let migrate = ["migrate", "--to", to, "--config", "postgres.toml"];
        let output = deployment.command("analytics", &migrate).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with("carried over from"), "{output:?}");
        running = analytics(to);
    }
    assert!(meter.ends().success(), "{}", meter.log());
    totals(TOTALS);
    running.signal("TERM");
    assert!(running.ends().success(), "{}", running.log());
    let totals = deployment.totals();
    let window = |total: &serde_json::Value| {
        assert_eq!(total["meters"], 20, "{total}");
        (total["feeder"].to_string(), total["window_start"].as_u64())
    };
    assert_eq!(totals.len(), TOTALS);
    assert_eq!(
        totals.iter().map(window).collect::<BTreeSet<_>>().len(),
        TOTALS
    );
}
