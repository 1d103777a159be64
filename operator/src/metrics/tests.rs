//! What is registered, and which feeders are named.

use super::load::{AREA_LOAD, LOAD, LOAD_FACTOR, PERCENTILE};
use super::*;
use crate::testing::{report, report_with_bins};

/// One test, because the recorder is the process's: what one registers, another sees.
#[test]
fn metrics_are_there_from_the_start_and_few_name_a_feeder() {
    service::telemetry::install_metrics();
    register(false);
    let text = service::telemetry::render_metrics();
    for name in [
        TAKEN,
        DUPLICATE,
        DIVIDED,
        BURNT,
        CONFLICTS,
        COVERED,
        COMMIT_FAILURES,
    ] {
        assert!(text.contains(&format!("\n{name} ")), "{name}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
    for name in [REJECTED, REFUSED] {
        for reason in Reason::ALL {
            let line = format!("\n{name}{{reason=\"{reason}\"}} ");
            assert!(text.contains(&line), "{name} {reason}");
        }
    }
    assert!(text.contains(&format!("\n{END_TO_END}_count ")), "{text}");

    let mut feeders = Feeders::new(2, false);
    for (feeder, window) in [("a", 0), ("b", 0), ("c", 0), ("d", 0), ("c", 14_400)] {
        feeders.taken(&report(feeder, window));
    }
    let text = service::telemetry::render_metrics();
    for (feeder, there) in [("a", true), ("b", true), ("c", false), ("d", false)] {
        let line = format!("{FEEDER_COMPLETENESS}{{feeder=\"{feeder}\"}} 0.4\n");
        assert_eq!(text.contains(&line), there, "{feeder} in {text}");
    }
    assert!(text.contains(&format!("\n{UNLABELLED} 2\n")), "{text}");
    assert!(
        !text.contains("_watts"),
        "decrypted load that nobody asked for: {text}"
    );
    load_is_exported_if_asked_for();
}

/// The recorder is the process's, so this is no test of its own.
fn load_is_exported_if_asked_for() {
    let mut feeders = Feeders::new(2, true);
    let mut supplement = report("a", 14_400);
    supplement.part = wire::Part(1);
    for report in [report("a", 14_400), supplement, report("a", 0)] {
        feeders.taken(&report);
    }
    let text = service::telemetry::render_metrics();
    for line in [
        format!("{FEEDER_COMPLETENESS}{{feeder=\"a\"}} 0.8\n"),
        format!("{LOAD}{{feeder=\"a\"}} 3\n"),
        format!("{LOAD_FACTOR}{{feeder=\"a\"}} 0.625\n"),
    ] {
        assert!(text.contains(&line), "{line} in {text}");
    }
    assert!(!text.contains(PERCENTILE), "{text}");
    feeders.taken(&report_with_bins("b", 0));
    let text = service::telemetry::render_metrics();
    for (percentile, watts) in [(50, 100), (90, 16_384)] {
        let labels = format!("feeder=\"b\",percentile=\"{percentile}\"");
        let line = format!("{PERCENTILE}{{{labels}}} {watts}\n");
        assert!(text.contains(&line), "{line} in {text}");
    }
    let mut of_areas = [report("a", 0), report("b", 0), report("t", 0)];
    for report in &mut of_areas {
        report.areas = vec!["north".parse().unwrap()];
    }
    of_areas[2].rest.push(crate::release::report::RestShare {
        feeder: "c".parse().unwrap(),
        part: wire::Part(0),
        meters: 20,
    });
    for report in of_areas {
        feeders.taken(&report);
    }
    let text = service::telemetry::render_metrics();
    let line = format!("{AREA_LOAD}{{area=\"north\"}} 9\n");
    assert!(text.contains(&line), "{text}");
    assert!(!text.contains("feeder=\"t\""), "{text}");
    // What an interval before it had is not said of a withheld one either.
    let mut withheld = report("a", 28_800);
    withheld.energy_wh[3] = None;
    feeders.taken(&withheld);
    let text = service::telemetry::render_metrics();
    let line = format!("{LOAD}{{feeder=\"a\"}} NaN\n");
    assert!(text.contains(&line), "{text}");
}

#[test]
fn a_clock_that_is_behind_makes_no_negative_age() {
    let (now, sealed_at) = (UnixMillis(1_000), UnixMillis(1_001));
    assert_eq!(age(now, sealed_at), Duration::ZERO);
    assert_eq!(age(sealed_at, now), Duration::from_millis(1));
}
