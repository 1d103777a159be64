//! A new key epoch in mid-stream: every window is released once, whole, under the key of its epoch, whether gateways
//! heard of the epoch before they sealed or after.
//!
//! All processes but the clock are real, in this process and over TCP. The clock goes on by a window when the test says so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use e2e::clocked::{self, WINDOW_S, window};
use harness::network::Network;
use harness::oracle::{Seeded, Truths};
use harness::runtimes::On;
use harness::stack::{Next, Stack};
use harness::verdict::scale;
use harness::watch::Seen;
use meter::Summary;
use meter::simulated;
use operator::rotate::{self, Facts, Inbox, RotateError};
use operator::{FeederReport, stored_plan};
use readings::Simulated;
use service::clock::MockClock;
use service::mqtt::{self, QoS};
use service::{Settings, Stop, StopHandle};
use wire::{FeederId, Grid, KeyEpoch, MeterId, Plan, Reason, Report, Topics, WindowStart};

/// Far above what anything here takes; reaching it is a failure, not a measurement.
const LIMIT: Duration = Duration::from_secs(90);

const METERS: u32 = 40;
const FEEDERS: u32 = 2;

async fn limited<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .expect("it never came")
}

struct Deployment {
    stack: Stack,
    clock: Arc<MockClock>,
    released: Vec<FeederReport>,
    summary: Option<Summary>,
    /// Number of windows whose readings have passed.
    passed: u64,
    _state: tempfile::TempDir,
}

impl Deployment {
    /// All services, and a fleet that is ready to read.
    async fn start(windows: u64) -> Self {
        let state = tempfile::tempdir().unwrap();
        let clock = MockClock::new(clocked::passed(0));
        let on = On {
            clock: clock.clone(),
            ..On::here()
        };
        let mut stack = Stack::services(&settings(windows), state.path(), &on)
            .await
            .unwrap();
        stack.add_fleet(Network::default()).await.unwrap();
        let mut deployment = Self {
            stack,
            clock,
            released: Vec::new(),
            summary: None,
            passed: 0,
            _state: state,
        };
        let started = |seen: &Seen| matches!(seen, Seen::Meter(meter::Event::Started(_)));
        deployment.until(started).await;
        deployment
    }

    /// Waits for the next thing that happens, and keeps releases and the fleet's summary.
    async fn next(&mut self) -> Option<Seen> {
        let (_keep, stop) = Stop::manual();
        match limited(self.stack.next(&stop)).await.unwrap() {
            Next::FleetEnded(summary) => {
                self.summary = Some(summary);
                None
            }
            Next::Seen(seen) => {
                self.keep(&seen);
                Some(seen)
            }
        }
    }

    fn keep(&mut self, seen: &Seen) {
        if let Seen::Operator(operator::Event::Released(report)) = seen {
            self.released.push((**report).clone());
        }
    }

    async fn until(&mut self, wanted: impl Fn(&Seen) -> bool) {
        while !self.next().await.is_some_and(|seen| wanted(&seen)) {}
    }

    /// Lets the readings of the next window pass, and waits until they are in the outbox.
    async fn pass(&mut self) {
        let next = window(self.passed);
        self.passed += 1;
        self.clock.set(clocked::passed(self.passed));
        let taken = |seen: &Seen| matches!(seen, Seen::Meter(event) if *event == meter::Event::Window(next));
        self.until(taken).await;
    }

    /// Waits until every window that has passed is released on every feeder.
    async fn all_released(&mut self) {
        while (self.released.len() as u64) < self.passed * u64::from(FEEDERS) {
            self.next().await;
        }
    }

    fn plan(&self) -> Plan {
        let settings = self.stack.settings();
        let topic = Topics::new(&settings.deployment.root).unwrap().plan();
        let stored = stored_plan(&operator::folder(settings), &settings.deployment.id, &topic);
        stored.unwrap().unwrap()
    }

    /// What `operator rotate` does.
    fn ask_for_epoch(&self, first: WindowStart, force: bool) -> Result<(), RotateError> {
        let settings = self.stack.settings();
        let dir = operator::folder(settings);
        let facts = Facts {
            plan: &self.plan(),
            released: &rotate::newest_released(&dir, &settings.deployment.id).unwrap(),
            now: clocked::passed(0).seconds(),
            retention_s: settings.analytics.retention.as_secs(),
        };
        let request = rotate::next(&facts, Some(first.seconds()), force)?;
        Inbox::new(&dir).leave(&request)
    }

    /// Rotates, and waits until the plan is published.
    async fn rotate(&mut self, first: WindowStart) {
        let before = self.plan().version;
        self.ask_for_epoch(first, false).unwrap();
        self.until(|seen| {
            matches!(seen, Seen::Operator(operator::Event::PlanPublished { version }) if *version > before)
        })
        .await;
        let plan = self.plan();
        let epochs: Vec<_> = (plan.epochs.iter())
            .map(|entry| (entry.epoch.0, entry.first_window))
            .collect();
        assert_eq!(epochs, [(1, WindowStart(0)), (2, first)]);
    }

    /// Waits for the fleet's end and stops everything.
    async fn end(mut self) -> (Summary, Vec<FeederReport>) {
        while self.summary.is_none() {
            self.next().await;
        }
        self.all_released().await;
        self.stack.stop().await.unwrap();
        while let Some(seen) = self.stack.reported() {
            self.keep(&seen);
        }
        (self.summary.unwrap(), self.released)
    }
}

