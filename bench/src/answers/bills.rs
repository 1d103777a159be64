//! Bills by tariff band, of all customers but as many of each feeder as the rules of release keep back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use harness::bills::Billing;
use harness::runtimes::On;
use harness::scenario::Scenario;
use harness::session::Session;
use meter::feeder_of;
use serde_json::json;
use service::config::{BandTime, Settings, TariffEntry};
use wire::{UnixSeconds, WindowStart};

use super::{Answer, Runs};

/// Days that are replayed, with a billing period of seven and the beginning or the end of two others.
const DAYS: u64 = 14;

/// Seconds of event time a second.
const SPEED: f64 = 86_400.0;

const PERIOD: u64 = 7;

const DAY: u64 = 86_400;

const NAMES: [&str; 2] = ["low", "peak"];

/// Workdays from eight to twenty o'clock UTC. The first of 1970 was a Thursday.
fn band(at: UnixSeconds) -> usize {
    let is_workday = (at.0 / DAY + 3) % 7 < 5;
    usize::from(is_workday && (8..20).contains(&(at.0 % DAY / 3_600)))
}

fn with_tariff(mut settings: Settings) -> Result<Settings> {
    settings.meter.billing = vec!["all".to_owned()];
    settings.plan.billing_period = PERIOD.to_string();
    settings.plan.tariffs = vec![TariffEntry {
        from: "1970-01-01".to_owned(),
        otherwise: NAMES[0].parse()?,
        holidays: Vec::new(),
        bands: vec![BandTime {
            band: NAMES[1].parse()?,
            hours: "08:00-20:00".to_owned(),
            days: vec!["workday".to_owned()],
            season: String::new(),
        }],
    }];
    // A period may begin or end with a single day.
    settings.release.bill_min_intervals = 12;
    Ok(settings)
}

/// What customers used in each of two bands, a week at a time.
///
/// # Errors
/// The run does not come to its end within its limit.
pub(super) async fn bills(runs: &Runs<'_>) -> Result<Answer> {
    let began = Instant::now();
    let settings = runs
        .options
        .settings(&with_tariff(runs.settings.clone())?)?;
    let event = Duration::from_secs(DAYS * DAY);
    let mut scenario = Scenario::paced(settings, runs.options, event, SPEED)?;
    let results = std::path::absolute(runs.results.join("bills"))?;
    std::fs::create_dir_all(&results)?;
    scenario.settings.operator.totals_file = results.join("totals.jsonl");
    scenario.settings.operator.bills_file = results.join("bills.jsonl");
    let due = due(&scenario);
    let mut session = Session::start(&scenario, &On::here()).await?;
    let ended = session.run(runs.limit, &runs.stop, |_, _| Ok(())).await;
    session.bills(due, runs.limit, &runs.stop).await?;
    let finished = session.finish(ended).await?;
    let billing = Billing {
        meters: &scenario.ids,
        feeders: runs.options.feeders,
        interval_s: scenario.settings.plan.interval_s(),
        names: &NAMES,
        band: &band,
    };
    let checked = billing.check(&finished.watch, &scenario.truths);
    let is_right = checked.wrong.is_empty() && checked.bills == due && finished.wrong().is_empty();
    let intervals = scenario.settings.release.bill_min_intervals;
    Ok(Answer {
        value: json!({"bills": checked.bills, "energy_wh": checked.energy_wh}),
        truth: json!({"bills": due, "energy_wh": checked.truth_wh}),
        error: json!({"wh": checked.greatest_wh}),
        parameters: json!({"bands": NAMES, "period_windows": PERIOD, "bill_min_intervals": intervals,
            "min_meters": scenario.settings.plan.minimum_group(), "customers": scenario.meters}),
        cost: json!({"reports": finished.watch.folded,
            "wall_s": (began.elapsed().as_secs_f64() * 10.0).round() / 10.0}),
        right: is_right,
        said: format!(
            "{} bills of {} customers are {} Wh, in truth {} Wh",
            checked.bills, scenario.meters, checked.energy_wh, checked.truth_wh
        ),
    })
}

/// Bills that are due: for each period that is over, of all meters of a feeder but a minimum group.
fn due(scenario: &Scenario) -> usize {
    let windows: Vec<WindowStart> = (scenario.truths.windows())
        .map(|((_, window), _)| *window)
        .collect();
    let of = |window: WindowStart| window.0 / (PERIOD * DAY);
    let (first, last) = (windows.iter().min(), windows.iter().max());
    let over = |end: WindowStart| WindowStart(end.0 + DAY);
    let periods = first
        .zip(last)
        .map_or(0, |(first, last)| of(over(*last)) - of(*first));
    let mut sizes: BTreeMap<_, usize> = BTreeMap::new();
    for index in 0..scenario.meters {
        let feeder = feeder_of(index, scenario.settings.meter.feeders);
        *sizes.entry(feeder).or_default() += 1;
    }
    let group = scenario.settings.plan.minimum_group() as usize;
    let billed: usize = sizes.values().map(|size| size.saturating_sub(group)).sum();
    billed * periods as usize
}
