//! `bench --sweep operation`: what each operation on encrypted readings costs, beside TenSEAL doing the same where it can.
//!
//! Everybody gets the same readings of real customers. Times are processor time of one thread, the median of some rounds; a result
//! counts only if it is near the truth.
//!
//! # Layout
//! * [`Operation`]: a row · [`additive`]: sums, in each layout · [`bills`]: bands of one customer · [`compared`]: one bit of a sum
//! * [`levelled`]: products, without masks · [`tenseal`]: the peer

mod additive;
mod bills;
mod compared;
mod levelled;
mod tenseal;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use harness::output::write_json;
use harness::usage::Usage;
use serde::Serialize;
use service::config::Settings;

use crate::output::{or_dash, table};
use crate::peers::work::Work;
use crate::ratio::Spread;

/// The operations, as `--values` names them.
pub(crate) const NAMES: [&str; 8] = [
    "sum",
    "maxima",
    "squares",
    "products",
    "histogram",
    "bills",
    "tariff",
    "comparison",
];

/// The readings of a report that the tariff is about.
const BAND: std::ops::Range<usize> = 28..80;

/// Reports in a round, and rounds.
#[derive(Debug, Clone, Copy)]
struct Size {
    reports: usize,
    rounds: usize,
}

/// One operation by one system.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Operation {
    pub(crate) operation: &'static str,
    pub(crate) system: &'static str,
    pub(crate) parameters: String,
    /// Encoding, encrypting and signing a report, in microseconds; none of what is computed on a sum of `sum`'s reports.
    pub(crate) client_us: Option<f64>,
    /// Of a report; none as above.
    pub(crate) bytes: Option<f64>,
    /// Verifying a report and adding what is computed from it, in microseconds; none as above.
    pub(crate) server_us: Option<f64>,
    /// From what was added to the answer, in milliseconds: decryption, and what is computed on the sum before.
    pub(crate) answer_ms: Option<f64>,
    /// What the server keeps of a sum, in bytes.
    pub(crate) sum_bytes: Option<usize>,
    /// Keys that the server computes with, in bytes.
    pub(crate) keys_bytes: usize,
    /// The most memory that its process had: of ours only where it is the only operation, since what earlier ones took would be in it.
    pub(crate) memory_bytes: Option<u64>,
    /// How far the answer is from the truth: the greatest difference over the greatest true value.
    pub(crate) error: f64,
    /// Whether that is within what the operation says of itself.
    pub(crate) right: bool,
}

/// All that were measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Operations {
    pub(crate) reports: usize,
    pub(crate) operations: Vec<Operation>,
    /// What could not be measured, and why.
    pub(crate) not_measured: Vec<String>,
    pub(crate) correct: bool,
}

/// Measures the operations that `names` names, or all.
///
/// # Errors
/// A name is none of them, or one of ours fails. A peer that cannot be run is said in the result.
pub(crate) async fn run(
    settings: &Settings,
    (names, quick): (&[String], bool),
    results: &Path,
) -> Result<Operations> {
    let names = named(names)?;
    let size = Size {
        reports: if quick { 20 } else { 100 },
        rounds: if quick { 3 } else { 10 },
    };
    let is_alone = names.len() == 1;
    let work = Work::real(size.reports * size.rounds)?;
    let mut run = Operations {
        reports: work.readings.len(),
        operations: Vec::new(),
        not_measured: Vec::new(),
        correct: true,
    };
    for name in names {
        eprintln!("measuring {name}");
        let (own, of) = (settings.clone(), work.clone());
        let measured = tokio::task::spawn_blocking(move || ours(&own, name, &of, size)).await?;
        run.operations.push(Operation {
            memory_bytes: Usage::now().peak_bytes.filter(|_| is_alone),
            ..measured.with_context(|| name.to_owned())?
        });
        if let Some(peer) = tenseal::peer(name) {
            match tenseal::measure((name, peer), &work, size).await {
                Ok(measured) => run.operations.push(measured),
                Err(error) => run
                    .not_measured
                    .push(format!("{name} by TenSEAL: {error:#}")),
            }
        }
    }
    run.correct = run.operations.iter().all(|operation| operation.right);
    write_json(results, "operations.json", &run)?;
    Ok(run)
}

/// What we have for an operation: by additions under masks, or by products without.
fn ours(settings: &Settings, name: &'static str, work: &Work, size: Size) -> Result<Operation> {
    if let Some(layout) = additive::layout(name) {
        return additive::measure(settings, (name, layout), work.clone(), size);
    }
    if let Some(product) = levelled::product(name) {
        return levelled::measure(settings, (name, product), work, size);
    }
    match name {
        "bills" => bills::measure(settings, work, size),
        _ => compared::measure(work, size),
    }
}

impl Operations {
    pub(crate) fn text(&self) -> String {
        let mut table = table(
            3,
            "operation|system|parameters|client µs|bytes|server µs|answer ms|sum kB|keys kB|memory MB|error|right",
        );
        for row in &self.operations {
            table.add_row([
                row.operation.to_owned(),
                row.system.to_owned(),
                row.parameters.clone(),
                or_dash(row.client_us, |us| format!("{us:.0}")),
                or_dash(row.bytes, |bytes| format!("{bytes:.0}")),
                or_dash(row.server_us, |us| format!("{us:.1}")),
                or_dash(row.answer_ms, |ms| format!("{ms:.2}")),
                or_dash(row.sum_bytes, |bytes| format!("{:.0}", bytes as f64 / 1e3)),
                format!("{:.0}", row.keys_bytes as f64 / 1e3),
                or_dash(row.memory_bytes, |bytes| {
                    format!("{:.1}", bytes as f64 / 1e6)
                }),
                format!("{:.1e}", row.error),
                if row.right { "yes" } else { "NO" }.to_owned(),
            ]);
        }
        let mut text = format!("{table}\n{} reports of 96 readings\n", self.reports);
        for line in &self.not_measured {
            text += &format!("not measured: {line}\n");
        }
        text
    }
}

/// The operations of these names; all if there is none.
///
/// # Errors
/// A name is none of them.
pub(crate) fn named(names: &[String]) -> Result<Vec<&'static str>> {
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!(
            "--values {unknown} of --sweep operation: expected some of {}",
            NAMES.join(", ")
        );
    }
    let wanted = |name: &&str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    Ok(NAMES.into_iter().filter(wanted).collect())
}

fn median(values: &[f64]) -> Result<f64> {
    let spread = Spread::of(values).context("no round was measured")?;
    Ok(spread.median)
}

/// The greatest difference over the greatest true value.
fn error(found: &[f64], truth: &[f64]) -> f64 {
    let greatest = truth.iter().map(|value| value.abs()).fold(0.0, f64::max);
    let pairs = found.iter().zip(truth);
    let off = pairs.map(|(found, truth)| (found - truth).abs());
    match found.len() == truth.len() && greatest > 0.0 {
        true => off.fold(0.0, f64::max) / greatest,
        false => f64::INFINITY,
    }
}
