//! Feeders that nobody opens: real processes, an evaluator among them, that is killed while it compares, as the operator is. Every bit is
//! what the totals of the same meters say, and there are no totals.
//!
//! It takes a minute or two: the evaluation keys are real.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use e2e::processes::{Deployment, Process, wait_for};
use serde_json::Value;

/// Four intervals of an hour of three feeders with twenty meters each, the same in every deployment.
const SETTINGS: &str = r#"
[analytics]
grace = "1000days"
retention = "1000days"
idle_limit = "1h"
release_retry = "1s"
[meter]
start = "2025-01-06T00:00:00Z"
meters = 60
feeders = 3
retry_min = "200ms"
retry_max = "2s"
"#;
const WINDOW: &str = "2025-01-06T00:00:00Z";
const CONFIG: [&str; 2] = ["--config", "settings.toml"];

struct Scene {
    deployment: Deployment,
    _broker: Process,
}

impl Scene {
    fn start(plan: &str) -> Self {
        let deployment = Deployment::new();
        let settings = format!("[plan]\n{plan}\n{SETTINGS}");
        std::fs::write(deployment.folder.path().join("settings.toml"), settings).unwrap();
        Self {
            _broker: deployment.start("broker", &CONFIG),
            deployment,
        }
    }

    fn process(&self, name: &str, more: &[&str]) -> Process {
        self.deployment.start(name, &[&CONFIG, more].concat())
    }

    /// Reports a window.
    fn report(&self) {
        let mut meter = self.process("meter", &["--speed", "28800", "--duration", "4h"]);
        assert!(meter.ends().success(), "{}", meter.log());
    }

    fn ask(&self, question: &[&str]) -> String {
        self.deployment
            .operator(&[&CONFIG, &["--output", "json", "ask"][..], question].concat())
    }

    fn comparisons(&self) -> Vec<Value> {
        let path = self
            .deployment
            .folder
            .path()
            .join("totals.comparisons.jsonl");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// What each feeder consumed in each interval, in Wh.
fn opened() -> BTreeMap<String, Vec<i64>> {
    let scene = Scene::start("");
    let operator = scene.process("operator", &[]);
    let _analytics = scene.process("analytics", &[]);
    scene.report();
    let totals = || scene.deployment.totals();
    wait_for("three totals", || totals().len() == 3, || operator.log());
    let energies = |total: &Value| {
        total["energy_wh"]
            .as_array()
            .unwrap()
            .iter()
            .map(|wh| wh.as_i64().unwrap())
            .collect()
    };
    let named = |total: &Value| {
        (
            total["feeder"].as_str().unwrap().to_owned(),
            energies(total),
        )
    };
    totals().iter().map(named).collect()
}

#[test]
fn bits_are_what_totals_would_say_also_after_kills() {
    let truth = opened();
    let feeders: Vec<&String> = truth.keys().collect();
    // One far above what there is, one far below, one in the middle of it.
    let middle = truth[feeders[2]].iter().sum::<i64>() / 4;
    let plan = format!(
        r#"over_rating = ["{} = 100000", "{} = 1", "{} = {middle}"]"#,
        feeders[0], feeders[1], feeders[2]
    );
    let scene = Scene::start(&plan);
    scene
        .deployment
        .operator(&[&CONFIG, &["evaluation-keys"][..]].concat());
    let mut evaluator = scene.process("evaluator", &[]);
    evaluator.says("set operator.evaluator_key");
    let key = scene
        .deployment
        .folder
        .path()
        .join("state/evaluator/signing.pub");
    let key = format!(
        "operator.evaluator_key={}",
        std::fs::read_to_string(key).unwrap().trim()
    );
    let operator = scene.process("operator", &["--set", &key]);
    let _analytics = scene.process("analytics", &[]);
    evaluator.says("evaluation keys are ready");
    scene.report();

    // Both are killed once a comparison is asked for.
    operator.says("keys, plan and roster are ready");
    let is_asked =
        || evaluator.log().contains("comparison answered") || scene.comparisons().len() == 1;
    wait_for("an answer", is_asked, || operator.log() + &evaluator.log());
    evaluator.signal("KILL");
    evaluator.ends();
    drop(operator);
    let evaluator = scene.process("evaluator", &[]);
    let operator = scene.process("operator", &["--set", &key]);
    let log = || operator.log() + &evaluator.log();
    wait_for("every comparison", || scene.comparisons().len() >= 3, log);
    assert_eq!(scene.deployment.totals().len(), 0, "nothing is opened");

    held_against(&scene, &truth);
    let log = || operator.log() + &evaluator.log();
    order(&scene, &truth, &feeders, log);
    operator.says("is in another ranking of this window");
}

/// Every bit is right.
fn held_against(scene: &Scene, truth: &BTreeMap<String, Vec<i64>>) {
    for comparison in scene.comparisons() {
        let feeder = comparison["feeders"][0].as_str().unwrap();
        let rating = comparison["rating_wh"].as_i64().unwrap();
        let margin = comparison["margin_wh"].as_i64().unwrap();
        let over = comparison["found"]["over"].as_array().unwrap();
        assert_eq!(over.len(), 4);
        for (over, wh) in over.iter().zip(&truth[feeder]) {
            let near = (wh - rating).abs() <= margin;
            assert!(
                near || over.as_bool() == Some(*wh >= rating),
                "{comparison} {wh}"
            );
        }
    }
    let answer: Value = serde_json::from_str(&scene.ask(&["over-rating"])).unwrap();
    assert_eq!(answer["intervals"], 12, "{answer}");
}

/// An order is asked for and then there; another order of the same sums is refused.
fn order(
    scene: &Scene,
    truth: &BTreeMap<String, Vec<i64>>,
    feeders: &[&String],
    log: impl Fn() -> String,
) {
    let names = feeders
        .iter()
        .map(|feeder| feeder.as_str())
        .collect::<Vec<_>>()
        .join(",");
    let question = [
        "max",
        "--feeders",
        &names,
        "--window",
        WINDOW,
        "--interval",
        "0",
    ];
    assert!(scene.ask(&question).starts_with("asked"));
    wait_for("the order", || scene.comparisons().len() >= 4, log);
    let answer: Value = serde_json::from_str(&scene.ask(&question)).unwrap();
    let largest = answer["intervals"][0][1].as_str().unwrap();
    let margin = answer["margin_wh"].as_i64().unwrap();
    let most = truth.values().map(|wh| wh[0]).max().unwrap();
    assert!(truth[largest][0] + margin >= most, "{answer}");
    let other = format!("{},{}", feeders[0], feeders[1]);
    let question = ["max", "--feeders", &other, "--window", WINDOW];
    assert!(scene.ask(&question).starts_with("asked"));
}
