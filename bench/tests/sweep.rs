//! `bench --sweep`, as a user starts it: the whole path at each point, and what is left behind.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};

use bench::results::schema::{Parameter, Run, StageName, Status};

fn sweep(results: &Path, arguments: &str) -> Output {
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
    for name in [
        "sweep.csv",
        "stages.csv",
        "analytics_results.json",
        "performance_metrics.json",
        "server_stats.json",
        "report.html",
    ] {
        assert!(
            entry.path().join(name).metadata().unwrap().len() > 0,
            "{name} is empty"
        );
    }
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_sweep_measures_every_stage_of_the_real_path_and_checks_every_window() {
    let folder = tempfile::tempdir().unwrap();
    let flags = "--sweep meters --values 2,5 --repeats 1 --quick --output json";
    let output = sweep(folder.path(), flags);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(
        errors.contains("1 sweep, 2 points, 1 repeat of each: about"),
        "no estimate in {errors}"
    );
    let run: Run = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(run, document(folder.path()));
    assert!(run.correct && run.failures.is_empty());
    assert_eq!(run.sweeps[0].parameter, Parameter::Meters);
    for (point, meters) in run.sweeps[0].points.iter().zip([2, 5]) {
        assert_eq!((point.status, point.settings.meters), (Status::Ok, meters));
        // Fewer than the plan's minimum: lowered for this point, and said so.
        assert_eq!(point.settings.min_meters, meters);
        assert!(
            point
                .settings
                .min_meters_lowered_from
                .is_some_and(|from| from > meters)
        );
        let repeat = &point.repeats[0];
        let cost = repeat.cost.as_ref().unwrap();
        assert_eq!(cost.reports, u64::from(meters * point.settings.windows));
        assert_eq!(
            cost.readings,
            cost.reports * u64::from(point.settings.batch)
        );
        assert!(
            cost.bytes_per_report > 27_000.0 && cost.cpu_us_per_report > 0.0 && cost.wall_s > 0.0
        );
        assert!(
            repeat
                .error
                .is_some_and(|error| error.intervals > 0 && error.max_abs_wh <= error.bound_wh)
        );
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
    let output = sweep(folder.path(), flags);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("WRONG: meters 2:") && text.contains("the truth is"),
        "{text}"
    );
    let run = document(folder.path());
    let status: Vec<Status> = run.sweeps[0]
        .points
        .iter()
        .map(|point| point.status)
        .collect();
    assert_eq!(status, [Status::Wrong, Status::Ok]);
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
        let output = sweep(folder.path(), arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(named), "{arguments:?}: {errors}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "a folder of results for nothing"
    );
}
