//! What `doctor` checks of a gateway's set-up.

mod readings;

use std::path::PathBuf;

use service::config::Connections;
use service::doctor::{Findings, Subject, Takes, Trusted};
use service::trust::RosterScope;
use service::{Chain, Settings};
use wire::Topics;

use crate::seal::known_answers;
use crate::{fleet, gateway, live, notices};

/// A sealed report under way, and what a waiting one takes in memory, in bytes.
const REPORT: u64 = 14_500;

/// The source of readings, the journal's cache and, with OpenFHE, its tables.
const OWN_MEMORY: u64 = 128 << 20;

/// The metrics endpoint with its visitors, the journal, one connection.
const OWN_DESCRIPTORS: u64 = 64;

/// What a gateway needs, and the checks that only it can make.
#[must_use]
pub fn subject(settings: &Settings) -> Subject {
    let meter = &settings.meter;
    let folder = folder(settings);
    let metrics = meter.metrics_listen;
    let metrics = metrics.map(|address| ("meter.metrics_listen", address));
    let connections = match meter.connections {
        Connections::Gateway => 1,
        Connections::PerMeter => u64::from(meter.meters),
    };
    let roster = RosterScope::Of(meter.gateway.clone());
    let subscriptions = Topics::new(&settings.deployment.root);
    let subscriptions = subscriptions.map(|topics| gateway::subscriptions(settings, &topics));
    Subject {
        process: "meter",
        secrets: vec![folder.join("gateway.key"), folder.join(fleet::KEYS)],
        folder: Some(folder),
        listens: metrics.into_iter().collect(),
        client: true,
        subscriptions: subscriptions.unwrap_or_default(),
        takes: Takes::Roster(roster),
        descriptors: connections + OWN_DESCRIPTORS,
        memory: OWN_MEMORY + REPORT.saturating_mul(meter.max_unreceipted as u64),
        feed: live::subscribed(settings),
        examine,
    }
}

fn examine(settings: &Settings, trusted: &Trusted, findings: &mut Findings) {
    sealing(settings, findings);
    readings::examine(settings, trusted, findings);
    floor(settings, trusted, findings);
    holders(settings, trusted, findings);
    enrolled(settings, trusted, findings);
    said(settings, findings);
}

/// What the gateway said last of what is wrong, which nobody else can see: it takes back what is over.
fn said(settings: &Settings, findings: &mut Findings) {
    const REMEDY: &str =
        "do what it says; it is taken back once it is over, or with the next start";
    match notices::read(&folder(settings)) {
        Ok(notices) => {
            for (notice, text) in notices {
                let text = format!("the gateway said last: {text}");
                findings.warn(notice.name(), text, REMEDY);
            }
        }
        Err(error) => findings.warn(
            "notices",
            format!("what the gateway said last cannot be read: {error}"),
            "run doctor as the user of the process",
        ),
    }
}

fn folder(settings: &Settings) -> PathBuf {
    let gateway = settings.meter.gateway.as_str();
    settings.deployment.state_dir.join(gateway)
}

fn floor(settings: &Settings, trusted: &Trusted, findings: &mut Findings) {
    let floor = settings.meter.min_meters_floor;
    findings.min_meters(trusted, "meter.min_meters_floor", floor);
}

/// Whether the holders of mask keys are those that this gateway knows of itself. A plan whose holders are not is not kept.
fn holders(settings: &Settings, trusted: &Trusted, findings: &mut Findings) {
    const CHECK: &str = "holders";
    let pinned = &settings.holders.pinned;
    let Some(held) = &trusted.plan else {
        return;
    };
    match (held.plan.holders.last(), pinned.is_empty()) {
        (None, _) => findings.ok(CHECK, "none: the operator alone opens sums"),
        (Some(agreement), false) => findings.ok(
            CHECK,
            format!(
                "{}: the {} pinned ones, or those that they let follow",
                agreement.terms.name(),
                pinned.len()
            ),
        ),
        (Some(agreement), true) => {
            let terms = &agreement.terms;
            let names: Vec<_> = terms
                .holders
                .iter()
                .map(|holder| holder.id.as_str())
                .collect();
            findings.warn(
                CHECK,
                format!(
                    "the plan has {} ({}), and none is pinned: the operator could put others in their place",
                    names.join(", "),
                    terms.name()
                ),
                format!(
                    "ask each of them for its key, and set holders.pinned, holders.threshold = {} and holders.consents = {}",
                    terms.threshold, terms.consents
                ),
            );
        }
    }
}

fn sealing(settings: &Settings, findings: &mut Findings) {
    const CHECK: &str = "sealing";
    match known_answers() {
        Ok(answers) => findings.ok(
            CHECK,
            format!(
                "encrypts as OpenFHE did in all {answers} known answers, with {}",
                seal::Kernel::best()
            ),
        ),
        Err(error) => findings.fail(
            CHECK,
            Chain(&error).to_string(),
            "build again; if that does not help, the processor or its memory is at fault: use another machine",
        ),
    }
    #[cfg(feature = "openfhe")]
    if settings.meter.sealer == service::config::SealerKind::Openfhe {
        let tested = openfhe::self_test().map_err(|error| error.to_string());
        findings.encryption(tested);
    }
    #[cfg(not(feature = "openfhe"))]
    let _ = settings;
}

/// How many of the meters with a key here the roster has.
fn enrolled(settings: &Settings, trusted: &Trusted, findings: &mut Findings) {
    const CHECK: &str = "enrolled";
    const REMEDY: &str = "start it while the operator runs; with manual enrolment, `operator pending` and `operator \
                          approve` admit it";
    let gateway = &settings.meter.gateway;
    let meters = match fleet::public_keys(&folder(settings)) {
        Ok(Some(meters)) => meters,
        // A file that cannot be used is a finding already.
        Ok(None) | Err(_) => {
            findings.ok(
                CHECK,
                format!("{gateway} has no meters yet: the first start makes their keys"),
            );
            return;
        }
    };
    let enrolled = trusted.roster.as_ref().map_or(0, |roster| {
        let known = meters.iter().filter(|(meter, keys)| {
            let entry = roster.meter(meter);
            entry.is_some_and(|entry| {
                *entry.key == keys.verifying
                    && *entry.mask_key == keys.mask
                    && *entry.gateway == *gateway
            })
        });
        known.count()
    });
    let text = format!(
        "{enrolled} of the {} meters of {gateway} are in the roster",
        meters.len()
    );
    if enrolled < meters.len() {
        findings.warn(CHECK, text, REMEDY);
    } else {
        findings.ok(CHECK, text);
    }
}
