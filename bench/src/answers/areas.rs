//! Areas: sixteen feeders, each too small for a total of its own, under four transformers and a substation.

use anyhow::Result;
use harness::areas::AreaRow;
use harness::scenario::Options;
use packed::layout::Layout;
use serde_json::{Value, json};
use service::config::Transformer;
use wire::FeederId;

use super::{Answer, Runs, cost};

const FEEDERS: u32 = 16;
const TRANSFORMERS: u32 = 4;
const SUBSTATION: &str = "substation-1";

/// The energy of each transformer, and of the substation, over all windows.
///
/// # Errors
/// The run does not come to its end within its limit.
pub(super) async fn areas(runs: &Runs<'_>) -> Result<Answer> {
    let mut settings = runs.settings.clone();
    settings.plan.layout = Layout::Profile;
    let transformers = (1..=TRANSFORMERS).map(transformer);
    settings.plan.areas = transformers.collect::<Result<_>>()?;
    let options = Options {
        feeders: FEEDERS,
        ..runs.options.clone()
    };
    let run = runs.demo(&settings, &options, "areas").await?;
    let of = |wh: fn(&AreaRow) -> i64| {
        let mut areas = serde_json::Map::new();
        for row in &run.areas {
            let sum = areas.entry(row.area.to_string()).or_insert(json!(0));
            *sum = json!(sum.as_i64().unwrap_or(0) + wh(row));
        }
        Value::Object(areas)
    };
    let (value, truth) = (of(|row| row.energy_wh), of(|row| row.true_wh));
    let greatest = run.areas.iter().map(|row| row.error_wh).max();
    let small = run.areas.iter().map(|row| row.feeders_in_rest).max();
    let is_complete = run.areas.iter().all(|row| row.completeness >= 1.0);
    let said = format!(
        "{SUBSTATION} has {} Wh, in truth {} Wh, with {} feeders that have no total of their own",
        value[SUBSTATION],
        truth[SUBSTATION],
        small.unwrap_or(0)
    );
    Ok(Answer {
        error: json!({"wh": greatest}),
        parameters: json!({"feeders": FEEDERS, "transformers": TRANSFORMERS, "quantum_wh": run.quantum_wh,
            "min_meters": settings.plan.minimum_group()}),
        cost: cost(&run),
        right: run.correct && greatest == Some(0) && is_complete && small > Some(0),
        said,
        value,
        truth,
    })
}

/// Every fourth feeder, so that all transformers are of one size.
fn transformer(number: u32) -> Result<Transformer> {
    let feeders = (0..FEEDERS / TRANSFORMERS).map(|index| number + index * TRANSFORMERS);
    let feeders = feeders.map(|feeder| Ok(format!("feeder-{feeder}").parse::<FeederId>()?));
    Ok(Transformer {
        transformer: format!("transformer-{number}").parse()?,
        substation: Some(SUBSTATION.parse()?),
        feeders: feeders.collect::<Result<_>>()?,
    })
}
