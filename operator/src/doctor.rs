//! What `doctor` checks of the operator's set-up.

mod holders;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use service::doctor::{Findings, Subject, Takes, Trusted};
use service::{Chain, Settings, files};
use wire::{Plan, Topics};

use crate::keys::keyring::MAX_KEY_BYTES;
use crate::plan::book::PlanBook;
use crate::plan::stored::{stored_plan, unowned};
use crate::release::ledger::{self, State};
use crate::setup;

/// The plan, the roster, keys of some epochs, pad keys of two million meters, and sums waiting to be decrypted.
const MEMORY: u64 = 384 << 20;

/// Two connections, the metrics endpoint with its visitors, journals.
const DESCRIPTORS: u64 = 64;

/// What the operator needs, and the checks that only it can make.
#[must_use]
pub fn subject(settings: &Settings) -> Subject {
    let folder = setup::folder(settings);
    let listens = [
        ("operator.metrics_listen", settings.operator.metrics_listen),
        ("operator.live_listen", settings.operator.live_listen),
    ];
    let listens = listens.into_iter();
    let subscriptions = Topics::new(&settings.deployment.root).map(|topics| {
        let requests = [topics.enrol_filter(), topics.analytics_enrol_filter()];
        // Those of one feeder, while it searches for the meter that spoils a sum.
        let others = [
            topics.sum_filter(),
            topics.bill_filter(),
            topics.report_filter(),
        ];
        requests.into_iter().chain(others).collect()
    });
    Subject {
        process: "operator",
        secrets: secrets(&folder, settings.operator.credentials_dir.as_deref()),
        folder: Some(folder),
        listens: listens
            .filter_map(|(key, address)| Some((key, address?)))
            .collect(),
        client: true,
        subscriptions: subscriptions.unwrap_or_default(),
        takes: Takes::Nothing,
        descriptors: DESCRIPTORS,
        memory: MEMORY + settings.operator.search_max_bytes as u64,
        feed: None,
        examine,
    }
}

/// The signing key and the keys of all epochs that are in the folder, and those of a first start unless they are credentials.
fn secrets(folder: &Path, credentials: Option<&Path>) -> Vec<PathBuf> {
    let mut names: BTreeSet<String> = key_names(folder).collect();
    names.extend(["signing.key", "epoch-1.key", "mask-1.key"].map(str::to_owned));
    let elsewhere = |name: &String| credentials.is_some_and(|folder| folder.join(name).exists());
    let names = names.into_iter();
    names
        .filter(|name| folder.join(name).exists() || !elsewhere(name))
        .map(|name| folder.join(name))
        .collect()
}

/// Files in a folder that have the name of a key.
fn key_names(folder: &Path) -> impl Iterator<Item = String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    names.filter(|name| name.ends_with(".key"))
}

fn examine(settings: &Settings, _: &Trusted, findings: &mut Findings) {
    openfhe(findings);
    let folder = setup::folder(settings);
    credentials(settings, &folder, findings);
    identity(settings, &folder, findings);
    ledger(settings, &folder, findings);
    holders::examine(settings, findings);
    enrolment(settings, findings);
}

fn openfhe(findings: &mut Findings) {
    let tested = openfhe::self_test().map_err(|error| error.to_string());
    findings.encryption(tested);
}

fn credentials(settings: &Settings, folder: &Path, findings: &mut Findings) {
    const CHECK: &str = "credential";
    let Some(credentials) = &settings.operator.credentials_dir else {
        return;
    };
    if !credentials.is_dir() {
        findings.fail(
            CHECK,
            format!(
                "operator.credentials_dir = {} is not a folder",
                credentials.display()
            ),
            "correct it; systemd makes the one it gives a unit only while the unit runs",
        );
        return;
    }
    for name in key_names(credentials) {
        let path = credentials.join(&name);
        let shown = path.display();
        match files::read_credential(&path, MAX_KEY_BYTES) {
            Ok(_) if folder.join(&name).exists() => findings.warn(
                CHECK,
                format!(
                    "{shown} is used, and there is a {name} in {} too",
                    folder.display()
                ),
                "once the operator has run with the credential, remove the other",
            ),
            Ok(_) => findings.ok(CHECK, format!("{shown} is private")),
            Err(error) => findings.fail(
                CHECK,
                Chain(&error).to_string(),
                "`chmod 600` it, or correct the unit",
            ),
        }
    }
}

