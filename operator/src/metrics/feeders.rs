//! The metrics that name a feeder.

use std::collections::{HashMap, HashSet};

use metrics::gauge;
use wire::{FeederId, WindowStart};

use super::{FEEDER_COMPLETENESS, UNLABELLED, load};
use crate::release::report::FeederReport;

/// The metrics that have a feeder's name on them: those of the first so many feeders with a total, the others are
/// counted.
#[derive(Debug)]
pub(crate) struct Feeders {
    limit: usize,
    export_load: bool,
    /// The newest window of each feeder, and the completeness of its parts together.
    newest: HashMap<FeederId, (WindowStart, f64)>,
    unlabelled: HashSet<FeederId>,
    areas: load::Areas,
}

impl Feeders {
    /// Metrics of at most `limit` feeders; their decrypted load too if `export_load` says so.
    pub(crate) fn new(limit: usize, export_load: bool) -> Self {
        Self {
            limit,
            export_load,
            newest: HashMap::new(),
            unlabelled: HashSet::new(),
            areas: load::Areas::default(),
        }
    }

    /// Whether a feeder has metrics of its own, or there is room for them.
    pub(super) fn names(&self, feeder: &FeederId) -> bool {
        self.newest.contains_key(feeder) || self.newest.len() < self.limit
    }

    pub(crate) fn taken(&mut self, report: &FeederReport) {
        if self.export_load {
            self.areas.released(report);
        }
        // It is of no feeder.
        if !report.rest.is_empty() {
            return;
        }
        let feeder = &report.feeder;
        if !self.names(feeder) {
            self.unlabelled.insert(feeder.clone());
            gauge!(UNLABELLED).set(self.unlabelled.len() as f64);
            return;
        }
        let start = report.window_start;
        let (newest, complete) = self.newest.entry(feeder.clone()).or_insert((start, 0.0));
        match start.cmp(newest) {
            std::cmp::Ordering::Less => return,
            // Parts have meters of their own.
            std::cmp::Ordering::Equal => *complete = (*complete + report.completeness).min(1.0),
            std::cmp::Ordering::Greater => (*newest, *complete) = (start, report.completeness),
        }
        gauge!(FEEDER_COMPLETENESS, "feeder" => feeder.to_string()).set(*complete);
        // A supplement is a load of its own; the window's is that of its first part.
        if self.export_load && report.part.0 == 0 {
            load::released(report);
        }
    }
}
