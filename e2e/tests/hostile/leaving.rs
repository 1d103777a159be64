//! A meter leaves in mid-stream, by its first window without it, whatever it goes on sending.

use std::sync::Arc;
use std::time::Duration;

use e2e::clocked;
use harness::network::Network;
use harness::oracle::{Seeded, Truths};
use harness::runtimes::On;
use harness::stack::{Next, Stack};
use harness::verdict::scale;
use harness::watch::Seen;
use meter::simulated;
use operator::{Change, FeederReport, Party, commands};
use readings::Simulated;
use service::clock::{Clock as _, MockClock};
use service::{Settings, Stop};
use wire::{FeederId, Grid, UnixMillis, WindowStart};

use super::{LIMIT, rogue, roster_has, started};

const HONEST: u32 = 20;
const WINDOW_S: u64 = 2;
/// The first window, which the clock is about to pass.
const START: u64 = 1_700_000_000;
const WINDOWS: u64 = 7;
/// The first window without the meter.
const WITHOUT: u64 = 4;

fn window(number: u64) -> WindowStart {
    WindowStart(START + number * WINDOW_S)
}

fn fleet() -> Settings {
    let mut settings = clocked::settings(WINDOWS, LIMIT);
    settings.plan.min_meters = 15;
    settings.plan.interval = Duration::from_secs(WINDOW_S / 2);
    // No report comes before its window has ended.
    settings.analytics.future_tolerance = Duration::ZERO;
    settings.meter.meters = HONEST;
    settings.meter.feeders = 1;
    settings.meter.speed = 1.0;
    settings.meter.start = Some(window(0).seconds());
    settings.meter.duration = Some(Duration::from_secs(WINDOWS * WINDOW_S));
    settings
}

/// The clock, up to so many seconds after the first window began.
fn set(clock: &Arc<MockClock>, seconds: u64) {
    clock.set(UnixMillis((START + seconds) * 1000));
}

async fn releases(stack: &mut Stack, stop: &Stop, released: &mut Vec<FeederReport>, wanted: u64) {
    while (released.len() as u64) < wanted {
        let next = tokio::time::timeout(LIMIT, stack.next(stop)).await;
        match next.expect("windows are not released").unwrap() {
            Next::Seen(Seen::Operator(operator::Event::Released(report))) => released.push(*report),
            Next::Seen(Seen::Operator(operator::Event::Rejected { reason, .. })) => {
                panic!("a sum was refused: {reason}")
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_that_is_removed_counts_until_its_first_window_without_it_and_never_after() {
    let state = tempfile::tempdir().unwrap();
    let clock = MockClock::new(UnixMillis(START * 1000));
    let on = On {
        clock: clock.clone(),
        ..On::here()
    };
    let (_keep, stop) = Stop::manual();
    let mut stack = Stack::services(&fleet(), state.path(), &on).await.unwrap();
    stack.add_fleet(Network::default()).await.unwrap();
    started(&mut stack, &stop).await;
    let settings = stack.settings().clone();
    let rogue = rogue(&settings, UnixMillis(START * 1000)).await;
    let meter = rogue.meters[0].id.clone();
    let mut released = Vec::new();

    for number in 0..WITHOUT {
        if number == WITHOUT - 1 {
            // The default is the next window; reports of the one before may be on their way.
            let party = (Party::Meter, meter.as_str());
            let now = clock.now();
            commands::request_change(&settings, now, Change::Remove, party, (None, false)).unwrap();
        }
        set(&clock, (number + 1) * WINDOW_S);
        rogue.send(0, window(number), None).await.unwrap();
    }
    releases(&mut stack, &stop, &mut released, WITHOUT).await;
    assert!(rogue.outsider.seen().roster.contains(&meter));
    set(&clock, WITHOUT * WINDOW_S + 1);
    roster_has(&settings, &rogue, &meter, false).await;
    // Whoever has stolen its key goes on.
    for number in WITHOUT..WINDOWS {
        set(&clock, (number + 1) * WINDOW_S);
        rogue.send(0, window(number), None).await.unwrap();
    }
    releases(&mut stack, &stop, &mut released, WINDOWS).await;
    stack.stop().await.unwrap();
    check(&settings, &released);
}

/// Every window is in one release, exact, and of all the meters that it is to have.
fn check(settings: &Settings, released: &[FeederReport]) {
    let grid = Grid::new((WINDOW_S / 2) as u32, 2).unwrap();
    let source = Simulated::new(&simulated(settings)).unwrap();
    let mut clear = Seeded(Box::new(source));
    let span = (window(0), window(WINDOWS).0);
    let truths = Truths::read(&mut clear, grid, 1, span).unwrap();
    let of = |key: &(FeederId, WindowStart)| {
        let mut of_window = released
            .iter()
            .filter(|report| report.window_start == key.1);
        let report = of_window
            .next()
            .unwrap_or_else(|| panic!("{key:?} is not released"));
        assert!(of_window.next().is_none(), "{key:?} is released twice");
        report
    };
    for (key, truth) in &truths.entered(|key| Some(scale(of(key)))) {
        let report = of(key);
        // It had readings of 0 Wh.
        assert_eq!(
            report.energy_wh,
            truth.shown_wh(settings.plan.min_meters),
            "{key:?}"
        );
        let one_more = u32::from(key.1 < window(WITHOUT));
        assert_eq!(report.meters, HONEST + one_more, "{key:?}");
        assert_eq!(report.completeness, 1.0, "{key:?}");
    }
    assert_eq!(released.len() as u64, WINDOWS);
}
