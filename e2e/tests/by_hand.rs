//! The four processes as a newcomer starts them: in any order, each saying what it waits for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::processes::{Deployment, wait_for};

#[test]
fn in_any_order_each_says_what_it_waits_for_and_totals_come() {
    let deployment = Deployment::new();
    let arguments = [
        "--meters",
        "40",
        "--feeders",
        "2",
        "--speed",
        "28800",
        "--duration",
        "1day",
    ];
    let mut meter = deployment.start("meter", &arguments);
    meter.says("cargo run --release -p broker");
    let mut analytics = deployment.start("analytics", &[]);
    analytics.says("cargo run --release -p broker");
    let mut broker = deployment.start("broker", &[]);
    meter.says("waiting for the operator's plan of deployment dev on cipherwatt/v2/plan");
    let mut operator = deployment.start("operator", &[]);
    assert!(meter.ends().success(), "{}", meter.log());

    // A day in windows of four hours on two feeders.
    wait_for(
        "12 totals",
        || deployment.totals().len() >= 12,
        || operator.log(),
    );
    let totals = deployment.totals();
    assert_eq!(totals.len(), 12);
    for total in &totals {
        assert_eq!(total["meters"], 20);
        assert_eq!(total["interval_s"], 3600);
        assert_eq!(total["energy_wh"].as_array().map(Vec::len), Some(4));
    }
    for process in [&mut analytics, &mut operator, &mut broker] {
        process.signal("TERM");
        assert_eq!(process.ends().code(), Some(0), "{}", process.log());
    }
}

