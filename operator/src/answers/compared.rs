//! `operator ask over-rating`, `ask max` and `ask min`: from what the evaluator compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use serde::Serialize;
use service::Settings;
use wire::{Digest, FeederId, UnixSeconds, WindowStart};

use crate::comparison::ranking::{RankInbox, Request};
use crate::comparison::result::{self, Asked, Found, Result};
use crate::print::{Output, utc};
use crate::release::totals;
use crate::setup::folder;

/// Which end of an order is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Extreme {
    /// The largest sum.
    Max,
    /// The smallest.
    Min,
}

/// What is asked about ratings.
#[derive(Clone, Debug, Default)]
pub struct OverRating {
    /// These feeders; all if there is none.
    pub feeders: Vec<FeederId>,
    /// This window; all unless given.
    pub window: Option<UnixSeconds>,
}

/// An interval at the rating or over it.
#[derive(Debug, Serialize)]
struct Over {
    feeder: FeederId,
    /// When the interval begins.
    at: u64,
    rating_w: u64,
    /// How far the load was from the rating, or may have been below it all the same, in watts.
    margin_w: u64,
}

/// The answer about ratings, serialised as `--output json` prints it.
#[derive(Debug, Serialize)]
struct Compared {
    windows: usize,
    intervals: usize,
    over: Vec<Over>,
}

/// The answer about an order, as `--output json` prints it.
#[derive(Debug, Serialize)]
struct Ranked {
    asked: Extreme,
    margin_wh: u64,
    /// For each interval when it begins and which feeder it is.
    intervals: Vec<(u64, FeederId)>,
}

/// When feeders were at their rating or over it.
///
/// # Errors
/// The results cannot be read, or there is none of these feeders.
pub fn over_rating(
    settings: &Settings,
    asked: &OverRating,
    output: Output,
) -> anyhow::Result<String> {
    let is_asked = |result: &Result| {
        let feeder = result.feeders.first();
        let of_feeder =
            asked.feeders.is_empty() || feeder.is_some_and(|id| asked.feeders.contains(id));
        let of_window = asked
            .window
            .is_none_or(|window| window.0 == result.window_start.0);
        result.kind == Asked::OverRating && of_feeder && of_window
    };
    let results: Vec<Result> = read(settings)?.into_values().filter(is_asked).collect();
    anyhow::ensure!(
        !results.is_empty(),
        "{} has no comparison of these feeders and windows: feeders with a rating are in plan.over_rating, and it takes the \
         evaluator about a second an interval",
        result::path(&settings.operator.totals_file).display()
    );
    let compared = Compared {
        windows: results.len(),
        intervals: results.iter().map(|result| bits(result).count()).sum(),
        over: results.iter().flat_map(over).collect(),
    };
    Ok(match output {
        Output::Json => serde_json::to_string(&compared)? + "\n",
        Output::Table => compared.table(),
    })
}

/// A row of [`csv`]: an interval that was compared.
#[derive(Debug, Serialize)]
struct Row<'a> {
    feeder: &'a str,
    /// When the interval begins, RFC 3339 in UTC.
    interval_start: String,
    interval_s: u32,
    /// Meters in the sum.
    meters: Option<u32>,
    rating_wh: Option<u64>,
    margin_wh: u64,
    /// Whether the sum was at the rating or over it.
    over: bool,
}

/// Writes every comparison of a feeder with its rating as CSV, a row an interval that was compared, and returns how many rows there
/// were.
///
/// # Errors
/// The results cannot be read, or the output is closed.
pub fn csv(settings: &Settings, output: impl Write) -> anyhow::Result<u64> {
    write(read(settings)?.into_values(), output)
}

fn write(results: impl Iterator<Item = Result>, output: impl Write) -> anyhow::Result<u64> {
    let mut writer = csv::Writer::from_writer(output);
    let mut rows = 0;
    for result in results.filter(|result| result.kind == Asked::OverRating) {
        for (at, over) in bits(&result) {
            writer.serialize(Row {
                feeder: result.feeders.first().map_or("", |feeder| feeder.as_str()),
                interval_start: utc(at, "%Y-%m-%dT%H:%M:%SZ"),
                interval_s: result.interval_s,
                meters: result.meters,
                rating_wh: result.rating_wh,
                margin_wh: result.margin_wh,
                over,
            })?;
            rows += 1;
        }
    }
    writer.flush()?;
    Ok(rows)
}

