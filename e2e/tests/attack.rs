//! `bench attack`, in small: attacks succeed without their safeguard and get nothing with it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use e2e::binaries;

fn attack(arguments: &[&str]) -> (bool, String) {
    let place = tempfile::tempdir().unwrap();
    let mut bench = Command::new(binaries().join("bench"));
    bench
        .current_dir(place.path())
        .arg("attack")
        .args(arguments);
    let output = bench.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), format!("{said}{errors}"))
}

#[test]
fn attacks_succeed_without_their_safeguard_and_get_nothing_with_it() {
    let only = "one-as-fifteen,late-household";
    let (is_right, said) = attack(&["--only", only, "--output", "json"]);
    assert!(is_right, "{said}");
    let summary: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    let attacks = summary["attacks"].as_array().unwrap();
    assert_eq!(attacks.len(), 2);
    for attack in attacks {
        for text in ["name", "coalition", "tries", "safeguard", "met"] {
            assert!(attack[text].is_string(), "{attack}");
        }
        let got = attack["got_without"].as_str().unwrap();
        assert!(got.contains("4 readings of"), "{attack}");
        assert!(attack["got_with"].is_null(), "{attack}");
    }
}

#[test]
fn an_attack_that_there_is_not_is_a_mistake_that_names_those_there_are() {
    let (is_right, said) = attack(&["--only", "earthquake"]);
    assert!(!is_right);
    assert!(
        said.contains("earthquake") && said.contains("late-household"),
        "{said}"
    );
}
