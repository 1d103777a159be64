//! How different a feeder's customers are, in the interval of its peak.

use std::collections::BTreeMap;

use harness::percentiles::Percentiles;
use harness::spread::Spread;
use harness::verdict::Row;
use serde_json::{Value, json};
use wire::FeederId;

use super::{Answer, cost};
use crate::demo::RunSummary;

/// Of each feeder's last window: the ranges that the quartiles, the 90th percentile and the largest reading are in.
pub(super) fn percentiles(run: &RunSummary) -> Answer {
    let of_feeders = newest(&run.rows, |row| row.percentiles.as_ref());
    let of = |show: fn(&Percentiles) -> Value| by_feeder(&of_feeders, show);
    Answer {
        value: of(|percentiles| {
            let [p25, median, p75, p90] = percentiles.quartiles_and_p90_wh;
            json!({"at": percentiles.at, "p25_wh": p25, "median_wh": median, "p75_wh": p75, "p90_wh": p90,
                "largest_wh": percentiles.largest_wh})
        }),
        truth: of(|percentiles| {
            let [p25, median, p75, p90, largest] = percentiles.truth_wh;
            json!({"at": percentiles.at, "p25_wh": p25, "median_wh": median, "p75_wh": p75, "p90_wh": p90,
                "largest_wh": largest})
        }),
        error: json!("within the range"),
        parameters: json!({"layout": "histogram", "quantum_wh": run.quantum_wh}),
        cost: cost(run),
        right: run.correct
            && !of_feeders.is_empty()
            && of_feeders.values().all(|one| one.are_right()),
        said: first(&of_feeders, |percentiles| {
            let ([_, [from, to], ..], [_, [least, most], ..]) =
                (percentiles.quartiles_and_p90_wh, percentiles.truth_wh);
            format!("a median of {from} to {to} Wh, in truth {least} to {most} Wh")
        }),
    }
}

/// Of each feeder's last window: the standard deviation, as the square root of a variance is published.
pub(super) fn variance(run: &RunSummary) -> Answer {
    let of_feeders = newest(&run.rows, |row| row.spread.as_ref());
    let of = |show: fn(&Spread) -> Value| by_feeder(&of_feeders, show);
    Answer {
        value: of(|spread| json!({"at": spread.at, "std_wh": spread.std_wh})),
        truth: of(|spread| json!({"at": spread.at, "std_wh": spread.true_std_wh.round()})),
        error: of(|spread| {
            let error = (spread.std_wh as f64 - spread.true_std_wh).abs();
            json!({"wh": error.round(), "at_most_wh": spread.within_wh.round()})
        }),
        parameters: json!({"layout": "moments", "quantum_wh": run.quantum_wh}),
        cost: cost(run),
        right: run.correct
            && !of_feeders.is_empty()
            && of_feeders.values().all(|one| one.is_right()),
        said: first(&of_feeders, |spread| {
            format!(
                "a standard deviation of {} Wh, in truth {:.0} Wh, which may be {:.0} Wh away",
                spread.std_wh, spread.true_std_wh, spread.within_wh
            )
        }),
    }
}

fn newest<'a, T>(
    rows: &'a [Row],
    of: impl Fn(&'a Row) -> Option<&'a T>,
) -> BTreeMap<&'a FeederId, &'a T> {
    let there = rows.iter().filter_map(|row| Some((&row.feeder, of(row)?)));
    there.collect()
}

fn first<T>(of_feeders: &BTreeMap<&FeederId, &T>, say: impl Fn(&T) -> String) -> String {
    let first = of_feeders.first_key_value();
    first.map_or_else(
        || "no feeder has it".to_owned(),
        |(feeder, one)| format!("{feeder} has {}", say(one)),
    )
}

fn by_feeder<T>(of_feeders: &BTreeMap<&FeederId, &T>, show: impl Fn(&T) -> Value) -> Value {
    let each = of_feeders.iter();
    each.map(|(feeder, one)| (feeder.to_string(), show(one)))
        .collect()
}
