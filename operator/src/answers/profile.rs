//! `operator ask profile`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use service::Settings;
use wire::FeederId;

use super::demand::Demand;
use super::select::Selection;
use super::statistics::{At, Statistics};
use crate::print::{Output, utc};
use crate::release::report::FeederReport;

/// The answer, serialised as `--output json` prints it.
#[derive(Debug, Serialize)]
struct Profile {
    feeders: BTreeMap<FeederId, Statistics>,
    /// Of all these feeders, over the intervals that all of them have. Only if there are several.
    together: Option<Statistics>,
}

/// The profile of each feeder, and of all of them together.
///
/// # Errors
/// The totals cannot be read, have intervals of two lengths, or there are none.
pub fn profile(
    settings: &Settings,
    selection: &Selection,
    output: Output,
) -> anyhow::Result<String> {
    // The rest of an area is of no feeder.
    let of_feeders = |report: &anyhow::Result<FeederReport>| {
        report
            .as_ref()
            .map_or(true, |report| report.rest.is_empty())
    };
    let reports = selection.reports(settings)?.filter(of_feeders);
    let demands = Demand::of(selection, reports)?;
    let profile = Profile {
        together: (demands.len() > 1)
            .then(|| Statistics::together(demands.values()))
            .flatten(),
        feeders: demands
            .into_iter()
            .filter_map(|(feeder, demand)| Some((feeder, Statistics::of(&demand)?)))
            .collect(),
    };
    anyhow::ensure!(
        !profile.feeders.is_empty(),
        "{} has no total of these feeders in this time",
        settings.operator.totals_file.display()
    );
    Ok(match output {
        Output::Json => serde_json::to_string(&profile)? + "\n",
        Output::Table => profile.table(),
    })
}

impl Profile {
    fn table(&self) -> String {
        let mut text = format!(
            "{:<20} {:>8} {:>12} {:>10} {:>25} {:>25} {:>5} {:>8} {:>25} {:>25}\n",
            "feeder",
            "complete",
            "energy kWh",
            "mean kW",
            "peak kW, at (UTC)",
            "base kW, at",
            "LF",
            "ADMD kW",
            "rise kW, at",
            "fall kW, at"
        );
        for (feeder, statistics) in &self.feeders {
            text += &row(feeder.as_str(), statistics);
        }
        if let Some(together) = &self.together {
            text += &row("together", together);
            if let Some(factor) = together.diversity_factor {
                let _ = writeln!(text, "diversity factor of the feeders: {factor:.3}");
            }
        }
        for (feeder, statistics) in &self.feeders {
            if let Some(factor) = statistics.customers_diversity_factor {
                let _ = writeln!(
                    text,
                    "diversity factor of the customers of {feeder}: {factor:.2}"
                );
            }
        }
        let partial = self.feeders.values().filter(|of| of.completeness < 1.0);
        let partial = partial.count();
        if partial > 0 {
            let _ = writeln!(
                text,
                "{partial} feeders are not complete: readings are missing, or a part of a window is in no total, so their load was another"
            );
        }
        let without: u64 = self.feeders.values().map(|feeder| feeder.without).sum();
        if without > 0 {
            let _ = writeln!(
                text,
                "{without} intervals between the first and the last of a feeder have no energy: they are withheld, or in no total"
            );
        }
        text
    }
}

fn row(name: &str, of: &Statistics) -> String {
    let kw = |w: f64| format!("{:.3}", w / 1e3);
    let time = |at: &At| format!("{:.1} {}", at.w / 1e3, utc(at.at, "%Y-%m-%d %H:%M"));
    let or_dash = |at: &Option<At>| at.as_ref().map_or_else(|| "-".to_owned(), time);
    let factor = |factor: f64| format!("{factor:.2}");
    format!(
        "{name:<20} {:>8} {:>12.3} {:>10} {:>25} {:>25} {:>5} {:>8} {:>25} {:>25}\n",
        // Never rounded up to all.
        format!("{:.1} %", (of.completeness * 1e3).floor() / 10.0),
        of.energy_wh as f64 / 1e3,
        kw(of.average_w),
        time(&of.peak),
        time(&of.base),
        of.load_factor.map_or_else(|| "-".to_owned(), factor),
        kw(of.after_diversity_w),
        or_dash(&of.rise),
        or_dash(&of.fall),
    )
}
