//! Sending on several connections, settling by receipts, and sending again what has none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use service::clock::{Clock as _, SystemClock};
use service::config::Settings;
use service::mqtt::{self, Event, Inbox, Publisher};
use service::stop::{Stop, StopHandle};
use tokio::task::JoinSet;
use wire::{Receipt, Report, Sequence, Status, UnixMillis, Unverified};

use super::fleet::{Fleet, meter_index};
use super::pool::Pool;
use super::schedule::Schedule;

/// Age at which a report without a receipt is sent again.
const RETRY: Duration = Duration::from_secs(5);

/// The generator at work.
pub struct Lines {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    stop: StopHandle,
}

struct Shared {
    settings: Settings,
    fleet: Members,
    pool: Pool,
    schedule: Arc<Schedule>,
    sealed_at: UnixMillis,
    resent: AtomicU64,
    refused: AtomicU64,
}

/// A fleet without its inbox, which the receiving task has.
struct Members {
    gateway: wire::GatewayId,
    topics: wire::Topics,
    held: Arc<service::plan::HeldPlan>,
    members: Vec<(wire::MeterId, wire::SigningKey)>,
}

impl Lines {
    /// Starts `connections` senders, the receiver and the repeater.
    #[must_use]
    pub fn start(
        settings: &Settings,
        fleet: Fleet,
        pool: Pool,
        schedule: Arc<Schedule>,
        connections: u32,
    ) -> Self {
        let Fleet {
            gateway,
            topics,
            held,
            members,
            inbox,
        } = fleet;
        let (stop, stopped) = Stop::manual();
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            fleet: Members {
                gateway,
                topics,
                held,
                members,
            },
            pool,
            schedule,
            sealed_at: SystemClock.now(),
            resent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(receive(shared.clone(), inbox));
        shared.schedule.start();
        for line in 0..connections {
            let client = format!("load-line-{line}");
            let (publisher, inbox) =
                mqtt::connect(&settings.mqtt, &client, Vec::new(), stopped.clone());
            tasks.spawn(drain(inbox));
            if line == 0 {
                tasks.spawn(repeat(shared.clone(), publisher.clone()));
            }
            tasks.spawn(send(
                shared.clone(),
                publisher,
                u64::from(line),
                u64::from(connections),
            ));
        }
        Self {
            shared,
            tasks,
            stop,
        }
    }

    /// Stops the generator. Returns how many reports it sent again and how many were refused.
    pub async fn stop(mut self) -> (u64, u64) {
        self.stop.stop();
        self.tasks.shutdown().await;
        (
            self.shared.resent.load(Ordering::Relaxed),
            self.shared.refused.load(Ordering::Relaxed),
        )
    }
}

impl Shared {
    /// Report `n` with its signature: the same bytes whenever it is made.
    fn seal(&self, n: u64) -> (String, Vec<u8>) {
        let slot = self.schedule.slot(n);
        let (meter, key) = &self.fleet.members[slot.meter as usize];
        let plan = &self.fleet.held.plan;
        let setting = plan.feeder(&slot.feeder, slot.window);
        let report = Report {
            plan_version: setting.map_or(plan.version, |setting| setting.since),
            epoch: plan.epochs[0].epoch,
            feeder: slot.feeder,
            meter: meter.clone(),
            gateway: self.fleet.gateway.clone(),
            window: slot.window,
            sequence: Sequence(n),
            sealed_at: self.sealed_at,
            clamped: 0,
            missing: 0,
        };
        let topic = self.fleet.topics.report(&report.feeder, meter);
        let (payload, _) = wire::seal(
            &report,
            Some(self.pool.limbs(n)),
            &self.settings.deployment.id,
            &topic,
            key,
        );
        (topic, payload)
    }

    fn settle(&self, topic: &str, payload: &bytes::Bytes) {
        let opened = wire::decode_shared(payload, self.settings.mqtt.max_packet_bytes).and_then(
            |unverified: Unverified<Receipt>| {
                let plan = &self.fleet.held.plan;
                let from = &unverified.claimed().analytics;
                let key = plan
                    .analytics
                    .iter()
                    .find(|entry| entry.id == *from)
                    .map(|entry| entry.key);
                let key = key.unwrap_or_else(|| wire::VerifyingKey::from_bytes([0; 32]));
                unverified.verify(&self.settings.deployment.id, topic, &key)
            },
        );
        let Ok(opened) = opened else { return };
        for entry in opened.message.entries {
            let number = meter_index(&entry.meter)
                .and_then(|meter| self.schedule.number(meter, entry.window));
            match (number, entry.status) {
                (Some(n), Status::Folded | Status::Duplicate) => self.schedule.settle(n),
                _ => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Sends every `step`-th report from `first` on, each when it is due.
async fn send(shared: Arc<Shared>, publisher: Publisher, first: u64, step: u64) {
    let mut n = first;
    while n < shared.schedule.reports() {
        tokio::time::sleep_until(shared.schedule.due(n).into()).await;
        let (topic, payload) = shared.seal(n);
        if publisher.publish(topic, payload, false).await.is_err() {
            return;
        }
        shared.schedule.sent(n);
        n += step;
    }
}

async fn receive(shared: Arc<Shared>, mut inbox: Inbox) {
    while let Some(event) = inbox.recv().await {
        if let Event::Message(incoming) = event {
            shared.settle(&incoming.topic, &incoming.payload);
            inbox.ack(&incoming);
        }
    }
}

async fn drain(mut inbox: Inbox) {
    while inbox.recv().await.is_some() {}
}

/// Sends again what was due [`RETRY`] ago and has no receipt, each at most once in that time.
async fn repeat(shared: Arc<Shared>, publisher: Publisher) {
    let mut first_open = 0;
    loop {
        tokio::time::sleep(RETRY).await;
        while first_open < shared.schedule.reports() && shared.schedule.is_settled(first_open) {
            first_open += 1;
        }
        let mut n = first_open;
        while n < shared.schedule.reports() && shared.schedule.due(n).elapsed() > RETRY {
            if shared.schedule.is_open(n) {
                let (topic, payload) = shared.seal(n);
                if publisher.publish(topic, payload, false).await.is_err() {
                    return;
                }
                shared.resent.fetch_add(1, Ordering::Relaxed);
            }
            n += 1;
        }
    }
}
