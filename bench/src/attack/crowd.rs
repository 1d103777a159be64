//! A few meters that take the room of everybody.

use std::time::Duration;

use anyhow::Result;
use e2e::chaos::serve::Role;
use harness::rogue::RogueGateway;
use wire::{FeederId, WindowStart};

use super::gain::Gain;
use super::stage::{Ground, now};

/// Feeders with open windows that analytics allows.
const FEEDERS: usize = 4;
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(300);
const HOMES: u32 = 20;

/// A meter on each of a few feeders of its own opens a window that never has enough meters.
pub(super) async fn windows(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((HOMES, 1), |settings| {
        settings.analytics.max_feeders = FEEDERS;
        settings.analytics.max_open_windows = 2 * FEEDERS;
        settings.analytics.idle_limit = Duration::from_secs(60);
    })?;
    stage.run(&[Role::Broker, Role::Operator, Role::Analytics])?;
    let mut crowd = Vec::new();
    for number in 0..FEEDERS {
        let feeder: FeederId = format!("own-{number}").parse()?;
        let name = format!("crowd-{number}");
        let one = RogueGateway::enrol(&stage.settings, &name, (feeder, 1), now()).await?;
        fill(&one, stage.first).await?;
        crowd.push(one);
    }
    stage.run(&[Role::Meter])?;
    let onlooker = stage.outsider("onlooker")?;
    let answered = onlooker.until("the homes' receipts", |seen| {
        let homes = seen
            .receipts
            .keys()
            .filter(|(_, meter)| meter.as_str().starts_with("homes"));
        homes.count() >= HOMES as usize
    });
    // Refused for now, they are not answered.
    let _ = tokio::time::timeout(Duration::from_secs(5), answered).await;
    let total = stage.total(&onlooker, &stage.key(stage.first, 0)).await;
    let got = format!("{HOMES} homes have no total, as long as {FEEDERS} meters like");
    Ok(Gain::of(
        total.is_none(),
        got,
        "the homes' total is released",
    ))
}

/// Sends a report of a meter until analytics has answered.
async fn fill(one: &RogueGateway, window: WindowStart) -> Result<()> {
    let key = (window, one.meters[0].id.clone());
    let limit = tokio::time::Instant::now() + Duration::from_secs(30);
    // A second one is a conflict: the first is in a sum.
    while !one.outsider.seen().receipts.contains_key(&key) {
        anyhow::ensure!(
            tokio::time::Instant::now() < limit,
            "a report is not answered"
        );
        one.send(0, window, None).await?;
        tokio::time::sleep(AGAIN).await;
    }
    Ok(())
}
