//! Enrolled meters that spoil what others are in: one with a report that no sum opens with, some with reports of the future; and a
//! client of the broker that sends reports twice.

use std::time::Duration;

use anyhow::Result;
use e2e::chaos::serve::Role;
use harness::rogue::{Observed, RogueGateway, RogueMeter, Spoilt};
use wire::{Reason, Status, SumStatus, WindowStart};

use super::gain::Gain;
use super::members::said;
use super::stage::{Ground, Stage, now};

/// Divided, with the hostile one, into four parts.
const MANY: u32 = 100;
const HOMES: u32 = 20;
/// A minimum group.
const GROUP: usize = 15;
/// A window that the homes have not reported when the meter is enrolled.
const WINDOWS: u64 = 16;
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(300);

/// A deployment, and hostile meters on the homes' feeder.
async fn with_meters(stage: &mut Stage, meters: usize) -> Result<RogueGateway> {
    stage.run_all().await?;
    let meters = (stage.feeder.clone(), meters);
    RogueGateway::enrol(&stage.settings, "hostile", meters, now()).await
}

/// Sends a report of each meter until analytics has answered all: it may not have the roster yet. The last answer.
async fn send(
    hostile: &RogueGateway,
    window: WindowStart,
    spoilt: Option<Spoilt>,
) -> Result<Status> {
    loop {
        for meter in 0..hostile.meters.len() {
            hostile.send(meter, window, spoilt).await?;
        }
        tokio::time::sleep(AGAIN).await;
        let seen = hostile.outsider.seen();
        let answer = |meter: &RogueMeter| seen.receipts.get(&(window, meter.id.clone())).copied();
        let answers: Option<Vec<Status>> = hostile.meters.iter().map(answer).collect();
        if let Some(answer) = answers.and_then(|answers| answers.last().copied()) {
            return Ok(answer);
        }
    }
}

/// One report that is no ciphertext: no sum that it is in opens.
pub(super) async fn noise(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((MANY, WINDOWS), |_| {})?;
    let hostile = with_meters(&mut stage, 1).await?;
    let window = stage.window(WINDOWS - 1);
    send(&hostile, window, Some(Spoilt::Noise)).await?;
    let answered = hostile.outsider.until("an answer for every home", |seen| {
        is_final(&stage, seen, window)
    });
    answered.await?;
    let seen = hostile.outsider.seen();
    let in_totals: u32 = (seen.totals.values())
        .filter(|total| total.window == window)
        .map(|total| total.meters)
        .sum();
    let lost = MANY - in_totals;
    let got = format!("the readings of {lost} of {MANY} homes are in no total");
    let met = format!("{in_totals} of {MANY} homes are in totals");
    Ok(Gain::of(lost > 0, got, met))
}

/// Whether every home's report of the window is in a sum that was answered for good.
fn is_final(stage: &Stage, seen: &Observed, window: WindowStart) -> bool {
    let final_of = |part: u16, answer: &SumStatus| match answer {
        SumStatus::Divide => 0,
        // Its total comes after its receipt.
        SumStatus::Taken => {
            let total = seen.totals.get(&stage.key(window, part));
            total.map_or(0, |total| total.meters)
        }
        _ => {
            let set = seen.sums.get(&stage.key(window, part));
            set.map_or(0, wire::ContributorSet::count)
        }
    };
    let answers = seen.answers.iter().filter(|((_, at, _), _)| *at == window);
    let meters: u32 = answers
        .map(|((_, _, part), answer)| final_of(part.0, answer))
        .sum();
    meters >= MANY
}

/// Reports of next year, by as many meters as a feeder's time goes by: whatever the homes report then is of a time that is long
/// over.
pub(super) async fn future(ground: Ground) -> Result<Gain> {
    const YEAR_S: u64 = 365 * 86_400;
    let mut stage = ground.stage((HOMES, WINDOWS), |_| {})?;
    let hostile = with_meters(&mut stage, GROUP).await?;
    let next_year = WindowStart(stage.first.0 + YEAR_S);
    let answer = send(&hostile, next_year, None).await?;
    let last = stage.window(WINDOWS - 1);
    let answered = hostile
        .outsider
        .until("receipts of the last window", |seen| {
            let of_last = seen.receipts.keys().filter(|(at, _)| *at == last);
            of_last.count() >= HOMES as usize
        });
    answered.await?;
    let seen = hostile.outsider.seen();
    let refused = |status: &Status| matches!(status, Status::Rejected(reason) if *reason != Reason::ReportTooEarly);
    let refused = seen
        .receipts
        .values()
        .filter(|status| refused(status))
        .count();
    let got = format!("{refused} honest reports are refused as too late");
    let met = match answer {
        Status::Rejected(reason) => reason.to_string(),
        _ => "it is in a sum".to_owned(),
    };
    Ok(Gain::of(refused >= HOMES as usize, got, met))
}

/// Reports that are seen on the broker are published once more.
pub(super) async fn twice(ground: Ground) -> Result<Gain> {
    const REPLAYED: u64 = 4;
    let mut stage = ground.stage((HOMES, REPLAYED), |settings| {
        // Time for the second before the first is committed, however slow the machine.
        settings.analytics.commit_min_delay = Duration::from_millis(800);
        settings.analytics.commit_max_delay = Duration::from_millis(800);
    })?;
    stage.run(&[Role::Broker])?;
    let client = stage.outsider("client")?;
    stage.run(&[Role::Operator, Role::Analytics, Role::Meter])?;
    let last = stage.key(stage.window(REPLAYED - 1), 0);
    let failed = |answer: &&SumStatus| !matches!(answer, SumStatus::Taken | SumStatus::Duplicate);
    let mut sent = std::collections::BTreeSet::new();
    loop {
        let new: Vec<_> = {
            let seen = client.seen();
            // Once it looks for who spoils a sum, the answers to further ones wait.
            let is_over = seen.answers.values().any(|answer| failed(&answer));
            if is_over || seen.answers.contains_key(&last) {
                break;
            }
            let reports = seen.reports.iter().filter(|(key, _)| !sent.contains(*key));
            reports
                .map(|(key, seen)| (key.clone(), seen.message.clone()))
                .collect()
        };
        for (key, message) in new {
            let topic = client.topics.report(wire::Shard(0), &stage.feeder, &key.1);
            client.publish(&topic, message, false).await?;
            sent.insert(key);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let seen = client.seen();
    let failed: Vec<_> = seen.answers.values().filter(failed).collect();
    let got = format!(
        "{} of {} windows are spoilt: {}",
        failed.len(),
        seen.answers.len(),
        words(&failed)
    );
    Ok(Gain::of(
        !failed.is_empty(),
        got,
        "each is counted once, all sums are taken",
    ))
}

fn words(answers: &[&SumStatus]) -> String {
    answers
        .first()
        .map_or_else(String::new, |answer| said(**answer))
}
