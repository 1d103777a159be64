//! The operator killed at each point of publishing: nothing is spent twice, and no noise is drawn twice.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use e2e::processes::{Deployment, wait_for};
use serde_json::Value;

/// An hour's reading gives away 1.
const SETTINGS: &str = r#"
[publish]
budget_epsilon = 1000.0

[[publish.recipients]]
name = "press"
unit = "interval"
mechanism = "laplace"
epsilon = 1.0
"#;

const FEEDERS: usize = 2;

/// Of four hours.
const WINDOWS: usize = 2;

const CONFIG: [&str; 2] = ["--config", "noise.toml"];

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.find_map(|path| match path.is_dir() {
        true => find(&path, name),
        false => (path.file_name()? == name).then_some(path),
    })
}

fn lines(deployment: &Deployment) -> Vec<String> {
    let file = find(deployment.folder.path(), "press.jsonl");
    let text = file.and_then(|file| std::fs::read_to_string(file).ok());
    text.unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The noisy totals that a ledger has stored of the same feeder and window as `line`, to the byte.
fn stored<'l>(ledger: &'l [u8], line: &str) -> Vec<&'l [u8]> {
    let end = line.find("\"interval_s\"").unwrap();
    let start = &line.as_bytes()[..end];
    let places = 0..ledger.len().saturating_sub(line.len());
    let places = places.filter(|at| ledger[*at..].starts_with(start));
    places.map(|at| &ledger[at..at + line.len()]).collect()
}

/// Windows and ε spent of each feeder.
fn budget(deployment: &Deployment) -> Vec<(u64, f64)> {
    let arguments = [&["--output", "json", "ask", "budget"], &CONFIG[..]].concat();
    let rows: Value = serde_json::from_str(&deployment.operator(&arguments)).unwrap();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| {
        (
            row["windows"].as_u64().unwrap(),
            row["spent"].as_f64().unwrap(),
        )
    })
    .collect()
}

/// Kills the operator at a point; returns the deployment after it has ended well, and what the ledger was at the kill.
fn killed_at(point: &str) -> (Deployment, Vec<u8>) {
    let deployment = Deployment::new();
    std::fs::write(deployment.folder.path().join("noise.toml"), SETTINGS).unwrap();
    let mut operator = deployment.start_to_die("operator", &CONFIG, point);
    let mut broker = deployment.start("broker", &[]);
    let mut analytics = deployment.start("analytics", &[]);
    let arguments = "--meters 40 --feeders 2 --speed 28800 --duration 8h";
    let mut meter = deployment.start("meter", &arguments.split(' ').collect::<Vec<_>>());
    assert!(!operator.ends().success(), "{}", operator.log());
    assert!(
        lines(&deployment).is_empty(),
        "before it is durable nothing leaves"
    );
    let ledger = find(deployment.folder.path(), "releases.redb").unwrap();
    let ledger = std::fs::read(ledger).unwrap();
    let mut operator = deployment.start("operator", &CONFIG);
    assert!(meter.ends().success(), "{}", meter.log());
    let all = || lines(&deployment).len() >= FEEDERS * WINDOWS;
    wait_for("all noisy totals", all, || operator.log());
    for process in [&mut analytics, &mut operator, &mut broker] {
        process.signal("TERM");
        assert_eq!(process.ends().code(), Some(0), "{}", process.log());
    }
    (deployment, ledger)
}

/// One noisy total of each window, paid for once.
fn assert_once(deployment: &Deployment, point: &str) {
    let mut windows: Vec<_> = lines(deployment)
        .iter()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                (&line["epsilon"], &line["shares"]),
                (&1.0.into(), &1.into())
            );
            (line["feeder"].to_string(), line["window_start"].as_u64())
        })
        .collect();
    windows.sort();
    windows.dedup();
    assert_eq!(windows.len(), FEEDERS * WINDOWS, "{point}");
    assert_eq!(lines(deployment).len(), FEEDERS * WINDOWS, "{point}");
    let four_hours = [(WINDOWS as u64, 4.0 * WINDOWS as f64); FEEDERS];
    assert_eq!(budget(deployment), four_hours, "{point}");
}

#[test]
fn killed_before_it_pays_it_pays_once() {
    let (deployment, ledger) = killed_at("operator.before_noise_paid");
    assert_once(&deployment, "before_noise_paid");
    let stored = lines(&deployment)
        .iter()
        .map(|line| stored(&ledger, line).len())
        .sum::<usize>();
    assert_eq!(stored, 0);
}

#[test]
fn killed_before_it_draws_it_has_paid_and_does_not_pay_again() {
    let (deployment, ledger) = killed_at("operator.after_noise_paid");
    assert_once(&deployment, "after_noise_paid");
    let stored = lines(&deployment)
        .iter()
        .map(|line| stored(&ledger, line).len())
        .sum::<usize>();
    assert_eq!(stored, 0);
}

#[test]
fn killed_when_noise_is_stored_it_publishes_that_and_draws_no_other() {
    let (deployment, ledger) = killed_at("operator.after_noise_stored");
    assert_once(&deployment, "after_noise_stored");
    let mut found = 0;
    for line in lines(&deployment) {
        for stored in stored(&ledger, &line) {
            assert_eq!(stored, line.as_bytes(), "drawn again");
            found += 1;
        }
    }
    assert!(found > 0, "nothing was stored at the kill");
}
