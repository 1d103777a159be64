//! The running service when messages come out of turn, when its disk fails and when it is told to stop, over a real broker.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use analytics::AnalyticsError;
use analytics::store::{
    BillKey, ContributorRow, FileStore, Inspection, Loaded, MemberRow, MemoryStore, ReleaseRow,
    Scope, Store, StoreError, StoreFormat, SumKey, SumRow, Transaction,
};
use common::scene::{LIMIT, Scene, WINDOW, within};
use service::config::Settings;
use service::{Stop, StopHandle, SystemClock};
use tokio::task::JoinHandle;
use wire::{Digest, FeederId, MeterId, Part, PlanVersion, Shard, Status, WindowStart};

/// A store whose commits the test holds back, or lets fail.
#[derive(Clone)]
struct Gate {
    inner: MemoryStore,
    full: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
    held: Arc<(Mutex<bool>, Condvar)>,
    waiting: Arc<AtomicU64>,
}

impl Gate {
    fn new() -> Self {
        Self {
            inner: MemoryStore::default(),
            full: Arc::default(),
            refused: Arc::default(),
            held: Arc::default(),
            waiting: Arc::default(),
        }
    }

    fn hold(&self, hold: bool) {
        *self.held.0.lock().unwrap() = hold;
        self.held.1.notify_all();
    }
}

impl Store for Gate {
    fn load(
        &mut self,
        format: &StoreFormat,
        scope: Scope<'_>,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Loaded, StoreError> {
        self.inner.load(format, scope, each)
    }

    fn contributor(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
        digest: &Digest,
    ) -> Result<Option<(Part, bool)>, StoreError> {
        self.inner.contributor(feeder, window, meter, digest)
    }

    fn contributors(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(ContributorRow),
    ) -> Result<(), StoreError> {
        self.inner.contributors(feeder, window, each)
    }

    fn members(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(MemberRow),
    ) -> Result<(), StoreError> {
        self.inner.members(feeder, window, each)
    }

    fn feeder(
        &mut self,
        feeder: &FeederId,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Option<u64>, StoreError> {
        self.inner.feeder(feeder, each)
    }

    fn sum(&mut self, key: &SumKey) -> Result<Option<SumRow>, StoreError> {
        self.inner.sum(key)
    }

    fn record(&mut self, key: &SumKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.record(key)
    }

    fn release(&mut self, key: &SumKey) -> Result<Option<ReleaseRow>, StoreError> {
        self.inner.release(key)
    }

    fn bill(&mut self, key: &BillKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.bill(key)
    }

    fn bills(&mut self, from: Option<&BillKey>, most: usize) -> Result<Vec<BillKey>, StoreError> {
        self.inner.bills(from, most)
    }

    fn commit(&mut self, transaction: &Transaction<'_>) -> Result<Vec<Shard>, StoreError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let held = self.held.0.lock().unwrap();
        drop(self.held.1.wait_while(held, |held| *held).unwrap());
        if self.full.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Io {
                operation: "write to",
                path: "full".into(),
                source: std::io::ErrorKind::StorageFull.into(),
            });
        }
        self.inner.commit(transaction)
    }
}

/// A scene with analytics in it.
struct Running {
    scene: Scene,
    stop: StopHandle,
    analytics: JoinHandle<Result<(), AnalyticsError>>,
}

