//! What was entered, in the quanta that totals state.

use std::collections::BTreeMap;

use operator::FeederReport;
use packed::layout::Edges;
use wire::FeederId;

use crate::oracle::{Key, Scale, Truth, Truths};

/// What each feeder entered in the quanta of these totals, those of rests among them.
pub(crate) fn entered(released: &[FeederReport], truths: &Truths) -> BTreeMap<Key, Truth> {
    let scales = released.iter().flat_map(|report| {
        let feeders = feeders_of(report).into_iter();
        feeders.map(move |feeder| ((feeder, report.window_start), scale(report)))
    });
    let scales: BTreeMap<Key, Scale> = scales.collect();
    truths.entered(|key| scales.get(key).copied())
}

/// In which quanta the readings of a total entered it.
#[must_use]
pub fn scale(report: &FeederReport) -> Scale {
    let histogram = report.histogram.as_ref();
    let edges = histogram.and_then(|histogram| Edges::new(&histogram.edges_wh).ok());
    Scale {
        quantum_wh: report.quantum_wh,
        square_unit_wh2: report.square_unit_wh2,
        edges: edges.unwrap_or_default(),
    }
}

/// The feeders that a total is of.
pub(crate) fn feeders_of(report: &FeederReport) -> Vec<FeederId> {
    match report.rest.is_empty() {
        true => vec![report.feeder.clone()],
        false => report
            .rest
            .iter()
            .map(|share| share.feeder.clone())
            .collect(),
    }
}