fn settings(windows: u64) -> Settings {
    let mut settings = clocked::settings(windows, LIMIT);
    settings.analytics.release_retry = Duration::from_millis(500);
    settings.meter.meters = METERS;
    settings.meter.feeders = FEEDERS;
    settings
}

/// Every window of every feeder is in one release, of all its meters, equal to the truth, under the key of its epoch.
fn check(settings: &Settings, windows: u64, second: WindowStart, released: &[FeederReport]) {
    let grid = Grid::new((WINDOW_S / 2) as u32, 2).unwrap();
    let source = Simulated::new(&simulated(settings)).unwrap();
    let mut clear = Seeded(Box::new(source));
    let span = (window(0), window(windows).0);
    let truths = Truths::read(&mut clear, grid, FEEDERS, span).unwrap();
    let mut of_window: BTreeMap<(FeederId, WindowStart), Vec<&FeederReport>> = BTreeMap::new();
    for report in released {
        let key = (report.feeder.clone(), report.window_start);
        of_window.entry(key).or_default().push(report);
    }
    assert!(of_window.keys().eq(truths.windows().map(|(key, _)| key)));
    for (key, truth) in &truths.entered(|key| Some(scale(of_window[key][0]))) {
        let [report] = of_window[key][..] else {
            panic!("{key:?} is released {} times", of_window[key].len());
        };
        let epoch = if key.1 < second { 1 } else { 2 };
        assert_eq!(report.epoch, KeyEpoch(epoch), "{key:?}");
        assert_eq!(report.meters, METERS / FEEDERS, "{key:?}");
        assert_eq!(truth.meters, report.meters);
        let shown = truth.shown_wh(settings.plan.min_meters);
        assert_eq!(report.energy_wh, shown, "{key:?}");
    }
    let epochs: BTreeSet<_> = released.iter().map(|report| report.epoch.0).collect();
    assert_eq!(epochs, BTreeSet::from([1, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_in_mid_stream_loses_and_doubles_nothing() {
    const WINDOWS: u64 = 8;
    let mut deployment = Deployment::start(WINDOWS).await;
    for _ in 0..3 {
        deployment.pass().await;
    }
    // Windows 1 and 2 may be anywhere on their way.
    deployment.rotate(window(5)).await;
    deployment.all_released().await;
    let refused = deployment.ask_for_epoch(window(6), false);
    assert!(
        matches!(refused, Err(RotateError::Needed { .. })),
        "reports of epoch 1 are still taken: {refused:?}"
    );
    for _ in 3..WINDOWS {
        deployment.pass().await;
        deployment.all_released().await;
    }
    let settings = deployment.stack.settings().clone();
    let (summary, released) = deployment.end().await;
    check(&settings, WINDOWS, window(5), &released);
    assert_eq!(
        summary.folded + summary.duplicates,
        WINDOWS * u64::from(METERS)
    );
    assert_eq!((summary.lost, summary.unsettled), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_sealed_before_their_window_changed_its_epoch_are_sealed_again() {
    const WINDOWS: u64 = 5;
    // Fewer than a gateway has under way before it knows anything.
    const SEALED: usize = 8;
    let mut deployment = Deployment::start(WINDOWS).await;
    for _ in 0..3 {
        deployment.pass().await;
    }
    deployment.all_released().await;

    // Nobody adds while gateways seal window 3 under the only epoch they know, as many as they send without receipts.
    deployment.stack.stop_analytics().await.unwrap();
    let sealed = Sealed::watch(deployment.stack.settings());
    deployment.pass().await;
    sealed.until(SEALED, window(3)).await;
    deployment.rotate(window(3)).await;

    // It comes back with the newest plan and not with the one it had.
    let state = &deployment.stack.settings().deployment.state_dir;
    std::fs::remove_file(state.join("analytics-1/plan.cbor")).unwrap();
    deployment.stack.start_analytics();
    deployment.all_released().await;
    deployment.pass().await;
    let settings = deployment.stack.settings().clone();
    let (summary, released) = deployment.end().await;
    check(&settings, WINDOWS, window(3), &released);
    assert!(summary.rejected.get(&Reason::WrongEpoch) >= Some(&(SEALED as u64)));
    assert_eq!((summary.lost, summary.unsettled), (0, 0));
}

/// Sees what gateways publish.
struct Sealed {
    inbox: mqtt::Inbox,
    _publisher: mqtt::Publisher,
    _stop: StopHandle,
}

impl Sealed {
    fn watch(settings: &Settings) -> Self {
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let (stop, stopped) = Stop::manual();
        let filter = vec![(topics.report_filter(), QoS::AtLeastOnce)];
        let (publisher, inbox) = mqtt::connect(&settings.mqtt, "onlooker", filter, stopped);
        Self {
            inbox,
            _publisher: publisher,
            _stop: stop,
        }
    }

    /// Returns once so many meters' reports of `window` have been published under epoch 1.
    async fn until(mut self, meters: usize, window: WindowStart) {
        let mut seen: BTreeSet<MeterId> = BTreeSet::new();
        let all = async {
            while seen.len() < meters {
                let Some(mqtt::Event::Message(message)) = self.inbox.recv().await else {
                    continue;
                };
                self.inbox.ack(&message);
                let envelope =
                    wire::decode::<Report>(&message.payload, message.payload.len()).unwrap();
                let report = envelope.claimed();
                assert_eq!(report.epoch, KeyEpoch(1));
                if report.window == window {
                    seen.insert(report.meter.clone());
                }
            }
        };
        limited(all).await;
    }
}
