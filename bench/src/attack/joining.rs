//! Strangers at the operator's desk, and parties that join with more than was granted them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::chaos::serve::Role;
use harness::rogue::{RogueAnalytics, RogueGateway};
use operator::commands;
use service::config::Enrolment;
use wire::UnixMillis;

use super::gain::Gain;
use super::stage::{Ground, Stage, comes, now};

/// A minimum group.
const GROUP: usize = 15;
/// Requests that wait for a person at most.
const DESK: usize = 8;
/// Between two looks at the desk, and how often it is looked at.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: u32 = 60;

/// A deployment in which a person approves.
async fn by_hand(ground: Ground) -> Result<Stage> {
    let mut stage = ground.stage((1, 1), |settings| {
        settings.operator.enrolment = Enrolment::Manual;
        settings.operator.pending_max = DESK;
    })?;
    with_operator(&mut stage).await?;
    Ok(stage)
}

async fn with_operator(stage: &mut Stage) -> Result<()> {
    stage.run(&[Role::Broker, Role::Operator])?;
    let onlooker = stage.outsider("onlooker")?;
    let listens = onlooker.until("a plan", |seen| seen.plan.is_some());
    listens.await
}

/// Looks at the requests that wait until they are as wanted, or for some seconds.
async fn waiting(
    stage: &Stage,
    wanted: impl Fn(&[(String, String)]) -> bool,
) -> Result<Vec<(String, String)>> {
    for _ in 0..LOOKS {
        let pending = commands::pending(&stage.settings)?;
        if wanted(&pending) {
            return Ok(pending);
        }
        tokio::time::sleep(LOOK).await;
    }
    commands::pending(&stage.settings)
}

/// A gateway asks for one meter, and for many once a person has looked.
pub(super) async fn changed(ground: Ground) -> Result<Gain> {
    let stage = by_hand(ground).await?;
    let meters = (stage.feeder.clone(), GROUP);
    let newcomer = RogueGateway::connect(&stage.settings, "newcomer", meters, now())?;
    newcomer.ask(UnixMillis(1), 1).await?;
    let shown = waiting(&stage, |pending| !pending.is_empty()).await?;
    let (id, digest) = shown.first().context("nobody waits")?;
    newcomer.ask(UnixMillis(2), GROUP).await?;
    let is_other = |pending: &[(String, String)]| pending.iter().any(|(_, other)| other != digest);
    waiting(&stage, is_other).await?;
    let approved = stage.by_hand(&["approve", id, digest]).await?;
    let enrolled = |seen: &harness::rogue::Observed| seen.roster.len() > 1;
    let is_in = approved && comes(&newcomer.outsider, enrolled).await;
    let got = format!("{GROUP} meters are enrolled, of which a person has seen one");
    Ok(Gain::of(is_in, got, "the approval names another request"))
}

/// Strangers fill the list of requests.
pub(super) async fn desk(ground: Ground) -> Result<Gain> {
    let mut stage = by_hand(ground).await?;
    let mut strangers = Vec::new();
    for number in 0..DESK {
        let meters = (stage.feeder.clone(), 1);
        let name = format!("stranger-{number}");
        let stranger = RogueGateway::connect(&stage.settings, &name, meters, now())?;
        stranger.ask(UnixMillis(1), 1).await?;
        strangers.push(stranger);
    }
    waiting(&stage, |pending| pending.len() == DESK).await?;
    stage.run(&[Role::Meter])?;
    let is_listed = |pending: &[(String, String)]| {
        let mut ids = pending.iter().map(|(id, _)| id.split('/'));
        ids.any(|mut id| id.any(|part| part == "homes"))
    };
    let pending = waiting(&stage, is_listed).await?;
    let got = "a gateway's request never waits for a person";
    let met = "the request is listed, the oldest made way";
    Ok(Gain::of(!is_listed(&pending), got, met))
}

/// A gateway without meters asks for a feeder, and so for its scale.
pub(super) async fn nobodys_feeder(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((1, 1), |_| {})?;
    with_operator(&mut stage).await?;
    let meters = (stage.feeder.clone(), 0);
    let nobody = RogueGateway::connect(&stage.settings, "nobody", meters, now())?;
    nobody.ask(UnixMillis(1), 0).await?;
    let is_there = comes(&nobody.outsider, |seen| {
        let plan = seen.plan.as_ref();
        plan.is_some_and(|(plan, _)| !plan.feeders.is_empty())
    });
    let got = "a feeder of its scale, with nobody on it";
    Ok(Gain::of(
        is_there.await,
        got,
        "there is no feeder before its first meter",
    ))
}

/// A gateway asks for meters that do not exist.
pub(super) async fn invented(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((1, 1), |_| {})?;
    with_operator(&mut stage).await?;
    let key = wire::SigningKey::generate().verifying_key();
    let list = stage.folder.path().join("meters.csv");
    let line = format!(
        "meter,feeder,capacity,key\nreal-1,{},10000,{key}\n",
        stage.feeder
    );
    std::fs::write(&list, line)?;
    let list = list.to_string_lossy();
    ensure!(
        stage.by_hand(&["import", &list]).await?,
        "no list was taken"
    );
    // A running operator uses it within a second.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let meters = (stage.feeder.clone(), GROUP);
    let inventor = RogueGateway::connect(&stage.settings, "inventor", meters, now())?;
    inventor.ask(UnixMillis(1), GROUP).await?;
    let is_in = comes(&inventor.outsider, |seen| seen.roster.len() >= GROUP).await;
    let got = format!("{GROUP} meters that nobody has installed are enrolled");
    Ok(Gain::of(
        is_in,
        got,
        "they are not in the list of physical meters",
    ))
}

/// An analytics service asks for a feeder that the service for all feeders would have.
pub(super) async fn others_feeder(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((1, 1), |_| {})?;
    with_operator(&mut stage).await?;
    stage.run(&[Role::Analytics])?;
    let feeder = stage.feeder.clone();
    let taker = RogueAnalytics::connect(&stage.settings, "taker", feeder.clone())?;
    let is_taken = taker.outsider.until("the service for all feeders", |seen| {
        let plan = seen.plan.as_ref();
        plan.is_some_and(|(plan, _)| !plan.analytics.is_empty())
    });
    is_taken.await?;
    taker.ask_for(vec![feeder]).await?;
    let is_in = comes(&taker.outsider, |seen| taker.is_in(seen)).await;
    let got = "the feeder: its gateways and the operator heed nobody else";
    Ok(Gain::of(is_in, got, "the request waits for a person"))
}

/// A meter's key was stolen, and the meter is removed; the thief asks for it to be enrolled again.
pub(super) async fn removed(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((GROUP as u32, 1), |_| {})?;
    stage.run_all().await?;
    let meters = (stage.feeder.clone(), 1);
    let thief = RogueGateway::enrol(&stage.settings, "thief", meters, now()).await?;
    let meter = thief.meters[0].id.clone();
    let removed = stage.by_hand(&["remove", meter.as_str()]).await?;
    ensure!(removed, "nobody was removed");
    let is_out = thief
        .outsider
        .until("the meter's removal", |seen| !seen.roster.contains(&meter));
    is_out.await?;
    thief.ask(now(), 1).await?;
    let is_in = comes(&thief.outsider, |seen| seen.roster.contains(&meter)).await;
    let got = "the removed meter is enrolled again, under the stolen key";
    Ok(Gain::of(is_in, got, "who was removed does not come back"))
}
