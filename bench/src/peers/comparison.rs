//! What a comparison came to: the typed result and its JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::brokers;
use super::catalogue::{Precision, System};
use super::ours::Steps;
use super::protocol::{Measured, Opened};
use super::work::{BATCH, Work};
use crate::ratio::{Spread, by_name, figure};

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    pub(crate) rounds: usize,
    pub(crate) reports_per_round: usize,
    pub(crate) readings_per_report: usize,
    pub(crate) reference_wh: u64,
    pub(crate) input: String,
    pub(crate) ours: Ours,
    pub(crate) peers: Vec<Peer>,
    pub(crate) brokers: brokers::BrokerComparison,
    /// What is wrong, in words: a sum outside what its system promises.
    pub(crate) wrong: Vec<String>,
    pub(crate) correct: bool,
    pub(crate) results: PathBuf,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ours {
    /// Every step of [`Steps`], in microseconds of processor time a report, under its name and `_us`.
    #[serde(flatten)]
    pub(crate) us: BTreeMap<String, Spread>,
    pub(crate) fold_over_copy: Spread,
    pub(crate) bytes: f64,
    pub(crate) ciphertext_bytes: f64,
    /// Whether the totals equal what was entered: readings in whole quanta, the rest carried to the next.
    pub(crate) exact: bool,
    pub(crate) quantum_wh: u64,
    /// Greatest difference from the readings themselves: what the meters still carry.
    pub(crate) max_error_wh: f64,
    pub(crate) greatest_total_wh: f64,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Peer {
    #[serde(flatten)]
    pub(crate) system: System,
    pub(crate) version: Option<String>,
    pub(crate) figures: Option<Figures>,
    pub(crate) not_measured: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    pub(crate) client_us: Spread,
    /// Processor time of the server, or of both aggregators, in microseconds.
    pub(crate) server_us: Spread,
    pub(crate) client_stages_us: BTreeMap<String, Spread>,
    pub(crate) server_stages_us: BTreeMap<String, Spread>,
    pub(crate) bytes: f64,
    pub(crate) max_error_wh: f64,
    pub(crate) greatest_total_wh: f64,
    /// Reports' worth of work behind these figures.
    pub(crate) reports: f64,
    pub(crate) ratios: Ratios,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ratios {
    /// Its client over our seal, signature included.
    pub(crate) client_over_seal: Spread,
    /// Its client over our encryption and packing.
    pub(crate) client_over_encrypt: Spread,
    pub(crate) bytes: f64,
    /// Its server over our decoding, verification and addition.
    pub(crate) server_over_ours: Spread,
    /// Its server over our addition alone.
    pub(crate) server_over_fold: Spread,
}

impl Ours {
    /// `opened` is the sum, in quanta of `quantum_wh`; nothing is in it where it was not exact.
    pub(crate) fn new(
        steps: &[Steps],
        work: &Work,
        opened: &Opened,
        quantum_wh: u64,
    ) -> Result<Self> {
        let (max_error_wh, greatest_total_wh) = error(work, opened);
        let column = |step: &str| -> Vec<f64> { steps.iter().map(|steps| steps[step]).collect() };
        let is_time = |step: &str| !step.ends_with("bytes");
        let each = steps.iter().flatten().filter(|(step, _)| is_time(step));
        let median = |step| Spread::of(&column(step)).context("no rounds");
        Ok(Self {
            us: by_name(each.map(|(step, seconds)| (format!("{step}_us"), seconds * 1e6))),
            fold_over_copy: Spread::ratio(&column("fold_alone"), &column("copy"))
                .context("no rounds")?,
            bytes: median("bytes")?.median,
            ciphertext_bytes: median("ciphertext_bytes")?.median,
            exact: !opened.totals_wh.is_empty(),
            quantum_wh,
            max_error_wh,
            greatest_total_wh,
        })
    }
}

impl Figures {
    /// From a peer's rounds, ours in the same rounds, and the opened sum.
    pub(crate) fn new(
        rounds: &[Measured],
        ours: &[Steps],
        work: &Work,
        opened: &Opened,
    ) -> Result<Self> {
        let column = |value: fn(&Measured) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
        let client = column(Measured::client_us);
        let server = column(Measured::server_us);
        let over = |values: &[f64], step: &str| {
            let bases: Vec<f64> = ours.iter().map(|steps| steps[step] * 1e6).collect();
            Spread::ratio(values, &bases).context("rounds without a figure")
        };
        let bytes = Spread::of(&column(|round| round.bytes as f64 / round.reports))
            .context("no rounds")?
            .median;
        let (max_error_wh, greatest_total_wh) = error(work, opened);
        Ok(Self {
            ratios: Ratios {
                client_over_seal: over(&client, "seal")?,
                client_over_encrypt: over(&client, "encrypt")?,
                bytes: bytes / ours.first().map_or(1.0, |steps| steps["bytes"]),
                server_over_ours: over(&server, "server")?,
                server_over_fold: over(&server, "fold_alone")?,
            },
            client_us: Spread::of(&client).context("no rounds")?,
            server_us: Spread::of(&server).context("no rounds")?,
            client_stages_us: stages(rounds, |round| &round.client),
            server_stages_us: stages(rounds, |round| &round.server),
            bytes,
            max_error_wh,
            greatest_total_wh,
            reports: rounds.iter().map(|round| round.reports).sum(),
        })
    }
}

fn stages(
    rounds: &[Measured],
    side: fn(&Measured) -> &BTreeMap<String, f64>,
) -> BTreeMap<String, Spread> {
    let of = |round: &Measured, seconds: f64| seconds * 1e6 / round.reports;
    let stages = rounds.iter().flat_map(|round| {
        let stages = side(round).iter();
        stages.map(move |(stage, seconds)| (stage.clone(), of(round, *seconds)))
    });
    by_name(stages)
}

/// Greatest error of an opened sum and its greatest total, in watt-hours.
fn error(work: &Work, opened: &Opened) -> (f64, f64) {
    let truth = work.totals_wh(&opened.included, opened.totals_wh.len());
    let errors = truth.iter().zip(&opened.totals_wh);
    let worst = errors.fold(0.0, |worst: f64, (truth, total)| {
        // A total that is not a number is as wrong as can be.
        let error = (total - *truth as f64).abs();
        worst.max(if error.is_finite() { error } else { f64::MAX })
    });
    let greatest = truth.iter().map(|total| total.unsigned_abs()).max();
    (worst, greatest.unwrap_or(0) as f64)
}

pub(crate) fn fault(
    system: &System,
    figures: &Figures,
    work: &Work,
    opened: &Opened,
) -> Option<String> {
    let allowed = match system.precision {
        Precision::Exact => 0.0,
        // Half a step for each of the readings in a total.
        Precision::Rounded => {
            opened.included.len() as f64 * (work.reference_wh as f64 / 65_536.0 / 2.0).max(0.5)
        }
        Precision::Share(share) => figures.greatest_total_wh * share,
    };
    let missing = opened.totals_wh.is_empty() || opened.included.is_empty();
    (missing || figures.max_error_wh > allowed).then(|| {
        format!(
            "{}: a total is off by {} Wh, more than {}",
            system.title,
            figure(figures.max_error_wh),
            figure(allowed)
        )
    })
}

pub(crate) fn input(reports: usize) -> String {
    format!(
        "the first {BATCH} hours of real customers of {}, {reports} reports",
        harness::scenario::UCI
    )
}

#[cfg(test)]
mod tests;