#[test]
fn an_analytics_service_that_is_killed_stops_no_feeder_of_another() {
    const WINDOWS: usize = 8;
    let deployment = Deployment::new();
    let analytics = |id: &str, feeders: &str| {
        let settings = format!("[analytics]\nid = \"{id}\"\nfeeders = {feeders}\n");
        let file = format!("{id}.toml");
        std::fs::write(deployment.folder.path().join(&file), settings).expect("a file");
        deployment.start_as(id, "analytics", &["--config", &file])
    };
    let _broker = deployment.start("broker", &[]);
    let operator = deployment.start("operator", &[]);
    let _first = analytics("analytics-1", r#"["feeder-1", "feeder-2"]"#);
    let second = analytics("analytics-2", r#"["feeder-3", "feeder-4"]"#);
    for id in ["analytics-1", "analytics-2"] {
        let enrolled = || operator.log().matches(id).count() > 0;
        wait_for(id, enrolled, || operator.log());
    }
    // A window of four hours every second.
    let arguments = "--meters 200 --feeders 4 --speed 14400 --duration 32h";
    let mut meter = deployment.start("meter", &arguments.split(' ').collect::<Vec<_>>());
    let totals = |feeders: [&str; 2]| {
        let of = |total: &serde_json::Value| {
            feeders.contains(&total["feeder"].as_str().unwrap_or_default())
        };
        deployment.totals().iter().filter(|total| of(total)).count()
    };
    let first_two = ["feeder-1", "feeder-2"];
    let last_two = ["feeder-3", "feeder-4"];
    let began = || totals(last_two) > 0;
    wait_for("the second service works", began, || meter.log());
    second.signal("KILL");
    let whole = || totals(first_two) == 2 * WINDOWS;
    wait_for("all windows of the first service", whole, || meter.log());
    assert!(totals(last_two) < 2 * WINDOWS, "it was killed too late");

    let _second = analytics("analytics-2", r#"["feeder-3", "feeder-4"]"#);
    assert!(meter.ends().success(), "{}", meter.log());
    let all = || totals(first_two) + totals(last_two) == 4 * WINDOWS;
    wait_for("all windows of both", all, || operator.log());
    assert!(
        deployment
            .totals()
            .iter()
            .all(|total| total["meters"] == 50)
    );
}

#[test]
fn a_port_in_use_is_an_error_exit_that_names_it() {
    let deployment = Deployment::new();
    let _taken = TcpListener::bind(deployment.address).expect("the port");
    let mut broker = deployment.start("broker", &[]);
    assert_eq!(broker.ends().code(), Some(1));
    assert!(
        broker.log().contains(&deployment.address.to_string()),
        "{}",
        broker.log()
    );
}

#[test]
fn an_interrupt_is_130_and_a_bad_setting_2() {
    let deployment = Deployment::new();
    let mut analytics = deployment.start("analytics", &[]);
    analytics.says("cargo run --release -p broker");
    analytics.signal("INT");
    assert_eq!(analytics.ends().code(), Some(130));
    let mut meter = deployment.start("meter", &["--set", "meter.metres=3"]);
    assert_eq!(meter.ends().code(), Some(2));
    assert!(meter.log().contains("metres"), "{}", meter.log());
    let mut meter = deployment.start("meter", &["--set", "meter.speed=-1"]);
    assert_eq!(meter.ends().code(), Some(2));
    assert!(
        meter.log().contains("meter.speed") && meter.log().contains("-1"),
        "{}",
        meter.log()
    );
}

const PRODUCTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/production.toml");

/// A day of quarter hours of 20 homes, as a file to replay.
fn readings(deployment: &Deployment) -> PathBuf {
    let mut text = "time".to_owned();
    // A gateway's new meters have names that begin with its own.
    text.extend((1..=20).map(|home| format!(",gateway-1-home-{home}")));
    // Yesterday's: analytics goes by the wall clock in production, and takes no readings past its retention.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("now");
    let midnight = (now.as_secs() / 86_400 - 1) * 86_400;
    for quarter in 0..96 {
        let at = UNIX_EPOCH + Duration::from_secs(midnight + quarter * 900);
        text += &format!("\n{}", humantime::format_rfc3339_seconds(at));
        text.extend((1..=20).map(|home| format!(",0.{:03}", (quarter * 7 + home * 31) % 1_000)));
    }
    let path = deployment.folder.path().join("readings.csv");
    std::fs::write(&path, text).expect("a file");
    path
}

#[test]
fn the_production_configuration_needs_a_key_and_approvals_and_then_totals_come() {
    let deployment = Deployment::new();
    let readings = readings(&deployment);
    let replay = [
        "--config",
        PRODUCTION,
        "--replay",
        readings.to_str().expect("UTF-8"),
    ];

    let mut analytics = deployment.start("analytics", &replay[..2]);
    assert_eq!(analytics.ends().code(), Some(2));
    assert!(
        analytics.log().contains("deployment.operator_key"),
        "{}",
        analytics.log()
    );

    // The operator makes its key at a first start without one, as docs/operations.md has it.
    let development = ["--set", "deployment.mode=development"];
    let mut operator = deployment.start("operator", &[&replay[..2], &development].concat());
    let key_file = deployment.folder.path().join("state/operator/signing.pub");
    operator.says("operator_key");
    operator.signal("TERM");
    assert_eq!(operator.ends().code(), Some(0), "{}", operator.log());
    let key = std::fs::read_to_string(key_file).expect("the verifying key");
    let key = format!("deployment.operator_key={}", key.trim());
    let settings = [&replay[..2], &["--set", &key]].concat();

    let meter = deployment.start(
        "meter",
        &[
            &replay[..],
            &["--set", &key, "--speed", "1000000", "--feeders", "1"],
        ]
        .concat(),
    );
    meter.says("cargo run --release -p broker");
    let analytics = deployment.start("analytics", &settings);
    analytics.says("cargo run --release -p broker");
    let mut broker = deployment.start("broker", &settings);
    assert_eq!(broker.ends().code(), Some(2));
    broker.says("broker.insecure_local");
    let local = ["--set", "broker.insecure_local=true"];
    let _broker = deployment.start("broker", &[&settings[..], &local].concat());
    let operator = deployment.start("operator", &settings);
    operator.says("operator approve");
    for id in ["analytics-1", "gateway-1"] {
        let approved = || deployment.approves(id, &settings);
        wait_for(id, approved, || operator.log());
    }
    wait_for(
        "the day's total",
        || !deployment.totals().is_empty(),
        || operator.log(),
    );
    assert_eq!(deployment.totals()[0]["meters"], 20);
}
