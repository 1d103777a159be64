//! `analytics inspect` as a process.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

use analytics::store::{
    ContributorRow, FileStore, Limbs, Scope, Stage, Store, StoreFormat, SumKey, SumRow, Transaction,
};
use packed::layout::{Layout, Shape};
use packed::{ADDITIVE, Accumulator};
use wire::{Digest, Grid, KeyEpoch, Part, PlanVersion, Salt, UnixMillis, WindowStart};

fn inspect(state: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_analytics"));
    command
        .args([
            "--set",
            &format!("deployment.state_dir={}", state.display()),
        ])
        .arg("inspect")
        .args(arguments);
    command.output().unwrap()
}

/// A store with one open sum of two meters.
fn store(state: &Path) -> FileStore {
    let folder = service::files::state_folder(state, "analytics-1").unwrap();
    let mut store = FileStore::open(&folder.join("sums.redb"), &"dev".parse().unwrap()).unwrap();
    let shape = Shape::new(Layout::Profile, 4).unwrap();
    let grid = Grid::new(3600, 4).unwrap();
    let format = StoreFormat { shape, grid };
    store.load(&format, Scope::All, &mut drop).unwrap();
    let key = SumKey {
        feeder: "feeder-1".parse().unwrap(),
        window: WindowStart(1_393_804_800),
        part: Part(0),
    };
    let coefficients = shape.coefficients();
    let mut sum = Accumulator::new(&ADDITIVE, coefficients);
    let limbs = vec![0; ADDITIVE.packed_len(coefficients)];
    sum.add(&limbs).unwrap();
    sum.add(&limbs).unwrap();
    let row = SumRow {
        key: key.clone(),
        epoch: KeyEpoch(1),
        plan_version: PlanVersion(7),
        profile: &ADDITIVE,
        contributors: 2,
        sealed_at: (UnixMillis(1_393_819_201_000), UnixMillis(1_393_819_202_500)),
        stage: Stage::Open,
        replaces: None,
    };
    let contributor = |meter: &str, number, digest| ContributorRow {
        key: key.clone(),
        meter: meter.parse().unwrap(),
        number,
        salt: Salt([digest; 8]),
        digest: Digest([digest; 32]),
    };
    let transaction = Transaction {
        sums: vec![(row, Limbs::Changed(&sum))],
        contributors: vec![
            contributor("meter-a", 5, 0xab),
            contributor("meter-b", 2, 0xcd),
        ],
        times: vec![("feeder-1".parse().unwrap(), 1_393_819_200)],
        ..Transaction::default()
    };
    store.commit(&transaction).unwrap();
    store
}

