//! The deployment of a load: operator keys, plan and the analytics service's key, made once by the real services.
//!
//! Signed reports name the plan's versions and are encrypted under its key, so they can be used again only with it. What
//! the operator and analytics wrote when the plan had all feeders is kept, and put back at the start of each run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use harness::Interrupted;
use harness::stack::{On, Stack};
use service::config::Settings;
use service::files::{PRIVATE, load_or_create_signing_key, state_folder, write_atomic};
use service::mqtt::{self, Event, QoS};
use service::plan::{HeldPlan, PlanKeeper};
use service::stop::Stop;
use tempfile::TempDir;
use wire::{Topic, Topics, WindowStart};

use super::cache::Cache;
use super::fleet::Fleet;

/// Longest wait for the plan.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// The operator's folder, and its file of the plan.
const OPERATOR: &str = "operator";
const PLAN: &str = "plan.bin";

/// A state folder with the deployment in it, which goes away when dropped, and the plan.
pub(crate) async fn open(
    cache: &Cache,
    settings: &Settings,
    fleet: &Fleet,
    stop: &Stop,
) -> Result<(TempDir, Arc<HeldPlan>)> {
    let state = tempfile::Builder::new().prefix("cipherwatt-").tempdir()?;
    if !restore(cache, settings, state.path())? {
        tracing::info!("founding the deployment");
        found(cache, settings, fleet, stop).await?;
        if !restore(cache, settings, state.path())? {
            bail!("the deployment in the cache cannot be read");
        }
    }
    let operator = state.path().join(OPERATOR);
    let plan = std::fs::read(operator.join(PLAN))?;
    let key = load_or_create_signing_key(&operator.join("signing.key"))?;
    let folder = state_folder(state.path(), "load")?;
    let mut settings = settings.clone();
    settings.deployment.operator_key = Some(key.verifying_key());
    let mut keeper = PlanKeeper::open(&settings, &folder)?;
    let topics = Topics::new(&settings.deployment.root)?;
    keeper
        .offer(&topics.plan(), &plan)
        .map_err(|refused| anyhow::anyhow!("the plan in the cache: {refused}"))?;
    let held = keeper.current().context("the plan in the cache")?;
    Ok((state, held))
}

/// Whose files are kept.
fn files(settings: &Settings) -> [(&str, &'static str); 5] {
    [
        (OPERATOR, "signing.key"),
        (OPERATOR, "epoch-1.key"),
        (OPERATOR, PLAN),
        // Without a release in it; the operator does not go on without one.
        (OPERATOR, "releases.ledger"),
        (settings.analytics.id.as_str(), "signing.key"),
    ]
}

fn restore(cache: &Cache, settings: &Settings, state: &Path) -> Result<bool> {
    for (role, file) in files(settings) {
        let Some(bytes) = cache.read(&format!("{role}-{file}"))? else {
            return Ok(false);
        };
        let folder = state_folder(state, role)?;
        write_atomic(&folder.join(file), &bytes, PRIVATE)?;
    }
    Ok(true)
}

/// Runs the services until the plan has every feeder and the analytics service.
async fn found(cache: &Cache, settings: &Settings, fleet: &Fleet, stop: &Stop) -> Result<()> {
    // Ciphertexts and reports of another deployment are of no use in this one.
    cache.clear()?;
    let state = tempfile::Builder::new().prefix("cipherwatt-").tempdir()?;
    let mut settings = settings.clone();
    settings.operator.totals_file = state.path().join("totals.jsonl");
    let mut stack = Stack::services(&settings, state.path(), &On::here()).await?;
    let asked = tokio::time::timeout(PATIENCE, ask(stack.settings(), fleet, stop)).await;
    let stopped = stack.stop().await;
    asked.context("the operator did not publish the plan in time")??;
    stopped?;
    for (role, file) in files(&settings) {
        let path = state.path().join(role).join(file);
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        cache.write(&format!("{role}-{file}"), bytes)?;
    }
    Ok(())
}

async fn ask(settings: &Settings, fleet: &Fleet, stop: &Stop) -> Result<()> {
    let topics = Topics::new(&settings.deployment.root)?;
    let (line, stopped) = Stop::manual();
    let filter = vec![(topics.plan(), QoS::AtLeastOnce)];
    let (publisher, mut inbox) = mqtt::connect(&settings.mqtt, "load-founder", filter, stopped);
    let folder = state_folder(&settings.deployment.state_dir, "load-founder")?;
    let mut keeper = PlanKeeper::open(settings, &folder)?;
    let mut again = tokio::time::interval(ASK_AGAIN);
    let complete = |held: &HeldPlan| {
        (0..fleet.feeders()).all(|index| {
            let feeder = fleet.feeder(index);
            let known = held.plan.feeder(feeder, WindowStart(u64::MAX));
            known.is_some() && held.plan.analytics_for(feeder).is_some()
        })
    };
    while !keeper.current().is_some_and(|held| complete(&held)) {
        tokio::select! {
            () = stop.stopped() => return Err(Interrupted.into()),
            _ = again.tick() => {
                let (topic, bytes) = fleet.founding(&settings.deployment.id, &topics);
                publisher.publish(topic, bytes, false).await?;
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
    line.stop();
    Ok(())
}
