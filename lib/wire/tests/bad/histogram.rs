//! What is wrong with the edges of a plan's bins.

use wire::{Plan, WireError as E};

use crate::common::id;
use crate::vector::*;

pub(crate) fn bad_edges() -> Vec<Bad> {
    const EDGES: &str = "plan.histogram_edges_wh";
    let misfit = |layout| E::Edges { layout: id(layout) };
    let too_many = E::TooMany {
        field: EDGES,
        max: 13,
        found: 14,
    };
    let order = E::OutOfOrder {
        field: EDGES,
        index: 1,
    };
    vec![
        histogram("a histogram without edges", misfit("histogram"), &[]),
        message::<Plan>("edges without a histogram", misfit("moments"), |plan| {
            plan.histogram_edges_wh = vec![8];
        }),
        histogram(
            "an edge at 0 Wh",
            range(EDGES, 0, 1, u64::MAX.into()),
            &[0, 8],
        ),
        histogram("an edge twice", order, &[8, 8]),
        histogram("fourteen edges", too_many, &[8; 14]),
    ]
}

fn histogram(what: &'static str, expected: E, edges_wh: &[u64]) -> Bad {
    message::<Plan>(what, expected, |plan| {
        plan.layout = id("histogram");
        plan.histogram_edges_wh = edges_wh.to_vec();
        for setting in &mut plan.feeders {
            setting.square_unit_wh2 = None;
        }
    })
}
