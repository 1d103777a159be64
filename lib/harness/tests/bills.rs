//! Bills of the 203 real customers, from the file through all services: exact to the Wh, over a tariff that changes within a period, of
//! all but as many as the rules of release keep back.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use harness::bills::Billing;
use harness::network::Network;
use harness::runtimes::On;
use harness::scenario::{Options, Scenario};
use harness::session::Session;
use service::config::{BandTime, TariffEntry};
use service::{Settings, Stop};
use wire::{UnixSeconds, WindowStart};

const DAY: u64 = 86_400;

/// Until everything is accounted for. Wall time.
const LIMIT: Duration = Duration::from_secs(300);

/// 2014-03-08, in the second billing period.
const CHANGE: u64 = 1_394_236_800;

const NAMES: [&str; 4] = ["low", "peak", "low-new", "peak-new"];

fn tariff(from: &str, otherwise: &str, peak: &str) -> TariffEntry {
    TariffEntry {
        from: from.to_owned(),
        otherwise: otherwise.parse().unwrap(),
        holidays: Vec::new(),
        bands: vec![BandTime {
            band: peak.parse().unwrap(),
            hours: "08:00-20:00".to_owned(),
            days: vec!["workday".to_owned()],
            season: String::new(),
        }],
    }
}

/// The place of an interval's band in [`NAMES`], by arithmetic of its own. The first of 1970 was a Thursday.
fn band(at: UnixSeconds) -> usize {
    let is_workday = (at.0 / DAY + 3) % 7 < 5;
    let is_peak = is_workday && (8..20).contains(&(at.0 % DAY / 3_600));
    usize::from(is_peak) + 2 * usize::from(at.0 >= CHANGE)
}

fn settings() -> Settings {
    let mut settings = Settings::defaults();
    settings.broker.metrics_listen = None;
    settings.operator.metrics_listen = None;
    settings.operator.live_listen = None;
    settings.analytics.metrics_listen = None;
    settings.meter.metrics_listen = None;
    settings.meter.billing = vec!["all".to_owned()];
    settings.plan.billing_period = "7".to_owned();
    settings.plan.tariffs = vec![
        tariff("2014-01-01", "low", "peak"),
        tariff("2014-03-08", "low-new", "peak-new"),
    ];
    settings.release.bill_min_intervals = 20;
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bills_of_all_customers_are_exact_and_the_last_ones_are_kept_back() {
    let options = Options {
        meters: None,
        replay: None,
        feeders: 1,
        batch: None,
        seed: 1,
        interval: None,
        network: Network::default(),
        holders: None,
    };
    let settings = options.settings(&settings()).unwrap();
    let (event, speed) = (Duration::from_secs(14 * DAY), 86_400.0);
    let scenario = Scenario::paced(settings, &options, event, speed).unwrap();
    let min_meters = scenario.settings.plan.minimum_group() as usize;
    let billed = scenario.meters - min_meters;
    let (_keep, stop) = Stop::manual();
    let mut session = Session::start(&scenario, &On::here()).await.unwrap();
    let ended = session.run(LIMIT, &stop, |_, _| Ok(())).await;
    // Three days of the first period, seven of the second; of the third a part.
    session.bills(2 * billed, LIMIT, &stop).await.unwrap();
    let finished = session.finish(ended).await.unwrap();
    assert_eq!(finished.wrong(), Vec::<String>::new());

    let billing = Billing {
        meters: &scenario.ids,
        feeders: 1,
        interval_s: 3_600,
        names: &NAMES,
        band: &band,
    };
    let checked = billing.check(&finished.watch, &scenario.truths);
    assert_eq!(checked.wrong, Vec::<String>::new());
    assert_eq!(
        (checked.bills, checked.energy_wh),
        (2 * billed, checked.truth_wh)
    );
    assert!(checked.energy_wh > 0);
    for bill in &finished.watch.bills {
        let days = bill.period_end.0.saturating_sub(bill.period_start.0) / DAY;
        assert_eq!((days, u64::from(bill.period_windows)), (7, 7));
        let names = if bill.period_end > WindowStart(CHANGE) {
            4
        } else {
            2
        };
        assert_eq!(bill.bands.len(), names);
    }
}
