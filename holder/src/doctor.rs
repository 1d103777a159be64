//! What `doctor` checks of a holder's set-up.

use service::Settings;
use service::doctor::{Findings, Subject, Trusted};
use wire::Topics;

use crate::run::subscriptions;

/// Pad keys of a hundred thousand meters, and the roster.
const MEMORY: u64 = 256 << 20;

/// One connection, the metrics endpoint with its visitors, the store.
const DESCRIPTORS: u64 = 64;

/// What a holder needs, and the checks that only it can make.
#[must_use]
pub fn subject(settings: &Settings) -> Subject {
    let name = format!("{}-{}", crate::NAME, settings.holder.id);
    let folder = settings.deployment.state_dir.join(name);
    let metrics = settings.holder.metrics_listen;
    let metrics = metrics.map(|address| ("holder.metrics_listen", address));
    let topics = Topics::new(&settings.deployment.root);
    Subject {
        process: crate::NAME,
        secrets: vec![folder.join("signing.key"), folder.join("exchange.key")],
        folder: Some(folder),
        listens: metrics.into_iter().collect(),
        client: true,
        subscriptions: topics
            .map(|topics| subscriptions(&topics))
            .unwrap_or_default(),
        roster: None,
        descriptors: DESCRIPTORS,
        memory: MEMORY,
        feed: None,
        examine,
    }
}

fn examine(_: &Settings, _: &Trusted, _: &mut Findings) {}
