//! What `doctor` checks of an evaluator's set-up.

use service::Settings;
use service::doctor::{Findings, Subject, Takes, Trusted};
use wire::{Topic, Topics};

/// The keys: those of signs, and of two epochs.
const MEMORY: u64 = 2_000 << 20;

/// One connection, the metrics endpoint with its visitors, the store.
const DESCRIPTORS: u64 = 64;

/// What an evaluator needs, and the checks that only it can make.
#[must_use]
pub fn subject(settings: &Settings) -> Subject {
    let folder = settings.deployment.state_dir.join(crate::NAME);
    let metrics = settings.evaluator.metrics_listen;
    let metrics = metrics.map(|address| ("evaluator.metrics_listen", address));
    let subscriptions = Topics::new(&settings.deployment.root).map(|topics| {
        vec![
            topics.plan(),
            topics.renewal(),
            topics.closed_sum_filter(),
            topics.sum_receipt_filter(),
            topics.of(&Topic::Comparison),
        ]
    });
    Subject {
        process: crate::NAME,
        secrets: vec![folder.join("signing.key"), folder.join("flood.key")],
        folder: Some(folder),
        listens: metrics.into_iter().collect(),
        client: true,
        subscriptions: subscriptions.unwrap_or_default(),
        takes: Takes::Plan,
        descriptors: DESCRIPTORS,
        memory: MEMORY,
        feed: None,
        examine,
    }
}

fn examine(settings: &Settings, trusted: &Trusted, findings: &mut Findings) {
    let dir = &settings.evaluator.keys_dir;
    match dir.join("keys.signed").exists() {
        true => findings.ok("evaluation keys", format!("{} has some", dir.display())),
        false => findings.fail(
            "evaluation keys",
            format!("{} has none", dir.display()),
            "run `operator evaluation-keys`, copy the folder that it names, and set evaluator.keys_dir to it",
        ),
    }
    let Some(held) = &trusted.plan else {
        return;
    };
    let mut rated: Vec<_> = held
        .plan
        .feeders
        .iter()
        .filter(|setting| setting.rating_wh.is_some())
        .collect();
    rated.dedup_by_key(|setting| &setting.feeder);
    match rated.len() {
        0 => findings.warn(
            "ratings",
            "no feeder of the plan has a rating, so there is nothing to compare".to_owned(),
            "the operator's plan.over_rating gives feeders one",
        ),
        feeders => findings.ok("ratings", format!("{feeders} feeders of the plan have one")),
    }
}
