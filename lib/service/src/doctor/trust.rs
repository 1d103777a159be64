//! What a process has accepted from the operator.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Findings, Trusted};
use crate::Chain;
use crate::clock::{Clock as _, SystemClock, shown};
use crate::config::Settings;
use crate::trust::{ASIDE, PlanKeeper, ROSTER_CACHES, RosterKeeper, RosterScope};

const CHECK: &str = "plan";

/// The plan and the roster that a process has cached in its folder.
pub(super) fn examine(
    settings: &Settings,
    folder: &Path,
    scope: Option<&RosterScope>,
    findings: &mut Findings,
) -> Trusted {
    let opened = links(folder).and_then(|links| {
        let plan = PlanKeeper::open(settings, links.path()).map_err(io::Error::other)?;
        let key = plan.operator_key();
        let open =
            |scope: &RosterScope| RosterKeeper::open(settings, links.path(), scope.clone(), key);
        let roster = scope.map(open).transpose();
        let aside = ASIDE.map(|extension| {
            let mut caches = ["plan.cbor"].into_iter().chain(ROSTER_CACHES);
            caches.any(|name| {
                links
                    .path()
                    .join(name)
                    .with_extension(extension)
                    .is_symlink()
            })
        });
        Ok((plan, roster.map_err(io::Error::other)?, aside))
    });
    let (plan, roster, [refused, earlier]) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let remedy = "set deployment.operator_key to the key that the operator prints at its start, and see \
                          that the state folder can be read";
            findings.fail(CHECK, Chain(&error).to_string(), remedy);
            return Trusted::default();
        }
    };
    let trusted = Trusted {
        plan: plan.current(),
        valid_until: plan.valid_until(),
        roster: roster.and_then(|roster| roster.current()),
    };
    let known = plan.operator_key().is_some();
    let stale = plan.is_stale(SystemClock.now());
    say(findings, &trusted, [refused, earlier, known, stale]);
    trusted
}

/// Says whether a cached plan or roster is refused, or of an earlier version; else what the plan is, or why there is none.
fn say(findings: &mut Findings, trusted: &Trusted, [refused, earlier, known, stale]: [bool; 4]) {
    if refused {
        findings.warn(
            CHECK,
            "a cached plan or roster does not verify: it is another operator's, another deployment's or damaged",
            "see that deployment.id, deployment.root and deployment.operator_key are the operator's; it is set aside \
             at the next start, and a good one is fetched",
        );
    } else if earlier {
        findings.warn(
            CHECK,
            "the cached plan or roster is of an earlier version of this program",
            "start the process while the operator runs, which is upgraded before it: the cache is set aside then, and a new \
             one is fetched",
        );
    } else if let (Some(held), true) = (&trusted.plan, stale) {
        findings.fail(
            CHECK,
            format!(
                "version {} ended at {}: no gateway seals anything under it",
                held.plan.version,
                shown(trusted.valid_until.unwrap_or_default())
            ),
            "start the operator, see that this process reaches the broker, and check this machine's clock; a running \
             process takes the renewal that the operator publishes",
        );
    } else if let Some(held) = &trusted.plan {
        let plan = &held.plan;
        findings.ok(
            CHECK,
            format!(
                "version {} is cached: {} feeders, {} a report",
                plan.version,
                plan.feeders.len(),
                held.grid
            ),
        );
    } else if known {
        let text = "none is cached yet; the operator's key is known";
        findings.warn(CHECK, text, "start the process while the operator runs");
    } else {
        findings.warn(
            CHECK,
            "none is cached yet, and the operator's key is not known",
            "start the operator, or set deployment.operator_key to the key that it prints at its start",
        );
    }
}

/// A folder of links to the caches in `folder`. A keeper sets aside a cache that it refuses, and doctor changes nothing:
/// here it is the link that is set aside.
fn links(folder: &Path) -> io::Result<tempfile::TempDir> {
    let links = tempfile::tempdir()?;
    let others = ["plan.cbor", "plan-renewal.cbor", "operator.pin"];
    for name in others.into_iter().chain(ROSTER_CACHES) {
        let file = folder.join(name);
        if file.exists() {
            symlink(fs::canonicalize(&file)?, links.path().join(name))?;
        }
    }
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn a_cache_that_is_refused_is_said_and_left_alone() {
        let state = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = state.path().to_owned();
        settings.deployment.operator_key = Some(wire::SigningKey::generate().verifying_key());
        let folder = crate::files::state_folder(state.path(), "gateway-1").unwrap();
        let mut findings = Findings::default();
        let trusted = examine(&settings, &folder, Some(&RosterScope::Whole), &mut findings);
        assert!(trusted.plan.is_none() && trusted.roster.is_none());
        assert_eq!(findings.worst(), Status::Warn);

        fs::write(folder.join("plan.cbor"), "not a plan").unwrap();
        let mut findings = Findings::default();
        examine(&settings, &folder, Some(&RosterScope::Whole), &mut findings);
        assert!(
            findings.all[0].detail.contains("does not verify"),
            "{findings:?}"
        );
        assert_eq!(
            fs::read_to_string(folder.join("plan.cbor")).unwrap(),
            "not a plan"
        );
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_cache_of_an_earlier_version_is_told_from_a_damaged_one() {
        let state = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.deployment.operator_key = Some(wire::SigningKey::generate().verifying_key());
        let plan = include_str!("../../tests/format-1/plan.hex").replace('\n', "");
        let cached = hex::decode(plan).unwrap();
        fs::write(state.path().join("plan.cbor"), cached).unwrap();
        let mut findings = Findings::default();
        examine(
            &settings,
            state.path(),
            Some(&RosterScope::Whole),
            &mut findings,
        );
        assert_eq!(findings.worst(), Status::Warn);
        assert!(
            findings.all[0].detail.contains("an earlier version"),
            "{findings:?}"
        );
        assert!(state.path().join("plan.cbor").exists());
    }

    #[test]
    fn a_broker_elsewhere_needs_the_operators_key() {
        let state = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.mqtt.address = "broker.example:1883".to_owned();
        let mut findings = Findings::default();
        examine(
            &settings,
            state.path(),
            Some(&RosterScope::Whole),
            &mut findings,
        );
        assert_eq!(findings.worst(), Status::Fail);
        assert!(
            findings.all[0].detail.contains("deployment.operator_key"),
            "{findings:?}"
        );
    }
}
