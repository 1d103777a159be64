//! A feeder goes from one analytics service to another while gateways report: first as nobody should do it, then as the
//! runbook says. Every window is in exactly one total, of all its meters.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use e2e::processes::{Deployment, Process, wait_for};

const GATEWAYS: [&str; 2] = ["gateway-1", "gateway-2"];
/// Meters of a gateway on each of two feeders.
const METERS: u64 = 10;
/// Four hours.
const WINDOW_S: u64 = 14_400;
/// The first window: that of `meter.start`.
const FIRST: u64 = 1_736_121_600;

/// The settings of every process: a window closes when all its meters have reported, and for no other reason.
const SETTINGS: &str = r#"
[analytics]
grace = "1000days"
retention = "1000days"
idle_limit = "1h"
release_retry = "1s"
[meter]
start = "2025-01-06T00:00:00Z"
meters = 20
feeders = 2
retry_min = "200ms"
retry_max = "2s"
"#;

fn analytics(deployment: &Deployment, id: &str, feeders: &str) -> Process {
    let file = format!("{id}.toml");
    let settings = SETTINGS.replace(
        "[analytics]",
        &format!("[analytics]\nid = {id:?}\nfeeders = {feeders}"),
    );
    std::fs::write(deployment.folder.path().join(&file), settings).unwrap();
    deployment.start_as(id, "analytics", &["--config", &file])
}

fn gateway(deployment: &Deployment, id: &str, more: &[&str]) -> Process {
    let file = format!("{id}.toml");
    let settings = SETTINGS.replace("[meter]", &format!("[meter]\ngateway = {id:?}"));
    std::fs::write(deployment.folder.path().join(&file), settings).unwrap();
    let arguments = [&["--config", &file], more].concat();
    deployment.start_as(id, "meter", &arguments)
}

/// The windows of a feeder that have a total, each with the service that released it.
fn windows(deployment: &Deployment, feeder: &str) -> BTreeMap<u64, String> {
    let totals = deployment.totals();
    let of_feeder = totals.iter().filter(|total| total["feeder"] == feeder);
    let window = |total: &serde_json::Value| {
        let service = total["analytics"].as_str().unwrap().to_owned();
        (total["window_start"].as_u64().unwrap(), service)
    };
    of_feeder.map(window).collect()
}

fn by(windows: &BTreeMap<u64, String>, service: &str) -> usize {
    windows.values().filter(|of| *of == service).count()
}

#[test]
fn a_feeder_changes_its_service_under_load_and_every_window_is_in_one_total() {
    let deployment = Deployment::new();
    let broker = deployment.start("broker", &[]);
    let operator = deployment.start("operator", &[]);
    let mut first = analytics(&deployment, "analytics-1", "[]");
    // A window takes two seconds.
    let mut gateways = GATEWAYS.map(|id| gateway(&deployment, id, &["--speed", "7200"]));
    let log = || format!("{}\n{}", operator.log(), broker.log());
    let released = |service: &str, feeder: &str, least: usize| {
        let enough = || by(&windows(&deployment, feeder), service) >= least;
        wait_for(
            &format!("{least} windows of {feeder} by {service}"),
            enough,
            log,
        );
    };
    released("analytics-1", "feeder-1", 2);

    // As nobody should: the operator refuses it and says what to do, and the owner goes on.
    let second = analytics(&deployment, "analytics-2", r#"["feeder-1"]"#);
    operator.says("feeder feeder-1 belongs to analytics service analytics-1");
    let before = by(&windows(&deployment, "feeder-1"), "analytics-1");
    released("analytics-1", "feeder-1", before + 3);
    assert_eq!(by(&windows(&deployment, "feeder-1"), "analytics-2"), 0);

    // As the runbook says: the owner gives the feeder up, and the request that waits is granted.
    first.signal("TERM");
    assert!(first.ends().success(), "{}", first.log());
    let first = analytics(&deployment, "analytics-1", r#"["feeder-2"]"#);
    released("analytics-2", "feeder-1", 3);
    let before = by(&windows(&deployment, "feeder-2"), "analytics-1");
    released("analytics-1", "feeder-2", before + 2);

    // The gateways come to an end with every report settled, however far they had got.
    for gateway in &mut gateways {
        gateway.signal("TERM");
        assert!(gateway.ends().success(), "{}", gateway.log());
    }
    let newest = *windows(&deployment, "feeder-1").keys().next_back().unwrap();
    let end = newest + 20 * WINDOW_S;
    let duration = format!("{}s", end - FIRST);
    let more = ["--speed", "28800", "--duration", &duration];
    let mut gateways = GATEWAYS.map(|id| gateway(&deployment, id, &more));
    for gateway in &mut gateways {
        assert!(gateway.ends().success(), "{}", gateway.log());
    }

    let expected: BTreeSet<u64> = (FIRST..end).step_by(WINDOW_S as usize).collect();
    for feeder in ["feeder-1", "feeder-2"] {
        let has_all = || {
            expected
                .iter()
                .all(|window| windows(&deployment, feeder).contains_key(window))
        };
        wait_for(&format!("every window of {feeder}"), has_all, log);
    }
    let mut seen = BTreeSet::new();
    for total in deployment.totals() {
        let place = (total["feeder"].to_string(), total["window_start"].as_u64());
        assert_eq!(total["part"], 0, "{total}");
        assert_eq!(total["meters"], METERS * GATEWAYS.len() as u64, "{total}");
        assert!(seen.insert(place), "two totals: {total}");
    }
    let owners: Vec<String> = windows(&deployment, "feeder-1").into_values().collect();
    assert!(
        owners.is_sorted(),
        "one window changed the owner: {owners:?}"
    );
    for process in [&first, &second, &operator] {
        let log = process.log();
        assert!(!log.contains("refused a release"), "{log}");
        assert!(!log.contains("a sum was rejected"), "{log}");
    }
}
