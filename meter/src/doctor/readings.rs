//! Whether the readings can be had, and can be in a total.

use readings::{MeterSpec, Source as _};
use service::clock::{Clock as _, SystemClock};
use service::doctor::{Findings, Trusted};
use service::{Chain, Settings};
use wire::{CapacityClass, FeederId, UnixSeconds};

use crate::file_mark::FileMark;
use crate::fleet::feeder_of;
use crate::gateway::{ahead, allowed_w};
use crate::live::Fed;
use crate::source::{invented, replayed};

pub(super) fn examine(settings: &Settings, trusted: &Trusted, findings: &mut Findings) {
    if let Some((key, mend)) = invented(settings) {
        findings.fail(key, "simulated meters in production", mend);
    }
    let now = UnixSeconds(SystemClock.now().0 / 1_000);
    replay(settings, (trusted, now), findings);
    live(settings, trusted, findings);
}

fn replay(settings: &Settings, (trusted, now): (&Trusted, UnixSeconds), findings: &mut Findings) {
    const CHECK: &str = "replay";
    let Some(path) = &settings.meter.replay else {
        return;
    };
    let source = match readings::open_replay(path, &replayed(settings)) {
        Ok(source) => source,
        Err(error) => {
            findings.fail(
                CHECK,
                format!("meter.replay: {}", Chain(&error)),
                "correct the path, which is relative to the working directory, or what it says of the file",
            );
            return;
        }
    };
    findings.ok(CHECK, format!("{} can be read", path.display()));
    let from = settings.meter.start.unwrap_or(source.range().0);
    if from > now {
        let remedy = "correct one of them; until then no report is taken";
        findings.warn(CHECK, ahead(from, now), remedy);
    }
    if let Some(changed) = FileMark::change(path, &super::folder(settings)) {
        findings.warn(CHECK, changed, "nothing, if it was only added to");
    }
    let meters = source.meters().iter().enumerate();
    let feeders = settings.meter.feeders;
    let meters = meters.map(|(index, spec)| (spec, feeder_of(index, feeders)));
    capacities(meters, trusted, findings);
}

fn live(settings: &Settings, trusted: &Trusted, findings: &mut Findings) {
    const CHECK: &str = "live";
    if !settings.meter.source.is_live() {
        return;
    }
    match Fed::open(settings) {
        Ok((source, fed)) => {
            let meters = source.meters();
            let count = meters.len();
            findings.ok(CHECK, format!("readings of {count} meters are waited for"));
            capacities(meters.iter().zip(fed.feeders), trusted, findings);
        }
        Err(error) => findings.fail(
            CHECK,
            Chain(&error).to_string(),
            "docs/live.md has the form",
        ),
    }
}

/// Whether the feeders of the cached plan allow what meters declare.
fn capacities<'a>(
    meters: impl Iterator<Item = (&'a MeterSpec, FeederId)>,
    trusted: &Trusted,
    findings: &mut Findings,
) {
    const CHECK: &str = "capacity";
    let Some(held) = &trusted.plan else { return };
    let refused = meters.filter_map(|(spec, feeder)| {
        let class = CapacityClass::of(spec.capacity_w)?;
        let allowed = allowed_w(&held.plan, &feeder)?;
        let too_large = u128::from(class.watts().0) > allowed;
        too_large.then_some((spec, class, feeder, allowed))
    });
    let refused: Vec<_> = refused.collect();
    if let Some((spec, class, feeder, allowed)) = refused.first() {
        findings.warn(
            CHECK,
            format!(
                "{} meters are not enrolled, and the others are: {} declares {} W, a capacity {class}, and {feeder} allows {allowed} W",
                refused.len(),
                spec.id,
                spec.capacity_w.0
            ),
            "put them on another feeder; a feeder's scale is fixed when it is created",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notices::{Notice, Notices};

    fn settings(folder: &std::path::Path, csv: &str) -> Settings {
        let file = folder.join("readings.csv");
        std::fs::write(&file, csv).unwrap();
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = folder.join("state");
        settings.meter.replay = Some(file);
        settings.meter.source = service::config::SourceKind::Replay;
        settings
    }

    fn found(settings: &Settings) -> String {
        let mut findings = Findings::default();
        examine(settings, &Trusted::default(), &mut findings);
        super::super::said(settings, &mut findings);
        format!("{findings:?}")
    }

    #[test]
    fn a_file_ahead_of_the_clock_and_one_that_cannot_be_read_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let of =
            |year| format!("time,home-1\n{year}-01-01T00:00:00Z,1\n{year}-01-01T01:00:00Z,1\n");
        let past = found(&settings(folder.path(), &of(2024)));
        assert!(!past.contains("ahead of this machine's clock"), "{past}");
        let ahead = found(&settings(folder.path(), &of(2135)));
        assert!(
            ahead.contains("start at 2135-01-01T00:00:00Z, ahead of this machine's clock"),
            "{ahead}"
        );
        let wrong = found(&settings(folder.path(), "time,home-1\nyesterday,1\n"));
        assert!(
            wrong.contains("Fail") && wrong.contains("yesterday"),
            "{wrong}"
        );
    }

    #[test]
    fn a_file_that_changed_and_what_the_gateway_said_last_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let csv = "time,home-1\n2024-01-01T00:00:00Z,1\n2024-01-01T01:00:00Z,1\n";
        let settings = settings(folder.path(), csv);
        let state = super::super::folder(&settings);
        std::fs::create_dir_all(&state).unwrap();
        let file = settings.meter.replay.as_ref().unwrap();
        FileMark::remember(file, &state).unwrap();
        let mut notices = Notices::begin(&state);
        let all = found(&settings);
        assert!(
            !all.contains("has changed") && !all.contains("said last"),
            "{all}"
        );
        std::fs::write(file, format!("{csv}2024-01-01T02:00:00Z,1\n")).unwrap();
        notices.say(
            Notice::Identity,
            Some("another process has that client id".to_owned()),
        );
        let all = found(&settings);
        assert!(all.contains("has changed since the last run"), "{all}");
        assert!(
            all.contains("the gateway said last: another process has that client id"),
            "{all}"
        );
    }
}
