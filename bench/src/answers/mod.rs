//! `bench demo --answers`: every question of docs/answers.md on the demo's customers, each answer held against the truth.
//!
//! A run carries one layout, so several short ones are made, one after the other.
//!
//! # Layout
//! * [`Answers`]: what all came to · `areas`: transformers and a substation · `bills`: energy by tariff band
//! * `across`: percentiles and variance across a feeder's customers · `compared`: what the evaluator compares
//! * `levelled`: the variance and two bands again, by products without masks

mod across;
mod areas;
mod bills;
mod compared;
mod levelled;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use harness::scenario::{Options, Scenario, input_file};
use harness::{comparison, levelled as products};
use packed::layout::Layout;
use serde::Serialize;
use serde_json::Value;
use service::config::Settings;
use service::stop::Stop;

use crate::demo::{self, RunSummary};

/// One question, answered.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answer {
    /// The answer.
    pub(crate) value: Value,
    /// What the meters' own readings come to.
    pub(crate) truth: Value,
    /// How far the one is from the other, and how far it may be.
    pub(crate) error: Value,
    /// What it was computed with.
    pub(crate) parameters: Value,
    /// What it took.
    pub(crate) cost: Value,
    /// Whether it is as near to the truth as it is said to be.
    pub(crate) right: bool,
    /// One of the answers beside its truth, for people.
    #[serde(skip)]
    pub(crate) said: String,
}

/// All of them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answers {
    pub(crate) areas: Answer,
    pub(crate) overload: Answer,
    pub(crate) maximum: Answer,
    pub(crate) bills: Answer,
    pub(crate) percentiles: Answer,
    pub(crate) variance: Answer,
    pub(crate) levelled: Answer,
}

/// What every run here is made of.
struct Runs<'a> {
    settings: &'a Settings,
    options: &'a Options,
    results: &'a Path,
    limit: Duration,
    stop: Stop,
}

/// Asks all questions of the input that `options` name, with results in folders of `results`.
///
/// # Errors
/// A run does not come to its end within `limit`, or its settings do not fit the input.
pub(crate) async fn ask(
    settings: &Settings,
    options: &Options,
    (results, limit): (&Path, Duration),
    stop: Stop,
) -> Result<Answers> {
    let runs = Runs {
        settings,
        options,
        results,
        limit,
        stop,
    };
    let file = input_file(options.replay.as_deref())?;
    let own = settings.clone();
    let asked = tokio::task::spawn_blocking(move || -> Result<_> {
        Ok((
            comparison::demo::ask(&own, &file)?,
            products::ask(&own, &file)?,
        ))
    });
    let (asked, products) = asked.await??;
    Ok(Answers {
        areas: areas::areas(&runs).await?,
        overload: compared::overload(&asked),
        maximum: compared::maximum(&asked),
        bills: bills::bills(&runs).await?,
        percentiles: across::percentiles(&runs.in_layout(Layout::Histogram).await?),
        variance: across::variance(&runs.in_layout(Layout::Moments).await?),
        levelled: levelled::levelled(&products),
    })
}

impl Runs<'_> {
    /// The demo in another layout.
    async fn in_layout(&self, layout: Layout) -> Result<RunSummary> {
        let mut settings = self.settings.clone();
        settings.plan.layout = layout;
        // The default edges are for homes, and these are customers from shops to industry.
        settings.plan.histogram_edges = (0..12).map(|power| 1_000 << power).collect();
        self.demo(&settings, self.options, layout.as_str()).await
    }

    /// The demo with other settings, with results in a folder of this name.
    async fn demo(&self, settings: &Settings, options: &Options, name: &str) -> Result<RunSummary> {
        let mut scenario = Scenario::demo(settings, options)?;
        let results = std::path::absolute(self.results.join(name))?;
        std::fs::create_dir_all(&results)?;
        scenario.settings.operator.totals_file = results.join("totals.jsonl");
        demo::run(&scenario, &results, self.limit, self.stop.clone(), None).await
    }
}

impl Answers {
    fn each(&self) -> [(&'static str, &Answer); 7] {
        [
            ("areas", &self.areas),
            ("overload", &self.overload),
            ("maximum", &self.maximum),
            ("bills", &self.bills),
            ("percentiles", &self.percentiles),
            ("variance", &self.variance),
            ("levelled", &self.levelled),
        ]
    }

    /// The questions whose answers are wrong, in words.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let each = self.each().into_iter();
        let wrong = each.filter(|(_, answer)| !answer.right);
        wrong
            .map(|(question, answer)| {
                format!("{question}: {} is not near {}", answer.value, answer.truth)
            })
            .collect()
    }

    pub(crate) fn lines(&self) -> String {
        let line = |(question, answer): (&str, &Answer)| {
            let right = if answer.right { "right" } else { "WRONG" };
            format!("{question}: {right}: {}\n", answer.said)
        };
        self.each().into_iter().map(line).collect()
    }
}

/// What a run of the pipeline took, for an answer that it carries.
fn cost(run: &RunSummary) -> Value {
    serde_json::json!({
        "bytes_per_report": run.bytes_per_report.round(),
        "reports": run.reports_folded,
        "wall_s": (run.wall_s * 10.0).round() / 10.0,
    })
}
