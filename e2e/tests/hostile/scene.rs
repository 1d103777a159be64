//! An honest fleet and a gateway with one meter that leaves, or whose keys change, between two windows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use e2e::clocked;
use harness::network::Network;
use harness::oracle::{Seeded, Truths};
use harness::rogue::RogueGateway;
use harness::runtimes::On;
use harness::stack::{Next, Stack};
use harness::verdict::scale;
use harness::watch::Seen;
use meter::simulated;
use operator::{Change, FeederReport, Party, commands};
use readings::Simulated;
use service::clock::{Clock as _, MockClock};
use service::{Settings, Stop};
use wire::{FeederId, Grid, Reason, UnixMillis, WindowStart};

use super::{LIMIT, rogue, roster_has, started};

pub(super) const HONEST: u32 = 20;
pub(super) const WINDOW_S: u64 = 2;
/// The first window, which the clock is about to pass.
pub(super) const START: u64 = 1_700_000_000;
pub(super) const WINDOWS: u64 = 7;
/// The first window without the meter.
pub(super) const WITHOUT: u64 = 4;

pub(super) fn window(number: u64) -> WindowStart {
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

/// All services, the honest fleet, and a gateway with one meter that leaves.
pub(super) struct Scene {
    pub(super) stack: Stack,
    pub(super) clock: Arc<MockClock>,
    stop: Stop,
    pub(super) settings: Settings,
    pub(super) rogue: RogueGateway,
    released: Vec<FeederReport>,
    /// Why sums were refused.
    pub(super) refused: Vec<Reason>,
}

impl Scene {
    pub(super) async fn start(state: &Path, stop: Stop) -> Self {
        let clock = MockClock::new(UnixMillis(START * 1000));
        let on = On {
            clock: clock.clone(),
            ..On::here()
        };
        let mut stack = Stack::services(&fleet(), state, &on).await.unwrap();
        stack.add_fleet(Network::default()).await.unwrap();
        started(&mut stack, &stop).await;
        let settings = stack.settings().clone();
        let rogue = rogue(&settings, UnixMillis(START * 1000)).await;
        Self {
            rogue,
            clock,
            stop,
            settings,
            stack,
            released: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Sets the clock to so many seconds after the first window began.
    pub(super) fn set(&self, seconds: u64) {
        self.clock.set(UnixMillis((START + seconds) * 1000));
    }

    /// A window passes, and the one meter reports it.
    pub(super) async fn pass(&self, number: u64) {
        self.set((number + 1) * WINDOW_S);
        self.rogue.send(0, window(number), None).await.unwrap();
    }

    /// The windows before the first one without somebody, who is asked to leave in the last of them, pass and are released.
    pub(super) async fn pass_before(&mut self, change: Change, party: (Party, &str)) {
        for number in 0..WITHOUT {
            if number == WITHOUT - 1 {
                // The default is the next window; reports of the one before may be on their way.
                let now = self.clock.now();
                let settings = &self.settings;
                commands::request_change(settings, now, change, party, (None, false)).unwrap();
                self.taken_up().await;
            }
            self.pass(number).await;
        }
        self.releases(WITHOUT).await;
        assert_eq!(self.refused, []);
    }

    /// Waits until the operator has taken up who is to leave: once a window has begun, reports of it may be in sums.
    async fn taken_up(&self) {
        let asked = self.settings.deployment.state_dir.join("operator/leaving");
        let waits = async {
            while std::fs::read_dir(&asked).unwrap().next().is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, waits).await;
        waited.expect("the operator has not taken the request up");
    }

    pub(super) async fn releases(&mut self, wanted: u64) {
        while (self.released.len() as u64) < wanted {
            self.next().await;
        }
    }

    pub(super) async fn next(&mut self) {
        let next = tokio::time::timeout(LIMIT, self.stack.next(&self.stop)).await;
        match next.expect("nothing more happens").unwrap() {
            Next::Seen(Seen::Operator(operator::Event::Released(report))) => {
                self.released.push(*report);
            }
            Next::Seen(Seen::Operator(operator::Event::Rejected { reason, .. })) => {
                self.refused.push(reason);
            }
            _ => {}
        }
    }

    /// Waits until the meter is in the roster or not.
    pub(super) async fn roster_has(&self, is_in: bool) {
        let meter = &self.rogue.meters[0].id;
        roster_has(&self.settings, &self.rogue, meter, is_in).await;
    }

    /// Everything ends. Every window is in one release, of the honest meters and maybe one more.
    pub(super) async fn check(mut self, has_one_more: impl Fn(WindowStart) -> bool) {
        self.stack.stop().await.unwrap();
        check(&self.settings, &self.released, has_one_more);
    }
}

/// Every window is in one release, exact, and of all the meters that it is to have.
fn check(
    settings: &Settings,
    released: &[FeederReport],
    has_one_more: impl Fn(WindowStart) -> bool,
) {
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
        let one_more = u32::from(has_one_more(key.1));
        assert_eq!(report.meters, HONEST + one_more, "{key:?}");
        assert_eq!(report.completeness, 1.0, "{key:?}");
    }
    assert_eq!(released.len() as u64, WINDOWS);
}