impl Running {
    async fn start<S: Store + 'static>(store: impl FnOnce(&Settings) -> S) -> Self {
        Self::start_with(Settings::defaults(), store).await
    }

    async fn start_with<S: Store + 'static>(
        settings: Settings,
        store: impl FnOnce(&Settings) -> S,
    ) -> Self {
        let running = Self::begin(settings, store).await;
        running.announce(&running.plan()).await;
        running.announce_roster(1, 200).await;
        running
    }

    /// Without plan and roster.
    async fn begin<S: Store + 'static>(
        settings: Settings,
        store: impl FnOnce(&Settings) -> S,
    ) -> Self {
        let scene = Scene::begin(settings).await;
        let settings = scene.settings.clone();
        service::files::state_folder(&settings.deployment.state_dir, "analytics-1").unwrap();
        let store = store(&settings);
        let (stop, stopped) = Stop::manual();
        let clock = SystemClock::shared();
        let analytics =
            tokio::spawn(
                async move { analytics::run_on(&settings, clock, stopped, None, store).await },
            );
        Self {
            scene,
            stop,
            analytics,
        }
    }

    async fn send(&self, meter: u32) {
        self.scene.send(meter, 1).await;
    }

    /// The meters in the next receipt, all of which are folded or duplicates.
    async fn receipt(&mut self) -> Vec<String> {
        let entries = self.scene.receipt().await.entries;
        let counted = |status| matches!(status, Status::Folded | Status::Duplicate);
        assert!(!entries.is_empty(), "a receipt for nothing");
        assert!(entries.iter().all(|entry| counted(entry.status)));
        let meters = entries.into_iter();
        meters.map(|entry| entry.meter.to_string()).collect()
    }

    /// Sends a report until its receipt comes, as a gateway does: before analytics is subscribed, reports are dropped.
    async fn until_ready(&mut self) {
        loop {
            self.send(0).await;
            let receipt = tokio::time::timeout(Duration::from_millis(100), self.receipt());
            if receipt.await.is_ok() {
                return;
            }
        }
    }
}

