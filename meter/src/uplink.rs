//! The uplink: sealed reports to the broker, over one connection or one a meter.

use service::config::{Connections, Settings};
use service::failpoint;
use service::mqtt::{self, Inbox, Publisher};
use service::stop::Stop;
use service::telemetry::{ReportId, Trace};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wire::{DeploymentId, GatewayId, MeterId, Shard, Topic, Topics};

use crate::fleet::Fleet;
use crate::journal::Shown;
use crate::member::Member;
use crate::metrics;
use crate::outbox::Sealed;

/// Reports handed over and not yet published. Small: what is in it has no receipt before it is sent.
const QUEUE: usize = 4;

/// Something on its way to the broker.
#[derive(Debug)]
pub(crate) enum Departure {
    /// A report, to be added.
    Report {
        report: Sealed,
        /// That of its feeder.
        shard: Shard,
        /// Whether it has been sent before.
        again: bool,
    },
    /// A report that a holder demanded.
    Shown(Shown),
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
    let names = (deployment, settings.meter.gateway.clone(), topics);
    let members = fleet.members.clone();
    let task = tokio::spawn(run(receiver, names, members, lines));
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
    (deployment, own, topics): (DeploymentId, GatewayId, Topics),
    members: std::sync::Arc<Vec<Member>>,
    lines: Lines,
) {
    let gateway = match &lines {
        Lines::Gateway(publisher) | Lines::PerMeter(_, publisher) => publisher,
    };
    while let Some(departure) = departures.recv().await {
        let (report, shard, again) = match departure {
            Departure::Report {
                report,
                shard,
                again,
            } => (report, shard, again),
            Departure::Shown(shown) => {
                metrics::audit::shown();
                let topic = topics.of(&Topic::AuditedReport {
                    holder: shown.holder,
                    gateway: own.clone(),
                });
                match gateway.publish(topic, shown.payload, false).await {
                    Ok(_) => continue,
                    Err(_) => return,
                }
            }
        };
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
