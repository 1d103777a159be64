//! `operator ask budget`: what noisy totals gave away, and what is left.

use std::fmt::Write as _;

use serde::Serialize;
use service::Settings;
use wire::{FeederId, WindowStart};

use super::select::Selection;
use crate::commands::existing_folder;
use crate::print::{Output, utc};
use crate::publish::recipients::Recipients;
use crate::release::ledger;

/// A feeder in a period, serialised as `--output json` prints it.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    feeder: FeederId,
    /// When the period begins and ends, in seconds since the Unix epoch.
    from: u64,
    to: u64,
    /// Windows of which something was published.
    windows: usize,
    /// As ε.
    spent: f64,
    left: f64,
}

/// What each feeder gave away by noisy totals, period by period.
///
/// # Errors
/// The ledger cannot be read, or a recipient's ε is none.
pub fn budget(
    settings: &Settings,
    selection: &Selection,
    output: Output,
) -> anyhow::Result<String> {
    let recipients = Recipients::new(settings)?;
    let folder = existing_folder(settings)?;
    let state = ledger::state(&folder, &settings.deployment.id, false)?;
    let given = state.map(|state| state.given_away).unwrap_or_default();
    anyhow::ensure!(
        !given.is_empty() || !recipients.is_empty(),
        "nobody gets noisy totals: name recipients in publish.recipients"
    );
    let mut rows = Vec::new();
    for (feeder, windows) in given {
        let mut windows = windows.as_slice();
        while let [(window, _), ..] = windows {
            let budget = recipients.budget(&feeder, WindowStart(*window));
            let (of_period, later) = windows
                .split_at(windows.partition_point(|(window, _)| *window < budget.period.end));
            windows = later;
            let spent = of_period.iter().map(|(_, spent)| *spent);
            let spent = spent.fold(privacy::Spent::default(), |sum, spent| sum + spent);
            let is_asked = selection.has_feeder(&feeder)
                && of_period.iter().any(|(window, _)| selection.has(*window));
            if is_asked {
                rows.push(Row {
                    feeder: feeder.clone(),
                    from: budget.period.start,
                    to: budget.period.end,
                    windows: of_period.len(),
                    spent: spent.epsilon(budget.delta),
                    left: budget.left(&spent).max(0.0),
                });
            }
        }
    }
    Ok(match output {
        Output::Json => serde_json::to_string(&rows)? + "\n",
        Output::Table => table(&rows),
    })
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "feeder               period (UTC)               windows      spent ε       left ε\n",
    );
    for row in rows {
        let day = |at| utc(at, "%Y-%m-%d");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<20} {} to {}   {:>7} {:>12.3} {:>12.3}",
            row.feeder,
            day(row.from),
            day(row.to),
            row.windows,
            row.spent,
            row.left
        );
    }
    text
}
