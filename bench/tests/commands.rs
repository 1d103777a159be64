//! `bench --sweep`, `budget` and `--peers`, as a user starts them: what they measure, exit codes, and what is left behind.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn bench(results: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(arguments.split(' '))
        .arg("--results")
        .arg(results)
        .output()
        .unwrap()
}

/// The `run.json` that was left, beside files that are not empty.
fn document(folder: &Path) -> Value {
    let run = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    let text = std::fs::read(run.path().join("run.json")).unwrap();
    let names = "sweep.csv stages.csv analytics_results.json performance_metrics.json server_stats.json report.html";
    for name in names.split(' ') {
        let len = run.path().join(name).metadata().unwrap().len();
        assert!(len > 0, "{name} is empty");
    }
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn a_sweep_measures_every_stage_of_the_real_path_and_checks_every_window() {
    let folder = tempfile::tempdir().unwrap();
    let flags = "--sweep meters --values 2,5 --repeats 1 --quick --output json";
    let output = bench(folder.path(), flags);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let estimate = "1 sweep, 2 points, 1 repeat of each: about";
    assert!(errors.contains(estimate), "{errors}");
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run, document(folder.path()));
    assert_eq!(
        (&run["correct"], &run["failures"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(run["sweeps"][0]["parameter"], "meters");
    for (index, meters) in [2, 5].into_iter().enumerate() {
        let point = &run["sweeps"][0]["points"][index];
        let settings = &point["settings"];
        assert_eq!(
            (&point["status"], &settings["meters"]),
            (&json!("ok"), &json!(meters))
        );
        // Fewer than the plan's minimum: lowered for this point, and said so.
        assert_eq!(settings["min_meters"], meters);
        assert!(settings["min_meters_lowered_from"].as_u64() > Some(meters));
        measured(&point["repeats"][0], settings);
    }
}

fn measured(repeat: &Value, settings: &Value) {
    let figure = |of: &Value, name: &str| {
        of[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name} in {of}"))
    };
    let cost = |name: &str| figure(&repeat["cost"], name);
    let reports = figure(settings, "meters") * figure(settings, "windows");
    assert_eq!(cost("reports"), reports);
    assert_eq!(cost("readings"), reports * figure(settings, "batch"));
    assert!((10_000.0..14_000.0).contains(&cost("bytes_per_report")));
    assert!(cost("cpu_us_per_report") > 0.0 && cost("wall_s") > 0.0);
    let error = |name: &str| figure(&repeat["error"], name);
    assert!(error("intervals") > 0.0 && error("quantum_wh") >= 1.0);
    assert_eq!(
        (error("max_abs_wh"), &repeat["error"]["exact"]),
        (0.0, &json!(true))
    );
    let count = |name: &str| {
        let mut stages = repeat["stages"].as_array().unwrap().iter();
        let stage = stages.find(|stage| stage["stage"] == name);
        stage.map_or(0.0, |stage| figure(stage, "count"))
    };
    for stage in ["encode", "encrypt", "sign", "seal"] {
        assert_eq!(count(stage), reports, "{stage}");
    }
    for stage in ["publish_to_receipt", "verify", "fold"] {
        assert!(count(stage) >= reports, "{stage}");
    }
    for stage in ["release", "decrypt", "end_to_end"] {
        assert_eq!(count(stage), cost("windows_released"), "{stage}");
    }
    assert!(count("commit") > 0.0);
}

#[test]
fn a_wrong_total_is_found_shown_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let flags = "--sweep meters --values 2,5 --quick --shift-truth";
    let output = bench(folder.path(), flags);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("WRONG: meters 2:"), "{text}");
    assert!(text.contains("the truth is"), "{text}");
    let run = document(folder.path());
    let points = &run["sweeps"][0]["points"];
    assert_eq!(
        (&points[0]["status"], &points[1]["status"]),
        (&json!("wrong"), &json!("ok"))
    );
    assert_eq!(run["correct"], false);
}

#[test]
fn a_local_day_of_a_file_is_one_window_where_the_plan_has_its_time_zone() {
    let folder = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../lib/readings/tests/cases/local-day.csv")
        .display()
        .to_string();
    let demo = |more: &str| {
        let flags = format!(
            "demo --replay {file} --feeders 1 --output json --no-live --set meter.time_zone=Europe/Berlin \
             --set plan.min_meters=2 --set meter.min_meters_floor=2 --set analytics.min_meters_floor=2{more}"
        );
        let output = bench(folder.path(), &flags);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{errors}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let of = |run: &Value| {
        let file = &run["file"];
        [
            run["windows"].clone(),
            run["readings_missing"].clone(),
            file["before_first_window"].clone(),
            file["released_wh"].clone(),
        ]
    };
    let days = demo(" --set plan.time_zone=Europe/Berlin");
    assert_eq!(of(&days), [1, 0, 0, 53_293].map(Value::from));
    // In UTC, the hour before midnight is of the window before, and missing in this one.
    let cut = demo("");
    assert_eq!(of(&cut)[..3], [1, 4, 4].map(Value::from));
    assert_eq!(cut["correct"], true);
}

#[test]
fn what_makes_no_sense_is_a_usage_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, named) in [
        ("--sweep meters,batch --values 2", "--values"),
        ("--sweep meters --values 1", "--values 1 of --sweep meters"),
        ("--sweep colour", "colour"),
        ("--values 2", "--sweep"),
        ("--sweep meters demo", "no command"),
        ("--sweep meters --repeats 0", "--repeats"),
        ("budget --rows speed", "speed"),
        ("budget --limit bytes=many", "many"),
        ("--peers=nobody", "nobody"),
    ] {
        let output = bench(folder.path(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(named), "{arguments:?}: {errors}");
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "a folder of results for nothing");
}

#[test]
fn a_row_that_misses_its_limit_ends_with_code_3() {
    let results = tempfile::tempdir().unwrap();
    let bytes = "budget --rows bytes --quick --output json";
    let met = bench(results.path(), bytes);
    assert_eq!(met.status.code(), Some(0), "{met:?}");
    let outcome: Value = serde_json::from_slice(&met.stdout).unwrap();
    assert_eq!(outcome["met"], true);
    assert_eq!(outcome["rows"][0]["row"], "bytes");
    let value = outcome["rows"][0]["value"]["median"].as_f64().unwrap();
    assert!((11_788.0..=12_100.0).contains(&value), "{value}");
    let written = Path::new(outcome["results"].as_str().unwrap()).join("budget.json");
    let written: Value = serde_json::from_slice(&std::fs::read(written).unwrap()).unwrap();
    assert_eq!(written, outcome);

    let missed = bench(results.path(), &format!("{bytes} --limit bytes=11000"));
    assert_eq!(missed.status.code(), Some(3), "{missed:?}");
    let outcome: Value = serde_json::from_slice(&missed.stdout).unwrap();
    assert_eq!(outcome["missed"], json!(["bytes"]));
}
