//! A point from its repeats.

use std::collections::BTreeMap;

use super::schema::{Cost, PointSpread, Repeat, Stage, StageName, Status};
use crate::ratio::{Spread, by_name};

/// Spread of the main figures over the repeats that are ok; `None` without any.
pub(crate) fn of(repeats: &[Repeat]) -> Option<PointSpread> {
    let ok = repeats.iter().filter(|repeat| repeat.status == Status::Ok);
    let ok: Vec<&Repeat> = ok.collect();
    let costs = ok.iter().filter_map(|repeat| repeat.cost.as_ref());
    let costs: Vec<&Cost> = costs.collect();
    let over = |of: fn(&Cost) -> f64| {
        let values: Vec<f64> = costs.iter().map(|cost| of(cost)).collect();
        Spread::of(&values)
    };
    let peaks = costs.iter().filter_map(|cost| cost.peak_rss_bytes);
    let peaks: Vec<f64> = peaks.map(|bytes| bytes as f64).collect();
    let errors = ok.iter().filter_map(|repeat| repeat.error);
    let errors: Vec<f64> = errors.map(|error| error.max_abs_wh).collect();
    Some(PointSpread {
        wall_s: over(|cost| cost.wall_s)?,
        reports_per_s: over(|cost| cost.reports_per_s)?,
        readings_per_s: over(|cost| cost.readings_per_s)?,
        cpu_us_per_report: over(|cost| cost.cpu_us_per_report)?,
        cpu_us_per_reading: over(|cost| cost.cpu_us_per_reading)?,
        bytes_per_report: over(|cost| cost.bytes_per_report)?,
        bytes_per_reading: over(|cost| cost.bytes_per_reading)?,
        peak_rss_bytes: Spread::of(&peaks),
        max_abs_error_wh: Spread::of(&errors)?,
        stage_p50_s: stages(&ok, |stage| stage.p50_s),
        stage_p99_s: stages(&ok, |stage| stage.p99_s),
    })
}

fn stages(repeats: &[&Repeat], of: fn(&Stage) -> f64) -> BTreeMap<StageName, Spread> {
    let stages = repeats.iter().flat_map(|repeat| &repeat.stages);
    by_name(stages.map(|stage| (stage.stage, of(stage))))
}
