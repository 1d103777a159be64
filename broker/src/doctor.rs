//! What `doctor` checks of the broker's set-up.

mod access;

use service::Settings;
use service::doctor::{Findings, Subject, Takes, Trusted};

/// Connections, listeners and files beside those of clients.
const OWN_DESCRIPTORS: u64 = 64;

/// The logs that fill: reports, and sums with their receipts.
const LOGS: u64 = 2;

/// What the broker needs, and the checks that only it can make.
#[must_use]
pub fn subject(settings: &Settings) -> Subject {
    let broker = &settings.broker;
    let metrics = broker.metrics_listen;
    let metrics = metrics.map(|address| ("broker.metrics_listen", address));
    let log = broker
        .segment_bytes
        .saturating_mul(broker.segment_count + 1);
    Subject {
        process: "broker",
        folder: None,
        secrets: Vec::new(),
        listens: [("broker.listen", broker.listen)]
            .into_iter()
            .chain(metrics)
            .collect(),
        client: false,
        subscriptions: Vec::new(),
        takes: Takes::Nothing,
        descriptors: broker.max_connections as u64 + OWN_DESCRIPTORS,
        memory: (log as u64).saturating_mul(LOGS),
        feed: None,
        examine,
    }
}

fn examine(settings: &Settings, _: &Trusted, findings: &mut Findings) {
    let broker = &settings.broker;
    access::examine(settings, findings);
    let largest = settings.mqtt.max_packet_bytes;
    if broker.max_payload_bytes < largest {
        findings.fail(
            "packet size",
            format!(
                "it refuses packets over {} bytes, and clients send up to {largest}",
                broker.max_payload_bytes
            ),
            "raise broker.max_payload_bytes to mqtt.max_packet_bytes",
        );
    }
}
