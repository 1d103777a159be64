//! A load beyond what the pipeline takes: it waits in the gateways, and nothing is lost in a broker that keeps little.

use service::Settings;
use service::stop::Stop;

use crate::output::parsed;

/// Commits of at most eight reports, and a broker that keeps as many unread reports as the gateways may have under way:
/// three mebibytes, a tenth of what is offered at once.
fn narrow() -> Settings {
    let mut settings = Settings::defaults();
    settings.analytics.commit_max_reports = 8;
    settings.broker.segment_bytes = 1 << 20;
    settings.broker.segment_count = 4;
    settings.meter.max_unreceipted_bytes = (3 << 20) / 4;
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_capacity_reports_wait_in_the_gateways_and_are_not_sent_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("run");
    std::fs::create_dir(&results).unwrap();
    let arguments = "--rate 20000 --duration 50ms --meters 500 --feeders 5 --pool 8";
    let wanted = parsed(&arguments.split(' ').collect::<Vec<_>>()).unwrap();
    let (_keep, stop) = Stop::manual();
    let settings = narrow();
    let load = super::run(&settings, &wanted, &results, stop.clone());
    let load = load.await.unwrap();
    assert!(load.met());
    let summary = &load.steps[0];
    assert_eq!(summary.wrong, Vec::<String>::new());
    assert_eq!((summary.reports, summary.unsettled), (1_000, 0));
    assert_eq!(summary.windows, 10);
    // A receipt can be overdue on a machine that is busy; a pipeline that collapses sends everything several times.
    assert!(summary.resent <= 100, "{} sent again", summary.resent);
    let written = std::fs::read_to_string(results.join("load.json")).unwrap();
    assert!(written.contains("\"settled_per_s\""), "{written}");
    let lines = std::fs::read_to_string(results.join("load.csv")).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");

    // Again, now as a search.
    let arguments = "--steps 2 --step-duration 100ms --min-rate 1000 --max-p99 10m --floor 1e9 \
                     --meters 500 --feeders 5 --pool 8";
    let arguments: Vec<_> = arguments.split_whitespace().collect();
    let stepped = super::run(&settings, &parsed(&arguments).unwrap(), &results, stop)
        .await
        .unwrap();
    assert!(stepped.correct());
    assert_eq!(stepped.steps.len(), 2);
    assert_eq!((stepped.knee, stepped.beyond), (Some(1_500.0), None));
    assert!(!stepped.met());
}

#[test]
fn a_rate_at_which_nothing_is_offered_is_refused() {
    assert_eq!(super::positive("0.5"), Ok(0.5));
    for rate in ["0", "-1", "nan", "inf", "fast"] {
        assert!(super::positive(rate).is_err(), "{rate}");
    }
}
