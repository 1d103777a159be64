//! German quarter hours over both changes of clocks, from the file through all services: with a time zone in the plan, each local
//! day comes out as one window, with as many intervals as it is long and every watt-hour of it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use harness::network::Network;
use harness::runtimes::On;
use harness::scenario::{Options, Scenario};
use harness::session::Session;
use service::{Settings, Stop};

const METERS: u64 = 16;

/// Until every window is accounted for. Wall time.
const LIMIT: Duration = Duration::from_secs(120);

/// The days of the two files, with the start of each in UTC, and how many hours it has.
const DAYS: [(&str, &str, u32); 6] = [
    ("30.03.2024", "2024-03-29T23:00:00Z", 24),
    ("31.03.2024", "2024-03-30T23:00:00Z", 23),
    ("01.04.2024", "2024-03-31T22:00:00Z", 24),
    ("26.10.2024", "2024-10-25T22:00:00Z", 24),
    ("27.10.2024", "2024-10-26T22:00:00Z", 25),
    ("28.10.2024", "2024-10-27T23:00:00Z", 24),
];

/// What a local day comes to: its intervals, and its energy in Wh.
type Days = BTreeMap<u64, (usize, u64)>;

/// The hours that local clocks show on a day of so many.
fn hours(count: u32) -> Vec<u32> {
    match count {
        23 => (0..24).filter(|hour| *hour != 2).collect(),
        25 => (0..=2).chain(2..24).collect(),
        _ => (0..24).collect(),
    }
}

/// A file of these days, and what it has.
fn file(days_of: &[(&str, &str, u32)]) -> (String, Days) {
    let mut text = "Zeit".to_owned();
    for meter in 0..METERS {
        write!(text, ";Haus {meter:02}").unwrap();
    }
    text += "\n";
    let mut days = Days::new();
    let mut row = 0;
    for &(date, start, count) in days_of {
        let mut total = 0;
        for hour in hours(count) {
            for minute in [0, 15, 30, 45] {
                write!(text, "{date} {hour:02}:{minute:02}").unwrap();
                row += 1;
                for meter in 0..METERS {
                    let wh = 50 + (row * 131 + meter * 17) % 700;
                    total += wh;
                    write!(text, ";0,{wh:03}").unwrap();
                }
                text += "\n";
            }
        }
        let start: jiff::Timestamp = start.parse().unwrap();
        let start = u64::try_from(start.as_second()).unwrap();
        days.insert(start, (count as usize * 4, total));
    }
    (text, days)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_local_day_is_one_window_with_the_92_96_or_100_quarter_hours_it_has() {
    for days in DAYS.chunks(3) {
        comes_out_exactly(days).await;
    }
}

async fn comes_out_exactly(days: &[(&str, &str, u32)]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lastgang.csv");
    let (text, days) = file(days);
    std::fs::write(&path, text).unwrap();
    let mut settings = Settings::defaults();
    settings.broker.metrics_listen = None;
    settings.operator.metrics_listen = None;
    settings.operator.live_listen = None;
    settings.analytics.metrics_listen = None;
    settings.meter.metrics_listen = None;
    settings.meter.time_zone = "Europe/Berlin".to_owned();
    settings.plan.time_zone = Some("Europe/Berlin".parse().unwrap());
    let options = Options {
        meters: None,
        replay: Some(path),
        feeders: 1,
        batch: None,
        seed: 1,
        interval: None,
        network: Network::default(),
        holders: None,
    };
    let settings = options.settings(&settings).unwrap();
    let (event, speed) = (Duration::from_secs(3 * 86_400), 86_400.0);
    let scenario = Scenario::paced(settings, &options, event, speed).unwrap();
    assert_eq!(scenario.settings.plan.batch, 100);
    let (_keep, stop) = Stop::manual();
    let mut session = Session::start(&scenario, &On::here()).await.unwrap();
    let ended = session.run(LIMIT, &stop, |_, _| Ok(())).await;
    let finished = session.finish(ended).await.unwrap();

    assert_eq!(finished.wrong(), Vec::<String>::new());
    let released = finished.watch.released.iter().map(|report| {
        assert_eq!((report.completeness, report.missing), (1.0, 0));
        assert_eq!(report.present.len(), report.energy_wh.len());
        let total = u64::try_from(report.total_wh()).unwrap();
        (report.window_start.0, (report.energy_wh.len(), total))
    });
    assert_eq!(released.collect::<Days>(), days);
    let ledger = scenario.ledger.as_ref().unwrap();
    let (summary, wrong) = ledger.close(&finished.verdict, &scenario.truths);
    assert_eq!(wrong, None);
    let energy: u64 = days.values().map(|(_, wh)| wh).sum();
    assert_eq!(u64::try_from(summary.released_wh).unwrap(), energy);
    assert_eq!(
        (summary.before_first_window, summary.after_last_window),
        (0, 0)
    );
}