impl Deref for Running {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        &self.scene
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Scene {
        &mut self.scene
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    within(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// An earlier process may have asked to give a feeder up, and that request may still wait for a person: a newer message
/// makes it void.
#[tokio::test(flavor = "multi_thread")]
async fn it_says_which_feeders_it_has_although_the_plan_agrees() {
    let mut scene = Running::begin(Settings::defaults(), |_| MemoryStore::default()).await;
    scene.until_asked().await;
    scene.announce(&scene.plan()).await;
    scene.until_asked().await;
    scene.stop.stop();
    within(scene.analytics).await.unwrap().unwrap();
}

/// Plan, roster and reports come in any order: what came too early is judged again, and its gateway need not know.
#[tokio::test(flavor = "multi_thread")]
async fn reports_that_come_before_plan_and_roster_are_folded_once_these_come() {
    let mut scene = Running::begin(Settings::defaults(), |_| MemoryStore::default()).await;
    scene.until_asked().await;
    scene.send(0).await;
    scene.announce(&scene.plan()).await;
    scene.send(1).await;
    scene.announce_roster(1, 2).await;
    // On a roster that is still to come.
    scene.send(2).await;
    let mut missing = std::collections::BTreeSet::from(["meter-0", "meter-1"]);
    while !missing.is_empty() {
        for meter in scene.receipt().await {
            missing.remove(meter.as_str());
        }
    }
    scene.announce_roster(2, 3).await;
    assert_eq!(scene.receipt().await, ["meter-2"]);
}

/// The operator was started with a smaller minimum group than this service goes by.
#[tokio::test(flavor = "multi_thread")]
async fn under_a_plan_below_the_floor_nothing_is_added() {
    let mut settings = Settings::defaults();
    settings.analytics.min_meters_floor = 16;
    let mut scene = Running::begin(settings, |_| MemoryStore::default()).await;
    scene.until_asked().await;
    scene.announce(&scene.plan()).await;
    scene.announce_roster(1, 2).await;
    for _ in 0..3 {
        scene.send(0).await;
        let receipt = tokio::time::timeout(Duration::from_millis(200), scene.receipt());
        assert!(receipt.await.is_err(), "15 is less than 16");
    }
    let mut raised = scene.plan();
    (raised.version, raised.min_meters) = (PlanVersion(2), 16);
    scene.announce(&raised).await;
    assert_eq!(scene.receipt().await[0], "meter-0");
}

#[test]
fn without_the_floor_reports_are_added_under_a_plan_below_it() {
    let test = "under_a_plan_below_the_floor_nothing_is_added";
    service::failpoint::fails_without("min_meters_floor", test).unwrap();
}

/// A stop in the middle of a commit: what was taken is committed and answered, and the service ends well.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_is_committed_and_answered_before_the_end() {
    let gate = Gate::new();
    let mut scene = Running::start(|_| gate.clone()).await;
    scene.until_ready().await;
    gate.hold(true);
    let before = gate.waiting.load(Ordering::SeqCst);
    scene.send(1).await;
    until(|| gate.waiting.load(Ordering::SeqCst) > before).await;
    scene.stop.stop();
    gate.hold(false);
    while !scene.receipt().await.contains(&"meter-1".to_owned()) {}
    within(&mut scene.analytics).await.unwrap().unwrap();
    let mut store = gate.inner.clone();
    let (feeder, meter) = ("feeder-1".parse().unwrap(), "meter-1".parse().unwrap());
    let kept = store
        .contributor(&feeder, WINDOW, &meter, &Digest([0; 32]))
        .unwrap();
    assert!(kept.is_some());
}

/// They wait for the commit that is under way; without another one they would be lost, and the release sent again.
#[tokio::test(flavor = "multi_thread")]
async fn the_operators_receipts_are_committed_before_the_end() {
    let gate = Gate::new();
    let mut settings = Settings::defaults();
    settings.analytics.idle_limit = Duration::from_millis(100);
    let mut scene = Running::start_with(settings, |_| gate.clone()).await;
    scene.until_ready().await;
    for meter in 1..20 {
        scene.send(meter).await;
    }
    let receipt = scene.release().await;
    let key = SumKey {
        feeder: receipt.feeder.clone(),
        window: receipt.window,
        part: receipt.part,
    };
    let mut store = gate.inner.clone();
    assert!(store.release(&key).unwrap().is_some(), "unsettled");
    gate.hold(true);
    let before = gate.waiting.load(Ordering::SeqCst);
    let plan = scene.plan();
    let length = u64::from(plan.interval_s) * u64::from(plan.batch);
    scene
        .send_of(WindowStart(WINDOW.0 + length), 1, plan.shards)
        .await;
    until(|| gate.waiting.load(Ordering::SeqCst) > before).await;
    scene.settle(&receipt).await;
    // It asks at once to be enrolled with the feeders of its settings: by then it has the receipt.
    let mut next = plan;
    next.version = PlanVersion(2);
    next.analytics[0].feeders = vec![receipt.feeder.clone()];
    scene.announce(&next).await;
    scene.until_asked().await;
    scene.stop.stop();
    gate.hold(false);
    within(&mut scene.analytics).await.unwrap().unwrap();
    assert!(store.release(&key).unwrap().is_none(), "settled");
}

/// A full disk: no receipt, nothing more is taken, and everything goes on once there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_delays_and_loses_nothing() {
    let gate = Gate::new();
    let mut scene = Running::start(|_| gate.clone()).await;
    scene.until_ready().await;
    gate.full.store(true, Ordering::SeqCst);
    scene.send(1).await;
    until(|| gate.refused.load(Ordering::SeqCst) >= 2).await;
    // Taken while no commit succeeds: nothing.
    for meter in 2..50 {
        scene.send(meter).await;
    }
    gate.full.store(false, Ordering::SeqCst);
    let mut answered = std::collections::BTreeSet::new();
    while answered.len() < 49 {
        answered.extend(
            scene
                .receipt()
                .await
                .into_iter()
                .filter(|meter| meter != "meter-0"),
        );
    }
    scene.stop.stop();
    within(&mut scene.analytics).await.unwrap().unwrap();
}

/// A disk that stays full does not hold the process: it ends with an error once the drain is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_cannot_commit_ends_all_the_same() {
    let gate = Gate::new();
    let mut scene = Running::start(|_| gate.clone()).await;
    scene.until_ready().await;
    gate.full.store(true, Ordering::SeqCst);
    scene.send(1).await;
    until(|| gate.refused.load(Ordering::SeqCst) >= 1).await;
    scene.stop.stop();
    let ended = within(&mut scene.analytics).await.unwrap();
    assert!(matches!(ended, Err(AnalyticsError::Undrained)), "{ended:?}");
}

