//! The command line of the budget and of the peers: exit codes and what is written.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str], results: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(arguments)
        .arg("--results")
        .arg(results)
        .output()
        .unwrap()
}

#[test]
fn a_row_that_misses_its_limit_ends_with_code_3() {
    let results = tempfile::tempdir().unwrap();
    let bytes = ["budget", "--rows", "bytes", "--quick", "--output", "json"];
    let met = bench(&bytes, results.path());
    assert_eq!(met.status.code(), Some(0), "{met:?}");
    let outcome: Value = serde_json::from_slice(&met.stdout).unwrap();
    assert_eq!(outcome["met"], true);
    assert_eq!(outcome["rows"][0]["row"], "bytes");
    let value = outcome["rows"][0]["value"]["median"].as_f64().unwrap();
    assert!((27_136.0..=27_500.0).contains(&value), "{value}");
    let written = Path::new(outcome["results"].as_str().unwrap()).join("budget.json");
    let written: Value = serde_json::from_slice(&std::fs::read(written).unwrap()).unwrap();
    assert_eq!(written, outcome);

    let missed = bench(
        &[&bytes[..], &["--limit", "bytes=27000"]].concat(),
        results.path(),
    );
    assert_eq!(missed.status.code(), Some(3), "{missed:?}");
    let outcome: Value = serde_json::from_slice(&missed.stdout).unwrap();
    assert_eq!(outcome["missed"], serde_json::json!(["bytes"]));
}

#[test]
fn what_does_not_exist_is_a_mistake_of_usage() {
    let results = tempfile::tempdir().unwrap();
    for arguments in [
        &["budget", "--rows", "speed"][..],
        &["budget", "--limit", "bytes=many"],
        &["--peers=nobody"],
    ] {
        let output = bench(arguments, results.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}
