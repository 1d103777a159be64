//! What `doctor` checks of a holder's set-up.

use service::doctor::{Findings, Subject, Trusted};
use service::{Chain, Settings};
use wire::Topics;

use crate::keys::Folder;
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

fn examine(settings: &Settings, trusted: &Trusted, findings: &mut Findings) {
    const CHECK: &str = "mask keys";
    let parts = match Folder::open(settings).and_then(|folder| folder.parts()) {
        Ok(parts) => parts,
        Err(error) => {
            let remedy =
                "`holder init` makes a holder's own keys; what was there comes back from a backup";
            return findings.fail(CHECK, Chain(&error).to_string(), remedy);
        }
    };
    let id = &settings.holder.id;
    let agreements = trusted.plan.iter().flat_map(|held| &held.plan.holders);
    let own = agreements.filter(|agreement| agreement.terms.place(id).is_some());
    let (known, missing): (Vec<_>, Vec<_>) = own
        .map(|agreement| &agreement.terms)
        .partition(|terms| parts.contains_key(&terms.digest()));
    match (missing.first(), known.last(), parts.len()) {
        (Some(terms), ..) => findings.fail(
            CHECK,
            format!(
                "this holder is in agreement {} of the plan, and has no part of its keys",
                terms.generation
            ),
            "restore the folder from a backup, or let the others go on without this holder",
        ),
        (None, Some(terms), _) => findings.ok(
            CHECK,
            format!(
                "agreement {}, {}, from {} on",
                terms.generation,
                terms.name(),
                terms.from
            ),
        ),
        (None, None, 0) => findings.warn(
            CHECK,
            "this holder has a part of no agreement's keys".to_owned(),
            "`holder propose`, `holder deal` and `holder accept` make an agreement",
        ),
        (None, None, parts) => findings.warn(
            CHECK,
            format!("this holder has parts of {parts} agreements, and none of them is in a plan that is cached here"),
            "give the agreement to the operator, and start the holder while the operator runs",
        ),
    }
}