/// The default store: a second process is refused before it disturbs the first, and the file is there afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn the_default_store_is_a_locked_file() {
    let open = |settings: &Settings| {
        FileStore::open(&analytics::store_path(settings), &settings.deployment.id).unwrap()
    };
    let mut scene = Running::start(open).await;
    scene.until_ready().await;
    let (_stop, stopped) = Stop::manual();
    let second = analytics::run(&scene.settings, SystemClock::shared(), stopped, None);
    let refused = within(second).await.unwrap_err();
    let in_use = matches!(refused, AnalyticsError::Store(StoreError::InUse { .. }));
    assert!(in_use, "{refused}");
    scene.send(1).await;
    while !scene.receipt().await.contains(&"meter-1".to_owned()) {}
    scene.stop.stop();
    within(&mut scene.analytics).await.unwrap().unwrap();
    let kept = Inspection::of(&analytics::store_path(&scene.settings), true).unwrap();
    assert_eq!(kept.contributors.len(), 2);
}

/// A disk that is slow, not broken: nothing is answered before its commit is done, and everything afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_delays_answers_and_loses_nothing() {
    let gate = Gate::new();
    let mut scene = Running::start(|_| gate.clone()).await;
    scene.until_ready().await;
    gate.hold(true);
    let before = gate.waiting.load(Ordering::SeqCst);
    scene.send(1).await;
    until(|| gate.waiting.load(Ordering::SeqCst) > before).await;
    for meter in 2..40 {
        scene.send(meter).await;
    }
    // Answers to the repeated reports of `until_ready` may still be under way; none to these.
    while let Ok(meters) = tokio::time::timeout(Duration::from_millis(300), scene.receipt()).await {
        assert!(meters.iter().all(|meter| meter == "meter-0"), "{meters:?}");
    }
    gate.hold(false);
    let mut missing: std::collections::BTreeSet<String> =
        (1..40).map(|meter| format!("meter-{meter}")).collect();
    while !missing.is_empty() {
        for meter in scene.receipt().await {
            missing.remove(&meter);
        }
    }
}

/// Room for next to nothing: the broker waits, and nothing needs to be sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_delays_and_loses_nothing() {
    let gate = Gate::new();
    let mut settings = Settings::defaults();
    settings.analytics.queue_max_reports = 3;
    settings.analytics.queue_max_bytes = 1;
    settings.analytics.commit_max_reports = 2;
    settings.analytics.max_hot_sums = 0;
    let mut scene = Running::start_with(settings, |_| gate.clone()).await;
    scene.until_ready().await;
    gate.hold(true);
    for meter in 1..40 {
        scene.send(meter).await;
    }
    gate.hold(false);
    let mut missing: std::collections::BTreeSet<String> =
        (1..40).map(|meter| format!("meter-{meter}")).collect();
    while !missing.is_empty() {
        for meter in scene.receipt().await {
            missing.remove(&meter);
        }
    }
    scene.stop.stop();
    within(&mut scene.analytics).await.unwrap().unwrap();
}

/// A release without a receipt is sent at each new connection, whatever `analytics.release_retry` says.
#[tokio::test(flavor = "multi_thread")]
async fn an_unsettled_release_is_sent_at_once_after_a_connection_is_made() {
    let gate = Gate::new();
    let settings = || {
        let mut settings = Settings::defaults();
        settings.analytics.idle_limit = Duration::from_millis(100);
        settings.analytics.release_retry = LIMIT * 10;
        settings
    };
    let mut scene = Running::start_with(settings(), |_| gate.clone()).await;
    scene.until_ready().await;
    for meter in 1..20 {
        scene.send(meter).await;
    }
    scene.release().await;
    scene.stop.stop();
    within(&mut scene.analytics).await.unwrap().unwrap();
    // Another broker, another connection, and the same store.
    let mut scene = Running::start_with(settings(), |_| gate.clone()).await;
    scene.release().await;
}
