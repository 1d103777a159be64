//! What is wrong with a set-up, and what to do about it: the command `doctor` of every binary.
//!
//! It looks and changes nothing: it makes no key and no folder, starts no session at the broker that outlives it, and
//! removes the one file it writes to time the disk. It prints no secret.
//!
//! # Layout
//! - [`Subject`]: what a process needs of its machine, and the checks it adds; [`Takes`]: whose plan and roster are looked at; `examine` goes through all of it.
//! - [`Findings`]: what was found; [`Form`]: how it is printed.
//! - `machine`, `broker`, `certificates`, `state`, `network`, `trust`: the checks themselves.

mod broker;
mod certificates;
mod findings;
mod machine;
mod network;
mod state;
mod trust;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use findings::Status;
pub use findings::{Findings, Form};

use crate::Chain;
use crate::config::{ConfigError, Loaded, Mode, Mqtt, Settings};
use crate::exit::{FAILED, OK};
use crate::telemetry;
use crate::trust::{HeldPlan, Roster, RosterScope};
use wire::UnixSeconds;

/// What a process needs of its machine, and the checks that only it can make.
#[derive(Debug)]
pub struct Subject {
    /// Its name, as in the settings.
    pub process: &'static str,
    /// Its folder of state; `None` if it keeps none.
    pub folder: Option<PathBuf>,
    /// Files of secrets, which only their owner may read. One that is missing is made at the first start.
    pub secrets: Vec<PathBuf>,
    /// Where it listens, by the key of the setting.
    pub listens: Vec<(&'static str, SocketAddr)>,
    /// Whether it is a client of the broker.
    pub client: bool,
    /// The topic filters it subscribes to, which the broker must grant.
    pub subscriptions: Vec<String>,
    /// What it takes of the operator's documents.
    pub takes: Takes,
    /// Files and connections it may have open at the same time.
    pub descriptors: u64,
    /// Memory it may come to use under these settings, in bytes.
    pub memory: u64,
    /// The broker of its live readings, and what it subscribes to there.
    pub feed: Option<(Mqtt, Vec<String>)>,
    /// The checks that only it can make.
    pub examine: fn(&Settings, &Trusted, &mut Findings),
}

#[cfg(test)]
impl Subject {
    fn client_of_a_test(process: &'static str) -> Self {
        Self {
            process,
            folder: None,
            secrets: Vec::new(),
            listens: Vec::new(),
            client: true,
            subscriptions: vec!["a/b".to_owned()],
            takes: Takes::Nothing,
            descriptors: 0,
            memory: 0,
            feed: None,
            examine: |_, _, _| {},
        }
    }
}

/// What a process takes of the operator's documents, and keeps in its folder.
#[derive(Debug)]
pub enum Takes {
    /// Neither plan nor roster.
    Nothing,
    /// The plan. A roster, if it takes one, is not kept as a document.
    Plan,
    /// The plan, and these pages of the roster.
    Roster(RosterScope),
}

/// What a process has accepted from the operator.
#[derive(Debug, Default)]
pub struct Trusted {
    /// The plan.
    pub plan: Option<Arc<HeldPlan>>,
    /// When the plan ends.
    pub valid_until: Option<UnixSeconds>,
    /// The roster.
    pub roster: Option<Arc<Roster>>,
}

/// Checks a configuration and everything that `subjects` need under it, prints what was found and returns the exit code.
pub(crate) fn main(
    loaded: Result<Loaded, ConfigError>,
    subjects: fn(&Settings) -> Vec<Subject>,
    form: Form,
) -> u8 {
    let mut findings = Findings::default();
    match loaded {
        Ok(loaded) => {
            configuration(&loaded, &mut findings);
            let subjects = subjects(&loaded.settings);
            examine(&loaded.settings, &subjects, &mut findings);
        }
        Err(error) => {
            let remedy = "correct it; `--print-config` shows each value and where it came from";
            findings.fail("configuration", Chain(&error).to_string(), remedy);
            machine::examine(&[], &mut findings);
        }
    }
    match findings.print(form) {
        Ok(()) if findings.worst() < Status::Fail => OK,
        Ok(()) => FAILED,
        Err(error) => {
            eprintln!("error: cannot print what was found: {error}");
            FAILED
        }
    }
}

/// Checks everything that `subjects` need.
fn examine(settings: &Settings, subjects: &[Subject], findings: &mut Findings) {
    machine::examine(subjects, findings);
    broker::examine(settings, subjects, findings);
    for subject in subjects {
        findings.about(Some(subject.process));
        if let Some(folder) = &subject.folder {
            state::folder(folder, findings);
        }
        state::secrets(&subject.secrets, findings);
        network::listeners(subject, findings);
        let trusted = match (&subject.folder, &subject.takes) {
            (None, _) | (_, Takes::Nothing) => Trusted::default(),
            (Some(folder), Takes::Plan) => trust::examine(settings, folder, None, findings),
            (Some(folder), Takes::Roster(scope)) => {
                trust::examine(settings, folder, Some(scope), findings)
            }
        };
        (subject.examine)(settings, &trusted, findings);
        if let Some((mqtt, filters)) = &subject.feed {
            broker::feed(mqtt, filters, findings);
        }
    }
    findings.about(None);
}

fn configuration(loaded: &Loaded, findings: &mut Findings) {
    let log = &loaded.settings.log.level;
    if let Err(error) = telemetry::check_level(log) {
        findings.fail("configuration", Chain(&error).to_string(), "correct it");
        return;
    }
    let changed = loaded.changed();
    let mode = match loaded.settings.deployment.mode {
        Mode::Development => "development",
        Mode::Production => "production",
    };
    findings.ok(
        "configuration",
        format!("valid, {changed} settings differ from the defaults, deployment.mode is {mode}"),
    );
}
