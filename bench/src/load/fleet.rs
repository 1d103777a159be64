//! The meters: ids, keys, and their enrolment with the operator.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use service::config::Settings;
use service::mqtt::{self, Event, Inbox, Publisher, QoS};
use service::plan::{HeldPlan, PlanKeeper};
use service::roster::RosterKeeper;
use service::stop::Stop;
use wire::{EnrolRequest, FeederId, GatewayId, MeterId, SigningKey, Topic, Topics, Watts};

use super::pool::GREATEST_WH;
use super::schedule::{INTERVAL_S, Schedule};

/// Meters in one enrolment request.
const CHUNK: u32 = 4_096;
/// How often enrolment is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Longest wait for the plan and the roster.
const PATIENCE: Duration = Duration::from_secs(120);

/// Enrolled meters behind one gateway, and the connection that receives for it.
pub struct Fleet {
    /// The gateway's name.
    pub gateway: GatewayId,
    /// The topics.
    pub topics: Topics,
    /// The plan, with a setting for every feeder and an analytics service.
    pub held: Arc<HeldPlan>,
    /// The meters, in the schedule's order.
    pub members: Vec<(MeterId, SigningKey)>,
    /// Receives receipts.
    pub inbox: Inbox,
}

impl Fleet {
    /// Makes the meters and has the operator enrol them.
    ///
    /// # Errors
    /// Where that takes too long.
    pub async fn enrol(settings: &Settings, schedule: &Schedule, stop: &Stop) -> Result<Self> {
        let gateway: GatewayId = "load".parse()?;
        let topics = Topics::new(&settings.deployment.root)?;
        let members = (0..schedule.meters())
            .map(|meter| Ok((meter_id(meter)?, SigningKey::generate())))
            .collect::<Result<Vec<_>>>()?;
        let filters = [
            topics.plan(),
            topics.roster_filter(),
            topics.receipt(&gateway),
        ];
        let subscriptions = filters.map(|filter| (filter, QoS::AtLeastOnce)).to_vec();
        let (publisher, inbox) = mqtt::connect(
            &settings.mqtt,
            gateway.as_ref(),
            subscriptions,
            stop.clone(),
        );
        let folder =
            service::files::state_folder(&settings.deployment.state_dir, gateway.as_ref())?;
        let plan = PlanKeeper::open(settings, &folder)?;
        let roster = RosterKeeper::open(settings, &folder, plan.operator_key())?;
        let requests = requests(settings, &topics, &gateway, schedule, &members)?;
        let mut waiting = Waiting {
            plan,
            roster,
            topics: &topics,
            schedule,
            inbox,
        };
        let held = tokio::time::timeout(
            PATIENCE,
            waiting.until_enrolled(&publisher, &requests, &topics.enrol(&gateway)),
        )
        .await
        .context("the operator did not enrol the meters in time")??;
        let inbox = waiting.inbox;
        Ok(Self {
            gateway,
            topics,
            held,
            members,
            inbox,
        })
    }
}

fn meter_id(index: u32) -> Result<MeterId> {
    Ok(format!("load-{index:07}").parse()?)
}

/// The index of a meter of [`Fleet`].
#[must_use]
pub fn meter_index(id: &MeterId) -> Option<u32> {
    id.as_ref().strip_prefix("load-")?.parse().ok()
}

fn requests(
    settings: &Settings,
    topics: &Topics,
    gateway: &GatewayId,
    schedule: &Schedule,
    members: &[(MeterId, SigningKey)],
) -> Result<Vec<Vec<u8>>> {
    let key = SigningKey::generate();
    let capacity = Watts(GREATEST_WH.unsigned_abs() * 3600 / u64::from(INTERVAL_S));
    let mut feeders: Vec<(FeederId, Watts)> = (0..schedule.feeders())
        .map(|index| (schedule.feeder(index).clone(), capacity))
        .collect();
    feeders.sort();
    let chunks = schedule.meters().div_ceil(CHUNK);
    let topic = topics.enrol(gateway);
    Ok((0..chunks)
        .map(|chunk| {
            let indices = chunk * CHUNK..((chunk + 1) * CHUNK).min(schedule.meters());
            let request = EnrolRequest {
                gateway: gateway.clone(),
                gateway_key: key.verifying_key(),
                chunk,
                chunks,
                feeders: feeders.clone(),
                meters: indices
                    .map(|index| {
                        let (id, key) = &members[index as usize];
                        (
                            id.clone(),
                            schedule.feeder(index).clone(),
                            capacity,
                            key.verifying_key(),
                        )
                    })
                    .collect(),
            };
            wire::seal(&request, None, &settings.deployment.id, &topic, &key).0
        })
        .collect())
}

struct Waiting<'a> {
    plan: PlanKeeper,
    roster: RosterKeeper,
    topics: &'a Topics,
    schedule: &'a Schedule,
    inbox: Inbox,
}

impl Waiting<'_> {
    async fn until_enrolled(
        &mut self,
        publisher: &Publisher,
        requests: &[Vec<u8>],
        topic: &str,
    ) -> Result<Arc<HeldPlan>> {
        let mut ask = tokio::time::interval(ASK_AGAIN);
        loop {
            tokio::select! {
                _ = ask.tick() => {
                    for request in requests {
                        publisher.publish(topic, request.clone(), false).await?;
                    }
                }
                event = self.inbox.recv() => match event {
                    Some(Event::Message(incoming)) => {
                        self.take(&incoming);
                        self.inbox.ack(&incoming);
                    }
                    Some(Event::Connected) => ask.reset_immediately(),
                    Some(Event::Disconnected { .. }) => {}
                    None => bail!("the connection ended"),
                },
            }
            if let Some(held) = self.enrolled() {
                return Ok(held);
            }
        }
    }

    fn take(&mut self, incoming: &mqtt::Incoming) {
        // What is refused here is refused and logged by the services too; without it, the wait runs out.
        match self.topics.parse(&incoming.topic) {
            Some(Topic::Plan) => drop(self.plan.offer(&incoming.topic, &incoming.payload)),
            Some(Topic::Roster { .. }) => {
                drop(self.roster.offer(
                    self.plan.operator_key(),
                    &incoming.topic,
                    &incoming.payload,
                ));
            }
            _ => {}
        }
    }

    fn enrolled(&self) -> Option<Arc<HeldPlan>> {
        let held = self.plan.current()?;
        let roster = self.roster.current()?;
        let window = self.schedule.slot(0).window;
        let ready = roster.len() >= self.schedule.meters() as usize
            && (0..self.schedule.feeders()).all(|index| {
                let feeder = self.schedule.feeder(index);
                held.plan.feeder(feeder, window).is_some()
                    && held.plan.analytics_for(feeder).is_some()
            });
        ready.then_some(held)
    }
}
