//! What a comparison came to: the typed result and its JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::brokers;
use super::catalogue::{Entry, Precision};
use super::ours::Steps;
use super::process::{Measured, Opened};
use super::work::{BATCH, Work};
use crate::ratio::{Spread, figure};

/// A comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Rounds in which everything was measured in turn.
    pub rounds: usize,
    /// Reports of each in a round.
    pub reports_per_round: usize,
    /// Readings in a report.
    pub readings_per_report: usize,
    /// The power of two above every reading, in watt-hours.
    pub reference_wh: u64,
    /// What the reports are made of.
    pub input: String,
    /// Our own figures.
    pub ours: Ours,
    /// The others'.
    pub peers: Vec<Peer>,
    /// The brokers.
    pub brokers: brokers::Outcome,
    /// What is wrong, in words: a sum outside what its system promises.
    pub wrong: Vec<String>,
    /// Whether every sum that was measured is right.
    pub correct: bool,
    /// The results folder.
    pub results: PathBuf,
}

/// Our own figures, a report.
#[derive(Debug, Clone, Serialize)]
pub struct Ours {
    /// Encode, encrypt, pack. Processor time in microseconds, as all that follow.
    pub encrypt_us: Spread,
    /// Digest and signature.
    pub sign_us: Spread,
    /// Both: what a gateway spends.
    pub seal_us: Spread,
    /// Decode and verify.
    pub admit_us: Spread,
    /// The addition after it.
    pub fold_us: Spread,
    /// Both: what analytics spends before it commits.
    pub server_us: Spread,
    /// The addition alone, ciphertexts in the cache.
    pub fold_alone_us: Spread,
    /// A copy of the ciphertext, likewise.
    pub copy_us: Spread,
    /// The addition over the copy.
    pub fold_over_copy: Spread,
    /// Bytes of a message.
    pub bytes: f64,
    /// Greatest error of a total, in watt-hours.
    pub max_error_wh: f64,
    /// The error the noise allows, in watt-hours.
    pub bound_wh: f64,
    /// The greatest total, in watt-hours.
    pub greatest_total_wh: f64,
}

/// A peer, measured or not.
#[derive(Debug, Clone, Serialize)]
pub struct Peer {
    /// Its name on the command line.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// What it gives that we do not.
    pub gives: String,
    /// What we give that it does not.
    pub lacks: String,
    /// Version and parameters, by its own account.
    pub version: Option<String>,
    /// Its figures.
    pub figures: Option<Figures>,
    /// Why there are none.
    pub not_measured: Option<String>,
}

/// A peer's figures, a report.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Processor time of the client, in microseconds.
    pub client_us: Spread,
    /// Processor time of the server, or of both aggregators, in microseconds.
    pub server_us: Spread,
    /// The client's stages, in microseconds.
    pub client_stages_us: BTreeMap<String, Spread>,
    /// The server's.
    pub server_stages_us: BTreeMap<String, Spread>,
    /// Bytes that leave the client.
    pub bytes: f64,
    /// Greatest error of a total, in watt-hours.
    pub max_error_wh: f64,
    /// The greatest total it opened, in watt-hours.
    pub greatest_total_wh: f64,
    /// Reports' worth of work behind these figures.
    pub reports: f64,
    /// The same as ratios to ours.
    pub ratios: Ratios,
}

/// A peer's cost over ours, in the same round.
#[derive(Debug, Clone, Serialize)]
pub struct Ratios {
    /// Its client over our seal, signature included.
    pub client_over_seal: Spread,
    /// Its client over our encryption and packing.
    pub client_over_encrypt: Spread,
    /// Its bytes over ours.
    pub bytes: f64,
    /// Its server over our decoding, verification and addition.
    pub server_over_ours: Spread,
    /// Its server over our addition alone.
    pub server_over_fold: Spread,
}

