//! Whether a run would notice: the same with a fault built in, which must fail.

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use service::config::Settings;
use service::stop::Stop;

use super::Options;
use super::serve::Role;
use super::summary::Summary;

/// Kills that are enough to lose or double something.
const KILLS: u32 = 12;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sabotage {
    /// Analytics does not recognise a report it has folded.
    Dedup,
    /// The gateway's journal forgets the reports that have no receipt.
    Journal,
}

impl Sabotage {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Dedup, Self::Journal];

    /// Its name, as the processes know it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dedup => "dedup",
            Self::Journal => "journal",
        }
    }

    /// Who is broken.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::Dedup => Role::Analytics,
            Self::Journal => Role::Meter,
        }
    }
}

/// A run with a fault built in.
#[derive(Debug, Serialize)]
pub struct Found {
    /// The fault.
    pub sabotage: Sabotage,
    /// Whether the ledgers show it: lost, duplicated or wrong windows; and, where analytics adds a report twice, sums that the
    /// operator could not open.
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
    for sabotage in Sabotage::ALL {
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
        let refused = verdict.sums_not_opened > 0 || sabotage != Sabotage::Dedup;
        let noticed = shown && refused;
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
