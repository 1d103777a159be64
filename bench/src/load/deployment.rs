//! The plan of a load: the operator is asked for all feeders, before reports are encrypted under its key and signed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use harness::Interrupted;
use service::config::Settings;
use service::files::state_folder;
use service::mqtt::{self, Event, QoS};
use service::stop::Stop;
use service::trust::{HeldPlan, PlanKeeper};
use wire::{Topic, Topics, WindowStart};

use super::fleet::Fleet;

/// Longest wait for the plan.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Waits until the plan has every feeder and the analytics service.
pub(crate) async fn plan(settings: &Settings, fleet: &Fleet, stop: &Stop) -> Result<Arc<HeldPlan>> {
    let asked = tokio::time::timeout(PATIENCE, ask(settings, fleet, stop)).await;
    asked.context("the operator did not publish the plan in time")?
}

async fn ask(settings: &Settings, fleet: &Fleet, stop: &Stop) -> Result<Arc<HeldPlan>> {
    let topics = Topics::new(&settings.deployment.root)?;
    let (line, stopped) = Stop::manual();
    let filter = vec![(topics.plan(), QoS::AtLeastOnce)];
    let (publisher, mut inbox) = mqtt::connect(&settings.mqtt, "load-founder", filter, stopped);
    let folder = state_folder(&settings.deployment.state_dir, "load-founder")?;
    let mut keeper = PlanKeeper::open(settings, &folder)?;
    let mut again = tokio::time::interval(ASK_AGAIN);
    let complete = |held: &Arc<HeldPlan>| {
        fleet.feeders.iter().all(|feeder| {
            let known = held.plan.feeder(feeder, WindowStart(u64::MAX));
            known.is_some() && held.plan.owner(feeder).is_some()
        })
    };
    loop {
        if let Some(held) = keeper.current().filter(complete) {
            line.stop();
            return Ok(held);
        }
        tokio::select! {
            () = stop.stopped() => return Err(Interrupted.into()),
            _ = again.tick() => {
                for (topic, bytes) in fleet.founding(&settings.deployment.id, &topics)? {
                    publisher.publish(topic, bytes, false).await?;
                }
            }
            event = inbox.recv() => match event {
                Some(Event::Message(incoming)) => {
                    if topics.parse(&incoming.topic) == Some(Topic::Plan) {
                        // What is refused here is asked for again.
                        drop(keeper.offer(&incoming.topic, &incoming.payload));
                    }
                    inbox.ack(&incoming);
                }
                Some(Event::Connected) => again.reset_immediately(),
                Some(Event::Disconnected { .. }) => {}
                None => bail!("the connection ended"),
            },
        }
    }
}