impl Ours {
    /// From every round's steps and the opened sum.
    ///
    /// # Errors
    /// Where there was no round.
    pub fn new(steps: &[Steps], work: &Work, opened: &Opened, bound_wh: f64) -> Result<Self> {
        let (max_error_wh, greatest_total_wh) = error(work, opened);
        let us = |step: fn(&Steps) -> f64| {
            let values: Vec<f64> = steps.iter().map(|steps| step(steps) * 1e6).collect();
            Spread::of(&values).context("no rounds")
        };
        Ok(Self {
            encrypt_us: us(|steps| steps.encrypt)?,
            sign_us: us(|steps| steps.sign)?,
            seal_us: us(Steps::seal)?,
            admit_us: us(|steps| steps.admit)?,
            fold_us: us(|steps| steps.fold)?,
            server_us: us(Steps::server)?,
            fold_alone_us: us(|steps| steps.fold_alone)?,
            copy_us: us(|steps| steps.copy)?,
            fold_over_copy: us(|steps| steps.fold_alone / steps.copy / 1e6)?,
            bytes: us(|steps| steps.bytes / 1e6)?.median,
            max_error_wh,
            bound_wh,
            greatest_total_wh,
        })
    }
}

impl Figures {
    /// From a peer's rounds, ours in the same rounds, and the opened sum.
    ///
    /// # Errors
    /// Where the rounds do not match.
    pub fn new(rounds: &[Measured], ours: &[Steps], work: &Work, opened: &Opened) -> Result<Self> {
        let column = |value: fn(&Measured) -> f64| rounds.iter().map(value).collect::<Vec<_>>();
        let (client, server) = (column(Measured::client_us), column(Measured::server_us));
        let over = |values: &[f64], step: fn(&Steps) -> f64| {
            let bases: Vec<f64> = ours.iter().map(|steps| step(steps) * 1e6).collect();
            Spread::ratio(values, &bases).context("rounds without a figure")
        };
        let bytes = Spread::of(&column(|round| round.bytes as f64 / round.reports))
            .context("no rounds")?
            .median;
        let (max_error_wh, greatest_total_wh) = error(work, opened);
        Ok(Self {
            ratios: Ratios {
                client_over_seal: over(&client, Steps::seal)?,
                client_over_encrypt: over(&client, |steps| steps.encrypt)?,
                bytes: bytes / ours.first().map_or(1.0, |steps| steps.bytes),
                server_over_ours: over(&server, Steps::server)?,
                server_over_fold: over(&server, |steps| steps.fold_alone)?,
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
    let mut columns = BTreeMap::<String, Vec<f64>>::new();
    for round in rounds {
        for (stage, seconds) in side(round) {
            let us = seconds * 1e6 / round.reports;
            columns.entry(stage.clone()).or_default().push(us);
        }
    }
    columns
        .into_iter()
        .filter_map(|(stage, values)| Some((stage, Spread::of(&values)?)))
        .collect()
}

/// Greatest error of an opened sum and its greatest total, in watt-hours.
fn error(work: &Work, opened: &Opened) -> (f64, f64) {
    let truth = work.totals_wh(&opened.included, opened.totals_wh.len());
    let errors = truth.iter().zip(&opened.totals_wh);
    let worst = errors.fold(0.0, |worst: f64, (truth, total)| {
        // A total that is no number is as wrong as can be.
        let error = (total - *truth as f64).abs();
        worst.max(if error.is_finite() { error } else { f64::MAX })
    });
    let greatest = truth.iter().map(|total| total.unsigned_abs()).max();
    (worst, greatest.unwrap_or(0) as f64)
}

/// What is wrong with a peer's sum, if anything.
#[must_use]
pub fn fault(entry: &Entry, figures: &Figures, work: &Work, opened: &Opened) -> Option<String> {
    let allowed = match entry.precision {
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
            entry.title,
            figure(figures.max_error_wh),
            figure(allowed)
        )
    })
}

impl Outcome {
    /// Writes `peers.json`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, results: &Path) -> Result<()> {
        let path = results.join("peers.json");
        std::fs::write(&path, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Peer {
    /// A row with nothing in it yet.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        Self {
            name: entry.name.to_owned(),
            title: entry.title.to_owned(),
            gives: entry.gives.to_owned(),
            lacks: entry.lacks.to_owned(),
            version: None,
            figures: None,
            not_measured: None,
        }
    }
}

/// The words for [`Outcome::input`].
#[must_use]
pub fn input(reports: usize) -> String {
    format!(
        "the first {BATCH} hours of real customers of {}, {reports} reports",
        crate::scenario::UCI
    )
}

#[cfg(test)]
mod tests;
