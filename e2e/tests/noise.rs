//! The operator killed at each point of publishing, and a holder that adds noise at each point of that: nothing is spent twice, and no noise is drawn twice.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use e2e::processes::{Deployment, Process, wait_for};
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

/// A gateway of two windows.
const METER: [&str; 8] = [
    "--meters",
    "40",
    "--feeders",
    "2",
    "--speed",
    "28800",
    "--duration",
    "8h",
];

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
    let broker = deployment.start("broker", &[]);
    let analytics = deployment.start("analytics", &[]);
    let meter = deployment.start("meter", &METER);
    assert!(!operator.ends().success(), "{}", operator.log());
    assert!(
        lines(&deployment).is_empty(),
        "before it is durable nothing leaves"
    );
    let ledger = find(deployment.folder.path(), "releases.redb").unwrap();
    let ledger = std::fs::read(ledger).unwrap();
    let operator = deployment.start("operator", &CONFIG);
    ends_well(&deployment, meter, vec![operator, analytics, broker]);
    (deployment, ledger)
}

/// The gateway ends, all noisy totals come, and the others stop, of whom the first is the operator.
fn ends_well(deployment: &Deployment, mut meter: Process, mut others: Vec<Process>) {
    assert!(meter.ends().success(), "{}", meter.log());
    let all = || lines(deployment).len() >= FEEDERS * WINDOWS;
    wait_for("all noisy totals", all, || others[0].log());
    for process in &mut others {
        process.signal("TERM");
        assert_eq!(process.ends().code(), Some(0), "{}", process.log());
    }
}

/// One noisy total of each window, of so many draws, paid for once.
fn assert_once(deployment: &Deployment, shares: usize) {
    let mut windows: Vec<_> = lines(deployment)
        .iter()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                (&line["epsilon"], &line["shares"]),
                (&1.0.into(), &shares.into())
            );
            (line["feeder"].to_string(), line["window_start"].as_u64())
        })
        .collect();
    windows.sort();
    windows.dedup();
    assert_eq!(windows.len(), FEEDERS * WINDOWS);
    assert_eq!(lines(deployment).len(), FEEDERS * WINDOWS);
    let four_hours = [(WINDOWS as u64, 4.0 * WINDOWS as f64); FEEDERS];
    assert_eq!(budget(deployment), four_hours);
}

/// The operator is killed at a point; how many of the noisy totals were stored by then, each as it was published.
fn stored_when_killed_at(point: &str) -> usize {
    let (deployment, ledger) = killed_at(point);
    assert_once(&deployment, 1);
    let mut found = 0;
    for line in lines(&deployment) {
        for stored in stored(&ledger, &line) {
            assert_eq!(stored, line.as_bytes(), "drawn again");
            found += 1;
        }
    }
    found
}

#[test]
fn killed_before_it_pays_it_pays_once() {
    assert_eq!(stored_when_killed_at("operator.before_noise_paid"), 0);
}

#[test]
fn killed_before_it_draws_it_has_paid_and_does_not_pay_again() {
    assert_eq!(stored_when_killed_at("operator.after_noise_paid"), 0);
}

#[test]
fn killed_when_noise_is_stored_it_publishes_that_and_draws_no_other() {
    let stored = stored_when_killed_at("operator.after_noise_stored");
    assert!(stored > 0, "nothing was stored at the kill");
}

const HOLDERS: [&str; 3] = ["a", "b", "c"];

/// Holders add the noise, and their budget is just what the windows take: a window that is paid for twice leaves too little for the next.
/// Each stream's masks come from two of them, whose noise the operator compares.
fn a_holder_killed_at(point: &str) {
    let deployment = Deployment::new();
    let budget = (4 * WINDOWS).to_string();
    let noise = ["--noise-epsilon", "1", "--noise-budget", &budget];
    let holders = deployment.agree(&HOLDERS, &noise);
    let settings = format!("{SETTINGS}\n{holders}");
    std::fs::write(deployment.folder.path().join("noise.toml"), settings).unwrap();
    let own = HOLDERS.map(|id| format!("holder.id={id}"));
    let arguments = |place: usize| [&CONFIG[..], &["--set", &own[place]]].concat();
    let broker = deployment.start("broker", &[]);
    let operator = deployment.start("operator", &CONFIG);
    let mut dying = deployment.start_to_die("holder", &arguments(0), point);
    let start = |place: usize| deployment.start_as(&own[place], "holder", &arguments(place));
    let [second, third] = [start(1), start(2)];
    let analytics = deployment.start("analytics", &CONFIG);
    let meter = deployment.start("meter", &[&METER[..], &CONFIG].concat());
    assert!(!dying.ends().success(), "{}", dying.log());
    assert!(
        lines(&deployment).is_empty(),
        "without its answer there is no total"
    );
    let first = start(0);
    let all = vec![operator, first, second, third, analytics, broker];
    ends_well(&deployment, meter, all);
    assert_once(&deployment, HOLDERS.len());
    let log = std::fs::read_to_string(deployment.folder.path().join("operator.log")).unwrap();
    assert!(!log.contains("different masks"), "drawn again: {log}");
    for total in deployment.totals() {
        let is_of = |line: &Value| {
            ["feeder", "window_start"]
                .iter()
                .all(|key| line[*key] == total[*key])
        };
        let lines = lines(&deployment).into_iter();
        let mut lines = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
        let line = lines.find(is_of).unwrap();
        assert_eq!(line["energy_wh"], total["energy_wh"], "one draw for all");
    }
}

#[test]
fn a_holder_killed_when_its_consent_is_durable_has_spent_once_and_adds_the_noise_that_it_would_have()
 {
    a_holder_killed_at("holder.after_consent");
}

#[test]
fn a_holder_killed_when_it_has_drawn_its_noise_and_said_nothing_draws_the_same_again() {
    a_holder_killed_at("holder.after_answer");
}
