//! Sums in each layout, by our own parts: exact, or as near as what each meter enters allows.

use anyhow::Result;
use packed::RING;
use packed::layout::{Entered, Layout, Totals};
use service::config::Settings;

use super::{Operation, Size, error, median};
use crate::peers::ours::Ours;
use crate::peers::work::Work;
use harness::usage::thread_time;

/// How often a sum is opened.
const OPENED: usize = 10;

/// The layout that carries an operation.
pub(super) fn layout(operation: &str) -> Option<Layout> {
    match operation {
        "sum" => Some(Layout::Profile),
        "maxima" => Some(Layout::Maxima),
        "squares" => Some(Layout::Moments),
        "histogram" => Some(Layout::Histogram),
        _ => None,
    }
}

pub(super) fn measure(
    settings: &Settings,
    (operation, layout): (&'static str, Layout),
    work: Work,
    size: Size,
) -> Result<Operation> {
    let mut ours = Ours::new(settings, &Work { layout, ..work }, None)?;
    let (mut client, mut server, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..size.rounds {
        let first = round * size.reports;
        let reports: Vec<usize> = (first..first + size.reports).collect();
        let steps = ours.round(&reports)?;
        client.push(steps["seal"] * 1e6);
        server.push(steps["server"] * 1e6);
        bytes.push(steps["bytes"]);
    }
    let packed = ours.packed_sum();
    let mut answers = Vec::with_capacity(OPENED);
    for _ in 0..OPENED {
        let began = thread_time();
        let totals = ours.open(&packed, &ours.pads())?;
        answers.push(((thread_time() - began).as_secs_f64() * 1e3, totals));
    }
    let times: Vec<f64> = answers.iter().map(|(ms, _)| *ms).collect();
    let (_, totals) = answers.swap_remove(0);
    let entered: Vec<&[Option<Entered>]> = ours.entered().collect();
    let (found, truth) = both(&totals, &entered, ours.encoding().shape.edges().wh());
    let error = error(&found, &truth);
    let coefficients = ours.encoding().shape.coefficients();
    Ok(Operation {
        operation,
        system: "Cipherwatt",
        parameters: format!(
            "{} {}, quantum {} Wh",
            ours.encoding().profile.name,
            layout,
            ours.quantum_wh()
        ),
        client_us: Some(median(&client)?),
        bytes: Some(median(&bytes)?),
        server_us: Some(median(&server)?),
        answer_ms: Some(median(&times)?),
        // A word for each coefficient that is added.
        sum_bytes: Some(8 * (RING.dimension + coefficients)),
        keys_bytes: 0,
        memory_bytes: None,
        // Squares are entered in whole units, with the rest carried on within the report.
        right: error == 0.0 || layout == Layout::Moments && error < 1e-3,
        error,
    })
}

/// What the operation is about: as opened, and as entered.
fn both(totals: &Totals, entered: &[&[Option<Entered>]], edges_wh: &[u64]) -> (Vec<f64>, Vec<f64>) {
    let batch = totals.energy_wh.len();
    let at = |k: usize| entered.iter().filter_map(move |report| Some(report[k]?.wh));
    let sums = |of: fn(i64) -> f64| (0..batch).map(|k| at(k).map(of).sum()).collect();
    if let Some(maxima) = totals.maxima_wh {
        let greatest =
            |report: &&[Option<Entered>]| report.iter().flatten().map(|one| one.wh).max();
        let truth: i64 = entered.iter().filter_map(greatest).sum();
        return (vec![maxima as f64], vec![truth as f64]);
    }
    if let Some(squares) = &totals.squares_wh2 {
        let found = squares.iter().map(|square| *square as f64).collect();
        return (found, sums(|wh| (wh as f64).powi(2)));
    }
    if let Some(bins) = &totals.bins {
        let count = |k: usize| {
            let mut counts = vec![0.0; edges_wh.len() + 3];
            for wh in at(k) {
                let above = edges_wh.iter().filter(|edge| wh > **edge as i64).count();
                counts[usize::from(wh >= 0) + usize::from(wh > 0) + above] += 1.0;
            }
            counts
        };
        let found = bins.iter().flatten().map(|count| f64::from(*count));
        return (found.collect(), (0..batch).flat_map(count).collect());
    }
    let found = totals.energy_wh.iter().map(|wh| *wh as f64).collect();
    (found, sums(|wh| wh as f64))
}
