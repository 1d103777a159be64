//! Small feeders through all services: their areas' totals are exact, and nothing of them is lost.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use harness::network::Network;
use harness::runtimes::On;
use harness::scenario::{Options, Scenario};
use harness::session::Session;
use service::config::Transformer;
use service::{Settings, Stop};

/// Until every window is accounted for. Wall time.
const LIMIT: Duration = Duration::from_secs(120);

/// Eight feeders of five meters. Under t-1 there are fifteen meters, under t-2 ten and under t-3 five, which are in the rest of
/// north; feeder-7 is under a transformer of its own and feeder-8 under none, and both are in no total.
fn settings() -> Settings {
    let mut settings = Settings::defaults();
    settings.broker.metrics_listen = None;
    settings.operator.metrics_listen = None;
    settings.operator.live_listen = None;
    settings.analytics.metrics_listen = None;
    settings.meter.metrics_listen = None;
    let under = |transformer: &str, substation: Option<&str>, feeders: &[u32]| Transformer {
        transformer: transformer.parse().unwrap(),
        substation: substation.map(|name| name.parse().unwrap()),
        feeders: feeders
            .iter()
            .map(|number| format!("feeder-{number}").parse().unwrap())
            .collect(),
    };
    settings.plan.areas = vec![
        under("t-1", Some("north"), &[1, 2, 3]),
        under("t-2", Some("north"), &[4, 5]),
        under("t-3", Some("north"), &[6]),
        under("t-4", None, &[7]),
    ];
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transformers_and_substations_have_exact_totals_of_feeders_that_are_too_small() {
    let options = Options {
        meters: Some(40),
        replay: None,
        feeders: 8,
        batch: None,
        seed: 1,
        interval: None,
        network: Network::default(),
        holders: None,
    };
    let settings = options.settings(&settings()).unwrap();
    let (event, speed) = (Duration::from_secs(3 * 86_400), 86_400.0);
    let scenario = Scenario::paced(settings, &options, event, speed).unwrap();
    let (_keep, stop) = Stop::manual();
    let mut session = Session::start(&scenario, &On::here()).await.unwrap();
    let ended = session.run(LIMIT, &stop, |_, _| Ok(())).await;
    let finished = session.finish(ended).await.unwrap();

    assert_eq!(finished.wrong(), Vec::<String>::new());
    let windows = scenario.truths.len() / 8;
    assert!(windows >= 3, "{windows}");
    let of = |area: &str| -> Vec<_> {
        let rows = finished.areas.iter();
        rows.filter(|row| row.area.as_str() == area).collect()
    };
    for (area, meters, feeders_in_rest) in [("t-1", 15, 3), ("north", 30, 6)] {
        let rows = of(area);
        assert_eq!(rows.len(), windows, "{area}");
        for row in rows {
            assert_eq!(
                (row.meters, row.feeders_in_rest),
                (meters, feeders_in_rest),
                "{row:?}"
            );
            assert_eq!(
                (row.energy_wh, row.completeness),
                (row.true_wh, 1.0),
                "{row:?}"
            );
        }
    }
    // What went up to the substation is in no total of the transformer, and t-4 has nobody to be added to.
    for area in ["t-2", "t-3", "t-4"] {
        assert_eq!(of(area), Vec::<&harness::areas::AreaRow>::new(), "{area}");
    }
    assert_eq!(finished.verdict.withheld, 2 * windows);
}
