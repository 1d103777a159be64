//! What was decrypted of a feeder or an area: only where `operator.export_load` says so.

use std::cmp::Ordering;
use std::collections::HashMap;

use metrics::{describe_gauge, gauge};
use wire::{AreaId, WindowStart};

use crate::release::histogram::{Bracket, Histogram};
use crate::release::report::FeederReport;

pub(super) const LOAD: &str = "cipherwatt_operator_feeder_load_watts";
pub(super) const LOAD_FACTOR: &str = "cipherwatt_operator_feeder_load_factor_ratio";
const QUANTUM: &str = "cipherwatt_operator_feeder_quantum_watts";
pub(super) const PERCENTILE: &str = "cipherwatt_operator_feeder_quantile_watts";

pub(super) const AREA_LOAD: &str = "cipherwatt_operator_area_load_watts";

/// The newest interval of each area, over all that is released of it.
#[derive(Debug, Default)]
pub(super) struct Areas(HashMap<AreaId, (WindowStart, i64)>);

impl Areas {
    pub(super) fn released(&mut self, report: &FeederReport) {
        let wh = report.energy_wh.last().copied().flatten().unwrap_or(0);
        let watts = 3600.0 / f64::from(report.interval_s.max(1));
        for area in &report.areas {
            let start = report.window_start;
            let (newest, load) = self.0.entry(area.clone()).or_insert((start, 0));
            match start.cmp(newest) {
                Ordering::Less => continue,
                Ordering::Equal => *load += wh,
                Ordering::Greater => (*newest, *load) = (start, wh),
            }
            gauge!(AREA_LOAD, "area" => area.to_string()).set(*load as f64 * watts);
        }
    }
}

pub(super) fn register() {
    for (name, help) in [
        (
            LOAD,
            "Decrypted: average power of the newest interval released, net of export; NaN where it is withheld or nobody had a reading",
        ),
        (
            LOAD_FACTOR,
            "Decrypted: average over peak of the newest window released; NaN where its peak is no consumption",
        ),
        (
            QUANTUM,
            "Power of one quantum over an interval: readings enter in whole quanta, and totals are exact sums of them",
        ),
        (
            PERCENTILE,
            "Decrypted, with layout histogram: power that so many per cent of the meters kept to in the newest interval released, as the end of the bin it is in; NaN where there is none",
        ),
        (
            AREA_LOAD,
            "Decrypted: average power of the last interval of the newest window of a transformer or substation, over what is released of it so far",
        ),
    ] {
        describe_gauge!(name, help);
    }
}

pub(super) fn released(report: &FeederReport) {
    let newest = report.energy_wh.last().copied().flatten();
    let label = || report.feeder.to_string();
    let watts = 3600.0 / f64::from(report.interval_s.max(1));
    gauge!(LOAD, "feeder" => label()).set(newest.map_or(f64::NAN, |wh| wh as f64 * watts));
    gauge!(LOAD_FACTOR, "feeder" => label()).set(report.load_factor.unwrap_or(f64::NAN));
    gauge!(QUANTUM, "feeder" => label()).set(report.quantum_wh as f64 * watts);
    if let Some(Histogram {
        median_wh, p90_wh, ..
    }) = &report.histogram
    {
        let end = |list: &[Option<Bracket>]| {
            let newest = list.last().copied().flatten();
            newest.map_or(f64::NAN, |[_, wh]| wh as f64 * watts)
        };
        for (percentile, list) in [("50", median_wh), ("90", p90_wh)] {
            gauge!(PERCENTILE, "feeder" => label(), "percentile" => percentile).set(end(list));
        }
    }
}