/// Which feeder is the largest or smallest in each interval; if that was not asked before, leaves the question to the running
/// operator.
///
/// # Errors
/// The results cannot be read, or the request cannot be left.
pub fn ranked(
    settings: &Settings,
    request: &Request,
    extreme: Extreme,
    output: Output,
) -> anyhow::Result<String> {
    let mut feeders = request.feeders.clone();
    feeders.sort();
    feeders.dedup();
    anyhow::ensure!(
        (2..=wire::MAX_COMPARED).contains(&feeders.len()),
        "--feeders has {} different feeders; expected 2 to {}",
        feeders.len(),
        wire::MAX_COMPARED
    );
    let is_asked = |result: &Result| {
        result.kind == Asked::Ranking
            && result.feeders == feeders
            && result.window_start == request.window
    };
    let Some(result) = read(settings)?.into_values().find(is_asked) else {
        RankInbox::new(&folder(settings)).leave(request)?;
        return Ok(
            "asked: the running operator gives it to the evaluator, which takes about a second for each pair and interval. Ask again \
             for the answer; if there is none, the operator's log says why\n"
                .to_owned(),
        );
    };
    let ranked = Ranked::of(&result, extreme);
    Ok(match output {
        Output::Json => serde_json::to_string(&ranked)? + "\n",
        Output::Table => ranked.table(),
    })
}

/// Every comparison that is answered, once.
fn read(settings: &Settings) -> anyhow::Result<BTreeMap<(WindowStart, Digest), Result>> {
    let path = result::path(&settings.operator.totals_file);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let lines = totals::lines(&path, 0, |_: &Result| true)?;
    let results = lines.map(|result| {
        let result = result?;
        Ok(((result.window_start, result.comparison), result))
    });
    results.collect()
}

/// When each interval that was compared with the rating begins, and whether the sum was at it or over it.
fn bits(result: &Result) -> impl Iterator<Item = (u64, bool)> {
    let found = result.found.iter();
    found.flat_map(|found| starts(result, found).zip(found.over.iter().copied()))
}

/// When the intervals begin: windows that are days have whole intervals too.
fn starts(result: &Result, found: &Found) -> impl Iterator<Item = u64> {
    let (window, interval_s) = (result.window_start.0, u64::from(result.interval_s));
    let intervals = found.intervals.iter().copied();
    intervals.map(move |interval| window + u64::from(interval) * interval_s)
}

fn over(result: &Result) -> Vec<Over> {
    let watts = |wh: u64| wh * 3_600 / u64::from(result.interval_s.max(1));
    let over = bits(result).filter(|(_, over)| *over);
    over.filter_map(|(at, _)| {
        Some(Over {
            feeder: result.feeders.first()?.clone(),
            at,
            rating_w: watts(result.rating_wh?),
            margin_w: watts(result.margin_wh),
        })
    })
    .collect()
}

impl Compared {
    fn table(&self) -> String {
        let mut text = format!(
            "{:<20} {:>20} {:>12} {:>10}\n",
            "feeder", "over at (UTC)", "rating kW", "+/- kW"
        );
        for over in &self.over {
            let kw = |watts: u64| watts as f64 / 1e3;
            let at = utc(over.at, "%Y-%m-%d %H:%M");
            let _ = writeln!(
                text,
                "{:<20} {at:>20} {:>12.3} {:>10.3}",
                over.feeder.as_str(),
                kw(over.rating_w),
                kw(over.margin_w)
            );
        }
        let _ = writeln!(
            text,
            "{} of {} intervals in {} windows are at the rating or over it",
            self.over.len(),
            self.intervals,
            self.windows
        );
        text
    }
}

impl Ranked {
    fn of(result: &Result, asked: Extreme) -> Self {
        let orders = result.found.iter();
        let orders = orders.flat_map(|found| starts(result, found).zip(&found.order));
        let intervals = orders.filter_map(|(at, order)| {
            let place = match asked {
                Extreme::Max => order.first(),
                Extreme::Min => order.last(),
            };
            Some((at, result.feeders.get(*place?)?.clone()))
        });
        Self {
            asked,
            margin_wh: result.margin_wh,
            intervals: intervals.collect(),
        }
    }

    fn table(&self) -> String {
        let name = match self.asked {
            Extreme::Max => "largest",
            Extreme::Min => "smallest",
        };
        let mut text = format!("{:>20} {name}\n", "interval (UTC)");
        for (at, feeder) in &self.intervals {
            let _ = writeln!(text, "{:>20} {feeder}", utc(*at, "%Y-%m-%d %H:%M"));
        }
        let _ = writeln!(
            text,
            "feeders within {} Wh of each other may be in the other order",
            self.margin_wh
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_an_interval_that_was_compared() {
        let result = Result {
            kind: Asked::OverRating,
            comparison: Digest::default(),
            window_start: WindowStart(1_393_804_800),
            interval_s: 3_600,
            feeders: vec!["feeder-1".parse().unwrap()],
            meters: Some(20),
            rating_wh: Some(10_000),
            margin_wh: 25,
            found: Some(Found {
                // Too few had a reading in interval 1.
                intervals: vec![0, 2],
                over: vec![false, true],
                order: Vec::new(),
            }),
        };
        let waits = Result {
            found: None,
            ..result.clone()
        };
        let mut text = Vec::new();
        assert_eq!(write([result, waits].into_iter(), &mut text).unwrap(), 2);
        let expected = "feeder,interval_start,interval_s,meters,rating_wh,margin_wh,over\n\
                        feeder-1,2014-03-03T00:00:00Z,3600,20,10000,25,false\n\
                        feeder-1,2014-03-03T02:00:00Z,3600,20,10000,25,true\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
