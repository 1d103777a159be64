//! Meters that have sums of a feeder of their own fail, until nobody's sums are opened any more.

use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::rogue::{Observed, RogueGateway, Spoilt};
use wire::{FeederId, Reason, SumStatus, WindowStart};

use super::gain::Gain;
use super::stage::{Ground, comes, now};

/// More than a minimum group, and too few for two: each window is two refusals, and nobody is isolated.
const GROUP: usize = 16;
const HOMES: u32 = 20;
/// Windows that the homes report, for longer than all this takes.
const WINDOWS: u64 = 400;
/// Refusals that the operator allows, and windows that would use them up.
const REFUSALS: u32 = 8;
const SPOILT: u64 = 4;
/// Windows whose totals may be under way.
const UNDER_WAY: u64 = 8;
/// Between two attempts, which are different reports: the first is to be answered before there is a second.
const AGAIN: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// Windows of a feeder of their own, one after the other, with readings that are out of range: their zero checks are in order, so
/// nobody is named.
pub(super) async fn used_up(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((HOMES, WINDOWS), |settings| {
        settings.operator.max_refusals = REFUSALS;
    })?;
    let onlooker = stage.run_all().await?;
    let feeder: FeederId = "own".parse()?;
    let meters = (feeder.clone(), GROUP);
    let hostile = RogueGateway::enrol(&stage.settings, "hostile", meters, now()).await?;
    let mut refused = 0;
    for number in 0..SPOILT {
        let window = stage.window(number);
        report(&hostile, window).await?;
        let is_over = |seen: &Observed| end_of(seen, &feeder, window).is_some();
        let ends = hostile.outsider.until("the end of a window", is_over);
        ends.await?;
        if end_of(&hostile.outsider.seen(), &feeder, window) == Some(Reason::KeySpent) {
            break;
        }
        refused += 2;
    }
    let newest = onlooker.seen().windows().into_keys().next_back();
    let newest = newest.context("the homes have reported nothing")?;
    let length = stage.window(1).0 - stage.first.0;
    let later = WindowStart(newest.0 + UNDER_WAY * length);
    let is_later = |key: &harness::rogue::SumKey| key.0 == stage.feeder && key.1 >= later;
    let goes_on = comes(&onlooker, |seen| seen.totals.keys().any(is_later)).await;
    let used = format!("{refused} of {REFUSALS} refusals are used up");
    let got = format!("{HOMES} homes have no more totals: {used}");
    let met = format!("{used}, and the homes have totals");
    Ok(Gain::of(!goes_on, got, met))
}

/// Sends a spoilt report of each meter, and again if it has no answer.
async fn report(hostile: &RogueGateway, window: WindowStart) -> Result<()> {
    let names = hostile.names();
    let is_answered = |seen: &Observed, meter: usize| {
        let key = (window, names[meter].clone());
        seen.receipts.contains_key(&key)
    };
    loop {
        for meter in 0..names.len() {
            let answered = is_answered(&hostile.outsider.seen(), meter);
            if !answered {
                hostile.send(meter, window, Some(Spoilt::Range)).await?;
            }
        }
        let since = tokio::time::Instant::now();
        while since.elapsed() < AGAIN {
            let all = (0..names.len()).all(|meter| is_answered(&hostile.outsider.seen(), meter));
            if all {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Why a window of a feeder is in no total, if that is known.
fn end_of(seen: &Observed, feeder: &FeederId, window: WindowStart) -> Option<Reason> {
    let mut answers = seen
        .answers
        .iter()
        .filter(|((on, at, _), _)| on == feeder && *at == window);
    answers.find_map(|(_, answer)| match answer {
        SumStatus::Rejected(reason) if *reason != Reason::NotReady => Some(*reason),
        _ => None,
    })
}
