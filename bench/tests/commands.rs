//! `bench --sweep`, `budget` and `--peers`, as a user starts them: what they measure, exit codes, and what is left behind.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

use bench::results::schema::{Parameter, Run, StageName, Status};
use serde_json::Value;

fn bench(results: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(arguments.split(' '))
        .arg("--results")
        .arg(results)
        .output()
        .unwrap()
}

fn document(folder: &Path) -> Run {
    let entry = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    let text = std::fs::read_to_string(entry.path().join("run.json")).unwrap();
    let names = "sweep.csv stages.csv analytics_results.json performance_metrics.json server_stats.json report.html";
    for name in names.split(' ') {
        let len = entry.path().join(name).metadata().unwrap().len();
        assert!(len > 0, "{name} is empty");
    }
    serde_json::from_str(&text).unwrap()
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
    let run: Run = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run, document(folder.path()));
    assert!(run.correct && run.failures.is_empty());
    assert_eq!(run.sweeps[0].parameter, Parameter::Meters);
    for (point, meters) in run.sweeps[0].points.iter().zip([2, 5]) {
        assert_eq!((point.status, point.settings.meters), (Status::Ok, meters));
        // Fewer than the plan's minimum: lowered for this point, and said so.
        assert_eq!(point.settings.min_meters, meters);
        let from = point.settings.min_meters_lowered_from;
        assert!(from.is_some_and(|from| from > meters));
        let repeat = &point.repeats[0];
        let cost = repeat.cost.as_ref().unwrap();
        assert_eq!(cost.reports, u64::from(meters * point.settings.windows));
        let batch = u64::from(point.settings.batch);
        assert_eq!(cost.readings, cost.reports * batch);
        assert!(cost.bytes_per_report > 27_000.0);
        assert!(cost.cpu_us_per_report > 0.0 && cost.wall_s > 0.0);
        let error = repeat.error.unwrap();
        assert!(error.intervals > 0 && error.max_abs_wh <= error.bound_wh);
        use StageName::*;
        let count = |name| {
            let mut stages = repeat.stages.iter();
            let stage = stages.find(|stage| stage.stage == name);
            stage.map_or(0, |stage| stage.count)
        };
        for stage in [Encode, Encrypt, Pack, Sign, Seal] {
            assert_eq!(count(stage), cost.reports, "{stage:?}");
        }
        for stage in [PublishToReceipt, Verify, Fold] {
            assert!(count(stage) >= cost.reports, "{stage:?}");
        }
        for stage in [Release, Decrypt, EndToEnd] {
            assert_eq!(count(stage), cost.windows_released as u64, "{stage:?}");
        }
        assert!(count(Commit) > 0);
    }
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
    let status = run.sweeps[0].points.iter().map(|point| point.status);
    assert!(status.eq([Status::Wrong, Status::Ok]));
    assert!(!run.correct);
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
    assert!((27_136.0..=27_500.0).contains(&value), "{value}");
    let written = Path::new(outcome["results"].as_str().unwrap()).join("budget.json");
    let written: Value = serde_json::from_slice(&std::fs::read(written).unwrap()).unwrap();
    assert_eq!(written, outcome);

    let missed = bench(results.path(), &format!("{bytes} --limit bytes=27000"));
    assert_eq!(missed.status.code(), Some(3), "{missed:?}");
    let outcome: Value = serde_json::from_slice(&missed.stdout).unwrap();
    assert_eq!(outcome["missed"], serde_json::json!(["bytes"]));
}

#[test]
fn what_does_not_exist_is_a_mistake_of_usage() {
    let results = tempfile::tempdir().unwrap();
    for arguments in [
        "budget --rows speed",
        "budget --limit bytes=many",
        "--peers=nobody",
    ] {
        let output = bench(results.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}
