//! What `doctor` checks of the operator's set-up.

use std::path::{Path, PathBuf};

use packed::Profile;
use service::Settings;
use service::doctor::{Findings, Subject, Trusted};
use service::files;
use wire::Topics;

use crate::{plan, run};

/// The plan, the roster, keys of some epochs, and sums waiting to be decrypted.
const MEMORY: u64 = 256 << 20;

/// One connection, the metrics endpoint with its visitors, journals.
const DESCRIPTORS: u64 = 64;

/// What the operator needs, and the checks that only it can make.
#[must_use]
pub fn subject(settings: &Settings) -> Subject {
    let folder = run::folder(settings);
    let metrics = settings.operator.metrics_listen;
    let metrics = metrics.map(|address| ("operator.metrics_listen", address));
    Subject {
        process: "operator",
        secrets: secrets(&folder),
        folder: Some(folder),
        listens: metrics.into_iter().collect(),
        client: true,
        member: false,
        descriptors: DESCRIPTORS,
        memory: MEMORY,
        examine,
    }
}

/// The signing key and the keys of all epochs that are there, at least of the first.
fn secrets(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut secrets: Vec<_> = files
        .map(|file| file.file_name())
        .filter(|name| {
            name.to_str()
                .is_some_and(|name| name.starts_with("epoch-") && name.ends_with(".key"))
        })
        .map(|name| folder.join(name))
        .collect();
    secrets.sort();
    secrets.insert(0, folder.join("signing.key"));
    secrets
}

fn examine(settings: &Settings, _: &Trusted, findings: &mut Findings) {
    openfhe(settings, findings);
    let folder = run::folder(settings);
    identity(settings, &folder, findings);
    enrolment(settings, findings);
}

fn openfhe(settings: &Settings, findings: &mut Findings) {
    let name = &settings.plan.profile;
    let tested = Profile::by_name(name).map_err(|error| error.to_string());
    let tested =
        tested.and_then(|profile| openfhe::self_test(profile).map_err(|error| error.to_string()));
    findings.encryption(name, tested);
}

/// Signing key, plan and what the settings say of both.
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
            "bring the right state folder, or correct the setting everywhere",
        );
        return;
    }
    let stored = Topics::new(&settings.deployment.root)
        .map_err(anyhow::Error::from)
        .and_then(|topics| {
            Ok(plan::stored(
                folder,
                &settings.deployment.id,
                &topics.plan(),
            )?)
        });
    match stored {
        Ok(Some(plan)) => findings.ok(
            CHECK,
            format!(
                "version {} with {} feeders, signed by {key}",
                plan.version,
                plan.feeders.len()
            ),
        ),
        Ok(None) => findings.ok(CHECK, format!("the next start makes it, signed by {key}")),
        Err(error) => findings.fail(
            CHECK,
            format!("{error:#}"),
            "restore the state folder from a backup",
        ),
    }
}

fn enrolment(settings: &Settings, findings: &mut Findings) {
    if run::enrols_automatically(settings) {
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
