//! What the budget came to: a verdict for each row, and the table.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Options;
use super::rows::{Row, Side};
use crate::output::{or_dash, table};
use crate::ratio::{Spread, figure};

#[derive(Debug, Clone, Serialize)]
pub(crate) struct BudgetSummary {
    pub(crate) rows: Vec<RowSummary>,
    pub(crate) missed: Vec<String>,
    pub(crate) met: bool,
    pub(crate) results: PathBuf,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct RowSummary {
    pub(crate) row: Row,
    pub(crate) step: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) limit: f64,
    pub(crate) side: Side,
    /// The value; its median is what counts.
    pub(crate) value: Option<Spread>,
    pub(crate) verdict: Verdict,
    /// Why it was not measured, or what else is to be said.
    pub(crate) note: Option<String>,
    pub(crate) command: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// This machine cannot measure it.
    NotMeasured,
}

pub(crate) enum Found {
    Value(Spread, Option<String>),
    /// A value that does not count, because something is wrong.
    Wrong(Spread, String),
    Nothing(String),
    /// The measurement failed.
    Failed(String),
}

/// Measures the row that is named after it.
const COMMAND: &str = "cargo run --release -p bench -- budget --rows";

pub(crate) fn judge(row: Row, found: Found, options: &Options) -> RowSummary {
    let promise = row.promise();
    let quick = if options.quick { " --quick" } else { "" };
    let limit = options.limit.iter().rfind(|(of, _)| *of == row);
    let limit = limit.map_or(promise.limit, |(_, limit)| *limit);
    let (value, verdict, note) = match found {
        Found::Value(value, note) if promise.side.holds(value.median, limit) => {
            (Some(value), Verdict::Met, note)
        }
        Found::Value(value, note) => (Some(value), Verdict::Missed, note),
        Found::Wrong(value, note) => (Some(value), Verdict::Missed, Some(note)),
        Found::Nothing(reason) => (None, Verdict::NotMeasured, Some(reason)),
        Found::Failed(error) => (None, Verdict::Missed, Some(error)),
    };
    RowSummary {
        row,
        step: promise.step,
        unit: promise.unit,
        limit,
        side: promise.side,
        value,
        verdict,
        note,
        command: format!("{COMMAND} {}{quick}", row.name()),
    }
}

impl BudgetSummary {
    pub(crate) fn new(rows: Vec<RowSummary>, results: &Path) -> Self {
        let missed = rows.iter().filter(|row| row.verdict == Verdict::Missed);
        let missed: Vec<String> = missed.map(|row| row.row.name()).collect();
        Self {
            met: missed.is_empty(),
            rows,
            missed,
            results: results.to_owned(),
        }
    }

    pub(crate) fn text(&self) -> String {
        let heads = "row|step|budget|measured|verdict";
        let mut table = table(2, heads);
        for row in &self.rows {
            let value = or_dash(row.value, |value| value.to_string());
            let verdict = match row.verdict {
                Verdict::Met => "met",
                Verdict::Missed => "MISSED",
                Verdict::NotMeasured => "not measured",
            };
            let note = row.note.as_ref();
            let note = note.map_or_else(String::new, |note| format!("\n{note}"));
            table.add_row([
                row.row.name(),
                format!("{}{note}", row.step),
                [row.side.sign(), &figure(row.limit), row.unit].join(" "),
                value,
                verdict.to_owned(),
            ]);
        }
        let mut text = format!("{table}\n");
        text += "medians, with the extremes of the rounds; limits as in docs/measurements.md, unless set with --limit\n";
        if !self.met {
            text += &format!("MISSED: {}\n", self.missed.join(", "));
        }
        text + &format!("results: {}\n", self.results.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(limits: &[&str]) -> Options {
        Options {
            limit: limits
                .iter()
                .map(|text| super::super::limit(text).unwrap())
                .collect(),
            ..Options::default()
        }
    }

    fn value(median: f64) -> Found {
        Found::Value(Spread::exact(median), None)
    }

    #[test]
    fn the_median_is_held_against_the_limit() {
        let met = judge(Row::Admit, value(20.0), &options(&[]));
        assert_eq!(met.verdict, Verdict::Met);
        let missed = judge(Row::Admit, value(20.1), &options(&[]));
        assert_eq!(missed.verdict, Verdict::Missed);
        let slower = judge(
            Row::Admit,
            value(20.1),
            &options(&["admit=999", "admit=90"]),
        );
        assert_eq!((slower.verdict, slower.limit), (Verdict::Met, 90.0));
    }

    #[test]
    fn a_load_that_loses_reports_misses_however_fast_it_was() {
        let found = Found::Wrong(Spread::exact(5.0), "3 reports without a receipt".to_owned());
        assert_eq!(
            judge(Row::Load, found, &options(&[])).verdict,
            Verdict::Missed
        );
        let failed = Found::Failed("the broker ended".to_owned());
        let failed = judge(Row::Load, failed, &options(&[]));
        assert_eq!(failed.verdict, Verdict::Missed);
        assert_eq!(failed.note.as_deref(), Some("the broker ended"));
    }

    #[test]
    fn what_cannot_be_measured_is_shown_and_is_no_miss() {
        let nothing = Found::Nothing("this processor lacks AVX-512".to_owned());
        let rows = vec![
            judge(Row::FoldAvx512, nothing, &options(&[])),
            judge(Row::Bytes, value(12_200.0), &options(&[])),
        ];
        let summary = BudgetSummary::new(rows, Path::new("results/x"));
        assert_eq!(summary.missed, ["bytes"]);
        let text = summary.text();
        assert!(text.contains("this processor lacks AVX-512"), "{text}");
        assert!(text.contains("MISSED: bytes"), "{text}");
        let json = serde_json::to_value(&summary).unwrap();
        assert_eq!(json["rows"][0]["verdict"], "not_measured");
        assert_eq!(json["rows"][1]["value"]["median"], 12_200.0);
        assert_eq!(json["rows"][1]["limit"], 12_100.0);
        assert_eq!(
            json["rows"][1]["command"],
            "cargo run --release -p bench -- budget --rows bytes"
        );
    }
}
