//! What `doctor` checks of a holder's set-up.

use service::config::Settings;
use service::doctor::{Findings, Subject, Takes, Trusted};
use service::{Chain, cli};
use wire::{Plan, Terms, Topics};

use crate::audit::{self, AuditResult};
use crate::keys::{Folder, Part, path_of};
use crate::ledger::{FILE, Ledger};
use crate::run::subscriptions;

/// Pad keys of a hundred thousand meters, and the roster.
const MEMORY: u64 = 256 << 20;

/// One connection, the metrics endpoint with its visitors, the store.
const DESCRIPTORS: u64 = 64;

/// What a holder needs, and the checks that only it can make.
#[must_use]
pub fn subject(settings: &Settings) -> Subject {
    let folder = path_of(settings);
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
            .map(|topics| subscriptions(&topics, &settings.holder.id))
            .unwrap_or_default(),
        takes: Takes::Plan,
        descriptors: DESCRIPTORS,
        memory: MEMORY,
        feed: None,
        examine,
    }
}

fn examine(settings: &Settings, trusted: &Trusted, findings: &mut Findings) {
    const CHECK: &str = "mask keys";
    let folder = Folder::look(settings).and_then(|folder| Ok((folder.parts()?, folder)));
    let (parts, folder) = match folder {
        Ok(read) => read,
        Err(error) => {
            let remedy = "see \"Holders\" in docs/operations.md";
            findings.fail(CHECK, Chain(&error).to_string(), remedy);
            return;
        }
    };
    let parts: Vec<Part> = parts.into_values().collect();
    ledger(&folder, &parts, findings);
    audits(settings, &folder, findings);
    match &trusted.plan {
        Some(held) => agreements(&held.plan, &folder, &parts, findings),
        None if parts.is_empty() => findings.warn(
            CHECK,
            "there are none of an agreement",
            "`holder propose`, `deal` and `accept` make an agreement with the other holders",
        ),
        None => {
            let newest = parts.iter().map(|part| &part.terms);
            let newest = newest.max_by_key(|terms| terms.generation);
            let newest = newest.map_or_else(String::new, said);
            findings.ok(
                CHECK,
                format!("of {newest}, and of {} before it", parts.len() - 1),
            );
        }
    }
    rules(settings, trusted, findings);
}

/// Whether this holder has its part of what the plan's windows are sealed under.
fn agreements(plan: &Plan, folder: &Folder, parts: &[Part], findings: &mut Findings) {
    const CHECK: &str = "mask keys";
    let own = plan.holders.iter().map(|agreement| &agreement.terms);
    let own: Vec<&Terms> = own
        .filter(|terms| terms.place(&folder.id).is_some())
        .collect();
    if own.is_empty() {
        findings.warn(
            CHECK,
            format!(
                "none of the {} agreements in the plan has {}: nothing is asked of it",
                plan.holders.len(),
                folder.id
            ),
            "give the operator the agreement for holders.agreements; `holder show` says who is in it",
        );
    }
    for terms in own {
        let part = parts.iter().find(|part| part.terms == *terms);
        match part.map(|part| part.closed) {
            None => findings.fail(
                CHECK,
                format!("there are none of {}, which is in the plan", said(terms)),
                "restore the folder from a backup, without holder.redb; where there is none, have this holder replaced",
            ),
            Some(Some(closed)) => findings.ok(
                CHECK,
                format!("of {}; closed from {} on", said(terms), cli::time(closed.from)),
            ),
            Some(None) if terms.is_strong() => findings.ok(CHECK, format!("of {}", said(terms))),
            Some(None) => findings.warn(
                CHECK,
                format!("of {}", said(terms)),
                "nothing, if fewer holders than the threshold may tell a single reading; else agree on more consents",
            ),
        }
    }
}

fn said(terms: &Terms) -> String {
    let generation = terms.generation;
    format!(
        "agreement {generation} ({}, {} consents)",
        terms.name(),
        terms.consents
    )
}

/// Whether what this holder consented to is in its folder, as a file of this machine.
fn ledger(folder: &Folder, parts: &[Part], findings: &mut Findings) {
    const CHECK: &str = "ledger";
    if parts.is_empty() {
        return findings.ok(CHECK, "it comes with the first agreement");
    }
    if let Err(error) = Ledger::is_there(folder.path()) {
        let remedy = "have this holder replaced";
        return findings.fail(CHECK, Chain(&error).to_string(), remedy);
    }
    let path = folder.path().join(FILE);
    match path.is_symlink() {
        false => findings.ok(CHECK, format!("{} is there", path.display())),
        true => findings.warn(
            CHECK,
            format!("{} is a link to another folder", path.display()),
            "put the ledger itself there: a second copy of it could consent twice",
        ),
    }
}

/// What audits came to, as far as is remembered.
fn audits(settings: &Settings, folder: &Folder, findings: &mut Findings) {
    const CHECK: &str = "audits";
    let records = match audit::read_all(folder.path()) {
        Ok(records) => records,
        Err(error) => {
            let remedy = "look at the folder `audits` in the holder's state folder";
            return findings.warn(CHECK, Chain(&error).to_string(), remedy);
        }
    };
    let verdicts = records.iter().filter_map(|record| record.verdict.as_ref());
    let wrong = verdicts.filter(|verdict| verdict.result == AuditResult::Wrong);
    let (all, share) = (records.len(), settings.holder.audit_share);
    match wrong.count() {
        0 => findings.ok(CHECK, format!("of {all} none is wrong; a share of {share} of the sums is audited")),
        wrong => findings.warn(
            CHECK,
            format!("of {all} {wrong} are wrong"),
            "`holder audit --results` says whose; docs/runbook.md has what to do (CipherwattAuditWrong)",
        ),
    }
}

/// What this holder goes by itself, whatever the operator says.
fn rules(settings: &Settings, trusted: &Trusted, findings: &mut Findings) {
    let own = &settings.holder;
    let floor = own.min_meters_floor;
    let planned = trusted.plan.as_ref().map(|held| held.plan.min_meters);
    match planned {
        Some(planned) if planned < floor => findings.warn(
            "minimum group",
            format!("plan.min_meters is {planned}, and this holder refuses sums of fewer than holder.min_meters_floor = {floor}"),
            "ask the operator why, and have it raised; lower the floor only if you may",
        ),
        _ => findings.ok("minimum group", format!("no sum of fewer than {floor} meters")),
    }
    match settings.enrols_automatically(own.enrolment) {
        true => findings.ok(
            "enrolment",
            "automatic: pages of the roster are countersigned unless they contradict earlier ones",
        ),
        false => findings.ok(
            "enrolment",
            "by approval: a person decides on new meters, and on those that leave",
        ),
    }
}
