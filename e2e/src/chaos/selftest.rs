//! Whether a run would notice: the same with a fault built in, which must fail.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use service::config::Settings;
use service::stop::Stop;

use super::Options;
use super::sabotage::Sabotage;
use super::summary::Summary;

/// Kills that are enough to lose or double something.
const KILLS: u32 = 12;

/// Those that a run can be broken by.
fn all(options: &Options) -> &'static [Sabotage] {
    match options.sharing.analytics {
        1 => &[Sabotage::Dedup, Sabotage::Journal],
        _ => &[Sabotage::Dedup, Sabotage::Journal, Sabotage::Fence],
    }
}

/// A run with a fault built in.
#[derive(Debug, Serialize)]
pub struct Found {
    /// The fault.
    pub sabotage: Sabotage,
    /// Whether the ledgers show it: lost, duplicated or wrong windows; where analytics adds a report twice, sums that the
    /// operator could not open too; and without fences, a process that finds what is stored damaged.
    pub noticed: bool,
    /// What the run came to.
    pub outcome: Summary,
}

/// One run for each fault.
///
/// # Errors
/// As [`super::run`].
pub async fn run(
    base: &Settings,
    options: &Options,
    results: &Path,
    stop: Stop,
) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for &sabotage in all(options) {
        let folder = results.join(sabotage.name());
        std::fs::create_dir_all(&folder)?;
        let options = Options {
            kills: options.kills.min(KILLS),
            sabotage: Some(sabotage),
            ..options.clone()
        };
        let outcome = super::run(base, &options, &folder, stop.clone()).await?;
        let verdict = &outcome.verdict;
        let shown = verdict.lost + verdict.duplicated + verdict.windows_wrong as u64 > 0;
        let noticed = match sabotage {
            Sabotage::Dedup => shown && verdict.sums_not_opened > 0,
            Sabotage::Journal => shown,
            // What two wrote is damaged, which ends whoever reads it.
            Sabotage::Fence => {
                shown
                    || verdict
                        .wrong
                        .iter()
                        .any(|wrong| wrong.starts_with("analytics") && wrong.contains(" ended "))
            }
        };
        found.push(Found {
            sabotage,
            noticed,
            outcome,
        });
    }
    Ok(found)
}

/// What was found, for people.
#[must_use]
pub fn table(found: &[Found]) -> String {
    let line = |found: &Found| {
        let verdict = &found.outcome.verdict;
        format!(
            "{} left out: {} ({} lost, {} duplicated, {} windows wrong, {} sums not opened)\n",
            found.sabotage.name(),
            if found.noticed {
                "noticed"
            } else {
                "NOT NOTICED"
            },
            verdict.lost,
            verdict.duplicated,
            verdict.windows_wrong,
            verdict.sums_not_opened,
        )
    };
    found.iter().map(line).collect()
}
