//! The broker, with a plan that it keeps back; and the operator, with a plan that allows small groups.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::chaos::serve::Role;
use harness::process::free_address;
use harness::rogue::{Observed, Outsider};
use service::Settings;
use wire::KeyEpoch;

use super::gain::Gain;
use super::stage::{Ground, Stage};

/// Homes, and how many are too few.
const HOMES: u32 = 20;
const FEW: u32 = 3;

/// How long a plan holds that nobody renews.
const TERM: Duration = Duration::from_secs(5);
/// Windows of a feeder a second: the new key's first comes well after the plan's end.
const PACE: f64 = 2.0;
/// The first window of the new key, and how long the gateway is given to come beyond it.
const NEW_KEY: u64 = 24;
const WATCHED: Duration = Duration::from_secs(16);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// A broker shows a gateway an old plan only, while the operator has gone on to a new key.
pub(super) async fn withheld(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((HOMES, 20 * NEW_KEY), |settings| {
        settings.operator.republish_every = Duration::from_secs(1);
        settings.operator.plan_valid_for = TERM;
        settings.meter.max_unreceipted = 20_000;
        settings.meter.max_unreceipted_bytes = 1 << 28;
    })?;
    let length = stage.window(1).0 - stage.first.0;
    stage.settings.meter.speed = PACE * length as f64;
    let broker = stage.run_all().await?;
    let first = stage.key(stage.first, 0);
    let works = broker.until("the first total", |seen| seen.totals.contains_key(&first));
    works.await?;
    let kept: Vec<_> = broker.seen().retained.clone().into_iter().collect();
    stage.end("meter").await?;
    let from = stage.window(NEW_KEY).to_string();
    let asked = stage.by_hand(&["rotate", &from]).await?;
    ensure!(asked, "there is to be no new key");
    let has_new = broker.until("the new key", |seen| {
        let plan = seen.plan.as_ref();
        plan.is_some_and(|(plan, _)| plan.epochs.len() == 2)
    });
    has_new.await?;

    let apart = elsewhere(&stage.settings)?;
    stage.run_as(Role::Broker, "other-broker", &apart)?;
    let other = Outsider::connect(&apart, "broker")?;
    for (topic, message) in kept {
        other.publish(&topic, message, true).await?;
    }
    stage.run_as(Role::Meter, "deceived-meter", &apart)?;
    let beyond = |seen: &Observed| {
        let reports = seen.reports.values().filter(|seen| {
            let is_old = seen.report.epoch == KeyEpoch(1);
            is_old && seen.report.window >= stage.window(NEW_KEY)
        });
        reports.count()
    };
    let sealed = async {
        tokio::select! {
            relayed = relay(&stage, &broker, &other) => relayed,
            sealed = other.until("reports under the old key", |seen| beyond(seen) > 0) => sealed,
        }
    };
    // They need not come.
    let _ = tokio::time::timeout(WATCHED, sealed).await;
    let sealed = beyond(&other.seen());
    let got = format!("{sealed} reports under the old key, of windows that belong to the new one");
    Ok(Gain::of(
        sealed > 0,
        got,
        "the plan ends, and the gateway seals nothing",
    ))
}

/// Hands reports of the old key's windows on, and receipts back, so that the gateway notices nothing. Never ends by itself.
async fn relay(stage: &Stage, broker: &Outsider, other: &Outsider) -> Result<()> {
    let (mut handed_on, mut handed_back) = (BTreeSet::new(), 0);
    loop {
        let reports: Vec<_> = {
            let seen = other.seen();
            let new = (seen.reports.iter())
                .filter(|(key, _)| key.0 < stage.window(NEW_KEY) && !handed_on.contains(*key));
            new.map(|(key, seen)| (key.clone(), seen.message.clone()))
                .collect()
        };
        for (key, message) in reports {
            let topic = broker.topics.report(wire::Shard(0), &stage.feeder, &key.1);
            broker.publish(&topic, message, false).await?;
            handed_on.insert(key);
        }
        let receipts = broker.seen().receipt_messages[handed_back..].to_vec();
        handed_back += receipts.len();
        for (topic, message) in receipts {
            other.publish(&topic, message, false).await?;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The settings of a deployment on another broker.
fn elsewhere(settings: &Settings) -> Result<Settings> {
    let mut settings = settings.clone();
    settings.broker.listen = free_address()?;
    settings.mqtt.address = settings.broker.listen.to_string();
    Ok(settings)
}

/// The operator's settings, with a minimum group that is lower than everybody else's.
fn lowered(stage: &Stage) -> Settings {
    let mut settings = stage.settings.clone();
    settings.set_min_meters(2);
    settings
}

/// What the operator got of the first window: the total of a few homes.
async fn of_few(stage: &Stage, onlooker: &Outsider, met: &str) -> Gain {
    let total = stage.total(onlooker, &stage.key(stage.first, 0)).await;
    let meters = total.as_ref().map_or(0, |total| total.meters);
    let got = format!("the total of {meters} homes");
    Gain::of(total.is_some_and(|total| total.meters < 15), got, met)
}

/// A plan with a minimum group of two.
pub(super) async fn lowered_now(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((FEW, 2), |_| {})?;
    let lowered = lowered(&stage);
    stage.run(&[Role::Broker])?;
    stage.run_as(Role::Operator, "operator", &lowered)?;
    stage.run(&[Role::Analytics, Role::Meter])?;
    let onlooker = stage.outsider("onlooker")?;
    let is_low = onlooker.until("a plan for groups of two", |seen| {
        let plan = seen.plan.as_ref();
        plan.is_some_and(|(plan, _)| plan.min_meters == 2 && !plan.feeders.is_empty())
    });
    is_low.await?;
    Ok(of_few(
        &stage,
        &onlooker,
        "the gateway seals nothing under such a plan",
    )
    .await)
}

/// The minimum group is lowered once a window of a few homes is held.
pub(super) async fn lowered_later(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((FEW, 2), |settings| {
        (
            settings.meter.min_meters_floor,
            settings.analytics.min_meters_floor,
        ) = (2, 2);
    })?;
    let onlooker = stage.run_all().await?;
    let last = stage.window(1);
    let folded = onlooker.until("all receipts", |seen| {
        let of_last = seen.receipts.keys().filter(|(at, _)| *at == last);
        of_last.count() >= FEW as usize
    });
    folded.await?;
    tokio::time::sleep(stage.settings.analytics.idle_limit + Duration::from_secs(1)).await;
    stage.end("operator").await?;
    let lowered = lowered(&stage);
    stage.run_as(Role::Operator, "operator", &lowered)?;
    let is_low = onlooker.until("a plan for groups of two", |seen| {
        let plan = seen.plan.as_ref();
        plan.is_some_and(|(plan, _)| plan.min_meters == 2)
    });
    is_low.await.context("the minimum group is not lowered")?;
    Ok(of_few(&stage, &onlooker, "what was held stays held").await)
}
