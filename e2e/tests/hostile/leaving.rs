//! Meters, gateways and analytics services leave or change their keys in mid-stream, by their first window without the old keys,
//! whatever is sent on with those.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use e2e::clocked;
use harness::network::Network;
use harness::oracle::{Seeded, Truths};
use harness::rogue::{Asked, Observed, RogueAnalytics, RogueGateway, ciphertext};
use harness::runtimes::On;
use harness::stack::{Next, Stack};
use harness::verdict::scale;
use harness::watch::Seen;
use meter::simulated;
use operator::{Change, FeederReport, Party, commands};
use readings::Simulated;
use service::clock::{Clock as _, MockClock};
use service::{Settings, Stop};
use wire::{AnalyticsId, FeederId, Grid, Reason, UnixMillis, WindowStart};

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

/// All services, the honest fleet, and a gateway with one meter that leaves.
struct Scene {
    stack: Stack,
    clock: Arc<MockClock>,
    stop: Stop,
    settings: Settings,
    rogue: RogueGateway,
    released: Vec<FeederReport>,
    /// Why sums were refused.
    refused: Vec<Reason>,
}

impl Scene {
    async fn start(state: &Path, stop: Stop) -> Self {
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
    fn set(&self, seconds: u64) {
        self.clock.set(UnixMillis((START + seconds) * 1000));
    }

    /// A window passes, and the one meter reports it.
    async fn pass(&self, number: u64) {
        self.set((number + 1) * WINDOW_S);
        self.rogue.send(0, window(number), None).await.unwrap();
    }

    /// The windows before the first one without somebody, who is asked to leave in the last of them, pass and are released.
    async fn pass_before(&mut self, change: Change, party: (Party, &str)) {
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

    async fn releases(&mut self, wanted: u64) {
        while (self.released.len() as u64) < wanted {
            self.next().await;
        }
    }

    async fn next(&mut self) {
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
    async fn roster_has(&self, is_in: bool) {
        let meter = &self.rogue.meters[0].id;
        roster_has(&self.settings, &self.rogue, meter, is_in).await;
    }

    /// Everything ends. Every window is in one release, of the honest meters and maybe one more.
    async fn check(mut self, has_one_more: impl Fn(WindowStart) -> bool) {
        self.stack.stop().await.unwrap();
        check(&self.settings, &self.released, has_one_more);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_removed_counts_until_its_first_window_without_it_and_never_after() {
    for party in [(Party::Meter, "rogue-0"), (Party::Gateway, "rogue")] {
        let state = tempfile::tempdir().unwrap();
        let (_keep, stop) = Stop::manual();
        let mut scene = Scene::start(state.path(), stop).await;
        scene.pass_before(Change::Remove, party).await;
        scene.roster_has(true).await;
        scene.set(WITHOUT * WINDOW_S + 1);
        scene.roster_has(false).await;
        // Whoever has stolen its key goes on.
        for number in WITHOUT..WINDOWS {
            scene.pass(number).await;
        }
        scene.releases(WINDOWS).await;
        assert_eq!(scene.refused, []);
        scene.check(|at| at < window(WITHOUT)).await;
    }
}

/// Old and new keys under one name: what is signed by the old ones counts nowhere from the first window on.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_keys_change_counts_in_every_window_by_one_of_them() {
    let state = tempfile::tempdir().unwrap();
    let (_keep, stop) = Stop::manual();
    let mut scene = Scene::start(state.path(), stop).await;
    let party = (Party::Gateway, "rogue");
    scene.pass_before(Change::Rekey, party).await;
    scene.set(WITHOUT * WINDOW_S + 1);
    scene.roster_has(false).await;
    let keys = scene.rogue.new_keys().unwrap();
    let mut stolen = scene.rogue.exchange(keys);
    scene.rogue.ask(scene.clock.now(), 1).await.unwrap();
    scene.roster_has(true).await;
    for number in WITHOUT..WINDOWS {
        scene.set((number + 1) * WINDOW_S);
        for _ in 0..2 {
            // The thief comes first.
            stolen = scene.rogue.exchange(stolen);
            scene.rogue.send(0, window(number), None).await.unwrap();
        }
    }
    scene.releases(WINDOWS).await;
    assert_eq!(scene.refused, [], "a report of the thief would spoil a sum");
    scene.check(|_| true).await;
}

/// Its windows are released once each, by the old service, and from the first window on by another or by the same with another
/// key. The old key opens nothing more.
async fn analytics_changes(change: Change, next: &str) {
    let state = tempfile::tempdir().unwrap();
    let (_keep, stop) = Stop::manual();
    let mut scene = Scene::start(state.path(), stop).await;
    let old: AnalyticsId = "analytics-1".parse().unwrap();
    scene
        .pass_before(change, (Party::Analytics, old.as_str()))
        .await;
    scene.set(WITHOUT * WINDOW_S + 1);
    let services = |seen: &Observed| seen.plan.as_ref().map(|(plan, _)| plan.analytics.clone());
    let outsider = &scene.rogue.outsider;
    let is_out = outsider.until("a plan without it", |seen| services(seen) == Some(vec![]));
    is_out.await.unwrap();

    let file = state.path().join("analytics-1/signing.key");
    let stolen = service::files::load_or_create_signing_key(&file).unwrap();
    scene.stack.stop_analytics().await.unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::remove_file(service::files::verifying_key_path(&file)).unwrap();
    scene.stack.rename_analytics(next.parse().unwrap());
    scene.stack.start_analytics();
    let is_in = |seen: &Observed| services(seen).is_some_and(|services| !services.is_empty());
    outsider.until("a plan with the next", is_in).await.unwrap();

    let feeder = meter::feeder_of(0, 1);
    let settings = &scene.settings;
    let thief = RogueAnalytics::thief(settings, "thief", (old, stolen), feeder).unwrap();
    let has_plan = thief.outsider.until("a plan", |seen| seen.plan.is_some());
    has_plan.await.unwrap();
    for number in WITHOUT..WINDOWS {
        scene.pass(number).await;
    }
    steal(&thief, window(WITHOUT)).await;
    while scene.refused.is_empty() {
        scene.next().await;
    }
    scene.releases(WINDOWS).await;
    let refusals = [
        Reason::BadSignature,
        Reason::UnknownAnalytics,
        Reason::WrongKey,
    ];
    assert!(scene.refused.iter().all(|reason| refusals.contains(reason)));
    scene.check(|_| true).await;
}

/// Signs the sum of all reports of a window.
async fn steal(thief: &RogueAnalytics, window: WindowStart) {
    let meters = HONEST as usize + 1;
    let has_all = |seen: &Observed| seen.windows().get(&window) == Some(&meters);
    thief.outsider.until("all reports", has_all).await.unwrap();
    let encoding = thief.encoding(window).unwrap();
    let asked = {
        let seen = thief.outsider.seen();
        let reports = seen.reports.iter().filter(|((at, _), _)| *at == window);
        let (meters, limbs): (Vec<_>, Vec<_>) = reports
            .map(|((_, meter), report)| (meter.clone(), report.limbs.as_slice()))
            .unzip();
        Asked {
            window,
            part: 0,
            named: seen.named(window, &meters),
            limbs: ciphertext::add(&encoding, limbs).unwrap(),
        }
    };
    thief.present(&asked).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analytics_service_that_is_removed_is_followed_by_another() {
    analytics_changes(Change::Remove, "analytics-2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analytics_service_whose_key_changes_goes_on_under_its_name() {
    analytics_changes(Change::Rekey, "analytics-1").await;
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
