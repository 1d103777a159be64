//! Reads the operator's totals from a program: energy, peak and completeness of each feeder.
//!
//! `cargo run -p operator --example read_totals [FILE]`; without a file it reads a sample.

use std::collections::BTreeMap;
use std::io::BufRead;

use operator::FeederReport;
use wire::FeederId;

/// A feeder's totals over all windows and parts.
#[derive(Debug, Default, PartialEq)]
struct Summary {
    windows: u32,
    energy_wh: i64,
    /// Readings that the meters in the totals did not have, or that are withheld.
    missing: u64,
    lowest_completeness: Option<f64>,
}

fn summarise(
    lines: impl BufRead,
) -> Result<BTreeMap<FeederId, Summary>, Box<dyn std::error::Error>> {
    let mut feeders = BTreeMap::<FeederId, Summary>::new();
    for line in lines.lines() {
        let total: FeederReport = serde_json::from_str(&line?)?;
        let energy_wh = total.total_wh();
        let summary = feeders.entry(total.feeder).or_default();
        summary.windows += u32::from(total.part.0 == 0);
        summary.energy_wh += energy_wh;
        summary.missing += total.missing;
        // A supplement has the completeness of its own meters: only a window's first part says how much came in time.
        if total.part.0 == 0 {
            let lowest = summary.lowest_completeness.unwrap_or(1.0);
            summary.lowest_completeness = Some(lowest.min(total.completeness));
        }
    }
    Ok(feeders)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let feeders = match std::env::args()
        .nth(1)
        .filter(|name| name.ends_with(".jsonl"))
    {
        Some(file) => summarise(std::io::BufReader::new(std::fs::File::open(file)?))?,
        None => summarise(SAMPLE.as_bytes())?,
    };
    for (feeder, summary) in &feeders {
        println!(
            "{feeder}: {} windows, {:.3} kWh without {} readings, at least {:.0} % complete",
            summary.windows,
            summary.energy_wh as f64 / 1e3,
            summary.missing,
            summary.lowest_completeness.unwrap_or(0.0) * 100.0,
        );
    }
    Ok(())
}

const SAMPLE: &str = include_str!("totals.jsonl");

#[test]
fn it_runs() {
    main().expect("the example");
    let feeders = summarise(SAMPLE.as_bytes()).expect("the sample");
    assert_eq!(feeders.len(), 2);
}