#[test]
fn a_stopped_process_store_is_listed() {
    let state = tempfile::tempdir().unwrap();
    drop(store(state.path()));
    let table = inspect(state.path(), &[]);
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(table.status.success(), "{text}");
    assert!(table.stderr.is_empty(), "{:?}", table.stderr);
    for expected in [
        "additive",
        "profile",
        "4 × 3600 s",
        "2014-03-03T00:00:00Z",
        "open",
        "feeder-1",
    ] {
        assert!(text.contains(expected), "no {expected} in\n{text}");
    }
    assert!(!text.contains("meter-a"));

    let json = inspect(state.path(), &["--output", "json", "--contributors"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let sum = &value["sums"][0];
    assert_eq!(value["commits"], 1);
    assert_eq!(value["feeders"][0]["time"], 1_393_819_200);
    assert_eq!(sum["contributors"], 2);
    assert_eq!(sum["stage"], "open");
    assert_eq!(sum["plan_version"], 7);
    assert_eq!(sum["meters"][1]["meter"], "meter-b");
    assert_eq!(sum["meters"][1]["digest"], "cd".repeat(32));
    assert_eq!(sum["meters"][1]["salt"], "cd".repeat(8));
    assert_eq!(sum["meters"][1]["number"], 2);
    assert_eq!(sum["profile"], "additive");
    assert_eq!(value["layout"], "profile");
}

/// Of what is settled, its members are listed with the start of their digests.
#[test]
fn the_members_of_a_settled_sum_are_listed() {
    let state = tempfile::tempdir().unwrap();
    let mut running = store(state.path());
    let mut rows = Vec::new();
    let shape = Shape::new(Layout::Profile, 4).unwrap();
    let grid = Grid::new(3600, 4).unwrap();
    let format = StoreFormat { shape, grid };
    running
        .load(&format, Scope::All, &mut |row| rows.push(row))
        .unwrap();
    rows[0].stage = Stage::Settled;
    let settled = Transaction {
        sums: rows.into_iter().map(|row| (row, Limbs::Gone)).collect(),
        ..Transaction::default()
    };
    running.commit(&settled).unwrap();
    let seen = || {
        let json = inspect(state.path(), &["--output", "json", "--contributors"]);
        serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap()
    };
    let while_it_runs = seen();
    drop(running);
    for value in [while_it_runs, seen()] {
        let meter = &value["sums"][0]["meters"][1];
        assert_eq!(meter["meter"], "meter-b", "{value}");
        assert_eq!(meter["digest"], "cd".repeat(8));
        assert!(meter["number"].is_null() && meter["salt"].is_null());
        let tables = value["tables"].as_array().unwrap();
        let members = tables.iter().find(|line| line["table"] == "members");
        assert_eq!(members.unwrap()["rows"], 1);
    }
}

#[test]
fn a_store_that_is_missing_is_said_to_be_and_not_made() {
    let state = tempfile::tempdir().unwrap();
    let missing = inspect(state.path(), &[]);
    assert_eq!(missing.status.code(), Some(1));
    let text = String::from_utf8(missing.stderr).unwrap();
    assert!(text.contains("sums.redb"), "{text}");
    assert!(
        !state.path().join("analytics-1").exists(),
        "looking makes nothing"
    );
}

#[test]
fn the_store_of_a_running_process_is_listed_as_far_as_it_has_committed() {
    let state = tempfile::tempdir().unwrap();
    let mut running = store(state.path());
    let seen = || {
        let json = inspect(state.path(), &["--output", "json", "--contributors"]);
        assert!(json.status.success(), "{json:?}");
        serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap()
    };
    let value = seen();
    assert_eq!(value["commits"], 1);
    assert_eq!(value["sums"][0]["meters"][1]["meter"], "meter-b");

    // It goes on writing, whoever has looked.
    for time in [1_393_819_201, 1_393_819_202] {
        let transaction = Transaction {
            times: vec![("feeder-1".parse().unwrap(), time)],
            ..Transaction::default()
        };
        running.commit(&transaction).unwrap();
    }
    let value = seen();
    assert_eq!(value["commits"], 3);
    assert_eq!(value["feeders"][0]["time"], 1_393_819_202);

    // A second writer is refused still.
    let path = state.path().join("analytics-1/sums.redb");
    let second = FileStore::open(&path, &"dev".parse().unwrap());
    let error = second.unwrap_err().to_string();
    assert!(error.contains("in use by another process"), "{error}");
}

/// What a process has left in its file is neither passed over nor shown as what the database holds.
#[test]
fn with_a_database_a_file_that_is_there_is_named() {
    let state = tempfile::tempdir().unwrap();
    drop(store(state.path()));
    let analytics = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_analytics"));
        let folder = format!("deployment.state_dir={}", state.path().display());
        command.args(["--set", &folder, "--set", "analytics.store=postgres"]);
        command.args(["--set", "analytics.metrics_listen="]);
        let output = command.args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let text = analytics(&[]);
    assert!(
        text.contains("analytics-1/sums.redb") && text.contains("move the file away"),
        "{text}"
    );
    let text = analytics(&["inspect"]);
    assert!(text.contains("analytics.store"), "{text}");
    let file = state.path().join("analytics-1/sums.redb");
    let shown = inspect(state.path(), &[file.to_str().unwrap()]);
    assert!(shown.status.success(), "{shown:?}");
}
