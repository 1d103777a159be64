//! The operator.

use super::super::Operator;
use super::{Check, Wrong, positive, range, require};

/// Most answers about one key that whoever forges sums may get. To learn the key from them takes thousands.
const MAX_REFUSALS: u32 = 256;

pub(super) fn operator(operator: &Operator) -> Check {
    require(
        "operator.max_refusals",
        (1..=MAX_REFUSALS).contains(&operator.max_refusals),
        || {
            format!(
                "expected a number between 1 and {MAX_REFUSALS}: each refusal answers a question about the key, and some \
                 thousands of answers give it away"
            )
        },
    )?;
    positive("operator.search_timeout", operator.search_timeout)?;
    // Room for a few reports at least: a report has up to 14 kB.
    range(
        "operator.search_max_bytes",
        operator.search_max_bytes,
        65_536,
        usize::MAX,
    )?;
    positive("operator.republish_every", operator.republish_every)?;
    range("operator.pending_max", operator.pending_max, 1, 65_536)?;
    positive("operator.pending_max_age", operator.pending_max_age)?;
    positive("operator.plan_valid_for", operator.plan_valid_for)?;
    range(
        "operator.reference_headroom",
        operator.reference_headroom,
        1,
        65_536,
    )?;
    range(
        "operator.feeder_meters_max",
        operator.feeder_meters_max,
        1,
        wire::MAX_CONTRIBUTORS,
    )?;
    require(
        "operator.totals_file",
        !operator.totals_file.as_os_str().is_empty(),
        || "a file is needed".to_owned(),
    )?;
    bills(operator)?;
    range(
        "operator.live_intervals",
        operator.live_intervals,
        1,
        1_000_000,
    )?;
    range(
        "operator.live_max_feeders",
        operator.live_max_feeders,
        1,
        10_000,
    )
}

fn bills(operator: &Operator) -> Check {
    require(
        "operator.bills_file",
        !operator.bills_file.as_os_str().is_empty(),
        || "a file is needed".to_owned(),
    )?;
    for price in &operator.prices {
        let wrong = |problem| Wrong {
            key: "operator.prices",
            problem,
        };
        price.micros_per_kwh().map_err(wrong)?;
    }
    Ok(())
}