/// The signing key and the plan, and whether the settings agree with them.
fn identity(settings: &Settings, folder: &Path, findings: &mut Findings) {
    const CHECK: &str = "plan";
    let public = files::verifying_key_path(&folder.join("signing.key"));
    let Ok(key) = std::fs::read_to_string(&public) else {
        findings.ok(CHECK, "the first start makes the keys and the plan");
        return;
    };
    let key = key.trim();
    let configured = settings.deployment.operator_key;
    if let Some(configured) = configured.filter(|configured| configured.to_string() != key) {
        findings.fail(
            CHECK,
            format!("deployment.operator_key is {configured}, but this operator's key is {key}"),
            "use the right state folder, or correct the setting everywhere",
        );
        return;
    }
    let stored = Topics::new(&settings.deployment.root)
        .map_err(anyhow::Error::from)
        .and_then(|topics| {
            Ok(stored_plan(
                folder,
                &settings.deployment.id,
                &topics.plan(),
            )?)
        });
    match stored {
        Ok(Some(plan)) => {
            findings.ok(
                CHECK,
                format!(
                    "version {} with {} feeders, signed by {key}",
                    plan.version,
                    plan.feeders.len()
                ),
            );
            owners(&plan, findings);
        }
        Ok(None) => findings.ok(CHECK, format!("the next start makes it, signed by {key}")),
        Err(error) => findings.fail(
            CHECK,
            format!("{error:#}"),
            "restore the state folder from a backup",
        ),
    }
}

/// Whether the ledger can be used and is the newest copy.
fn ledger(settings: &Settings, folder: &Path, findings: &mut Findings) {
    const CHECK: &str = "ledger";
    let expected = PlanBook::is_stored(folder);
    match ledger::state(folder, &settings.deployment.id, expected) {
        Ok(None) => findings.ok(
            CHECK,
            "the next start makes it, or brings that of an earlier version to this format",
        ),
        Ok(Some(state)) => {
            findings.ok(
                CHECK,
                format!(
                    "{} opened sums of {} feeders, as many as releases.count says or more",
                    state.sums,
                    state.newest.len()
                ),
            );
            refusals(settings, &state, findings);
        }
        Err(error) if error.is_left_open() => findings.warn(
            CHECK,
            Chain(&error).to_string(),
            "start the operator: it verifies the ledger and completes it",
        ),
        Err(error) => findings.fail(
            CHECK,
            Chain(&error).to_string(),
            "see \"Backups\" in docs/operations.md; never remove the ledger",
        ),
    }
}

/// Whether sums of the newest key epochs can still be opened.
fn refusals(settings: &Settings, state: &State, findings: &mut Findings) {
    const CHECK: &str = "refusals";
    let max = settings.operator.max_refusals;
    let Some((epoch, &refused)) = state.refusals.last_key_value() else {
        return;
    };
    let found = format!(
        "{refused} sums of key epoch {epoch} did not open, of at most {max} (operator.max_refusals)"
    );
    if refused >= max {
        findings.fail(
            CHECK,
            format!("{found}: no sum of it is opened any more"),
            "find out in the log and in totals.refused.jsonl who spoils sums, then run `operator rotate`",
        );
    } else {
        findings.warn(
            CHECK,
            found,
            "find out in the log and in totals.refused.jsonl who spoils sums; `operator rotate` begins a new epoch",
        );
    }
}

/// Whether every feeder has an analytics service.
fn owners(plan: &Plan, findings: &mut Findings) {
    let without = unowned(plan);
    if let (Some(first), false) = (
        without.first(),
        plan.analytics.is_empty() && plan.pool.is_empty(),
    ) {
        findings.warn(
            "owners",
            format!(
                "{} feeders, of which {first} is the first, belong to no analytics service",
                without.len()
            ),
            "start a service whose `analytics.feeders` lists them; until then their reports wait at the gateways",
        );
    }
}

fn enrolment(settings: &Settings, findings: &mut Findings) {
    if setup::enrols_automatically(settings) {
        findings.ok(
            "enrolment",
            "automatic: whoever asks on loopback is enrolled",
        );
    } else {
        findings.ok(
            "enrolment",
            "by approval: `operator pending`, `operator approve`",
        );
    }
}
