//! The uplink: sealed reports to the broker, over one connection or one a meter.

use service::config::{Connections, Settings};
use service::failpoint;
use service::mqtt::{self, Inbox, Publisher};
use service::stop::Stop;
use service::telemetry::{ReportId, Trace};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wire::{DeploymentId, MeterId, Shard, Topics};

use crate::fleet::Fleet;
use crate::member::Member;
use crate::metrics;
use crate::outbox::Sealed;

/// Reports handed over and not yet published. Small: what is in it has no receipt before it is sent.
const QUEUE: usize = 4;

/// A report on its way to the broker.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) report: Sealed,
    /// That of its feeder.
    pub(crate) shard: Shard,
    /// Whether it has been sent before.
    pub(crate) again: bool,
}

/// Connections over which reports leave.
enum Lines {
    Gateway(Publisher),
    /// One for each meter of the fleet; those that are gone share the gateway's.
    PerMeter(Vec<Publisher>, Publisher),
}

/// Starts the uplink; it ends when the sender is dropped and what it took is published, or when `stop` fires: what it
/// had not published by then is in the journal.
pub(crate) fn spawn(
    settings: &Settings,
    topics: Topics,
    fleet: &Fleet,
    gateway: Publisher,
    stop: Stop,
) -> (mpsc::Sender<Departure>, JoinHandle<()>) {
    let lines = match settings.meter.connections {
        Connections::Gateway => Lines::Gateway(gateway),
        Connections::PerMeter => Lines::PerMeter(
            fleet
                .specs
                .iter()
                .map(|spec| connect(settings, &spec.id, stop.clone()))
                .collect(),
            gateway,
        ),
    };
    let (sender, receiver) = mpsc::channel(QUEUE);
    let deployment = settings.deployment.id.clone();
    let members = fleet.members.clone();
    let task = tokio::spawn(run(receiver, deployment, topics, members, lines));
    (sender, task)
}

fn connect(settings: &Settings, id: &MeterId, stop: Stop) -> Publisher {
    let client = mqtt::Client::Meter(&settings.meter.gateway, id).id(&settings.deployment);
    let (publisher, inbox) = mqtt::connect(&settings.mqtt, &client, Vec::new(), stop);
    tokio::spawn(drain(inbox));
    publisher
}

async fn drain(mut inbox: Inbox) {
    while inbox.recv().await.is_some() {}
}

async fn run(
    mut departures: mpsc::Receiver<Departure>,
    deployment: DeploymentId,
    topics: Topics,
    members: std::sync::Arc<Vec<Member>>,
    lines: Lines,
) {
    while let Some(departure) = departures.recv().await {
        let Departure {
            report,
            shard,
            again,
        } = departure;
        let Some(member) = members.get(report.meter) else {
            continue;
        };
        let publisher = match &lines {
            Lines::Gateway(publisher) => publisher,
            Lines::PerMeter(publishers, gateway) => publishers.get(report.meter).unwrap_or(gateway),
        };
        let topic = topics.report(shard, &member.feeder, &member.meter);
        metrics::published(again);
        tracing::debug!(
            trace_id = %Trace { deployment: &deployment, feeder: &member.feeder, window: report.window },
            report = %ReportId(&report.digest), meter = %member.meter, again,
            "published"
        );
        failpoint::hit("meter.before_publish");
        if publisher
            .publish(topic, report.payload, false)
            .await
            .is_err()
        {
            return;
        }
        failpoint::hit("meter.after_publish");
    }
}
