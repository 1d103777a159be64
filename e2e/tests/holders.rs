//! Holders of mask keys: without enough of them nothing opens and nothing is lost, they are replaced in mid-stream, and they audit sums.
//!
//! All processes but the clock are real, in this process and over TCP. The clock goes on by a window when the test says so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use e2e::clocked::{self, WINDOW_S, window};
use harness::holders::Group;
use harness::network::Network;
use harness::oracle::{Seeded, Truths};
use harness::rogue::{Asked, RogueAnalytics, ciphertext};
use harness::runtimes::On;
use harness::stack::{Next, Stack};
use harness::verdict::scale;
use harness::watch::Seen;
use holder::setup::{Numbers, together};
use meter::simulated;
use operator::FeederReport;
use privacy::Guarantee;
use readings::Simulated;
use service::clock::MockClock;
use service::{Settings, Stop};
use wire::{Agreement, Grid, HolderId, PrivacyUnit, SumStatus, UnixMillis, WindowStart};

/// Far above what anything here takes; reaching it is a failure, not a measurement.
const LIMIT: Duration = Duration::from_secs(90);

const METERS: u32 = 20;

const GROUP: Group = Group {
    threshold: 2,
    holders: 4,
    noise: None,
};

async fn limited<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .expect("it never came")
}

/// When so many windows are over, by a clock that goes as fast as their readings.
fn at(windows: u64) -> UnixMillis {
    UnixMillis(window(windows).0 * 1_000 + 500)
}

/// One feeder, whose readings pass with the clock.
fn settings(windows: u64) -> Settings {
    let mut settings = clocked::settings(windows, LIMIT);
    settings.analytics.release_retry = Duration::from_millis(300);
    settings.holders.ask_again = Duration::from_millis(300);
    settings.meter.meters = METERS;
    settings.meter.feeders = 1;
    settings.meter.speed = 1.0;
    // Those that do not audit say so.
    settings.holder.audit_share = 0.0;
    settings.holder.audit_again = Duration::from_secs(1);
    settings
}

struct Deployment {
    stack: Stack,
    clock: Arc<MockClock>,
    released: Vec<FeederReport>,
    windows: u64,
    passed: u64,
    state: tempfile::TempDir,
}

impl Deployment {
    async fn start(windows: u64) -> Self {
        Self::start_of(windows, GROUP, |_| {}).await
    }

    async fn start_of(windows: u64, group: Group, change: impl FnOnce(&mut Settings)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let clock = MockClock::new(at(0));
        let on = On {
            clock: clock.clone(),
            ..On::here()
        };
        let mut settings = settings(windows);
        change(&mut settings);
        let stack = Stack::with_holders(&settings, state.path(), &on, Some(group));
        let mut stack = stack.await.unwrap();
        stack.add_fleet(Network::default()).await.unwrap();
        let mut deployment = Self {
            stack,
            clock,
            released: Vec::new(),
            windows,
            passed: 0,
            state,
        };
        let started = |seen: &Seen| matches!(seen, Seen::Meter(meter::Event::Started(_)));
        while !deployment.next().await.is_some_and(|seen| started(&seen)) {}
        deployment
    }

    async fn next(&mut self) -> Option<Seen> {
        let (_keep, stop) = Stop::manual();
        match limited(self.stack.next(&stop)).await.unwrap() {
            Next::FleetEnded(_) => None,
            Next::Seen(seen) => {
                if let Seen::Operator(operator::Event::Released(report)) = &seen {
                    self.released.push((**report).clone());
                }
                Some(seen)
            }
        }
    }

    /// Lets the readings of the next window pass, and waits until analytics has released its sum.
    async fn pass(&mut self) {
        self.passed += 1;
        self.clock.set(at(self.passed));
        let sent = |seen: &Seen| matches!(seen, Seen::Analytics(analytics::Event::Released { .. }));
        while !self.next().await.is_some_and(|seen| sent(&seen)) {}
    }

    async fn all_released(&mut self) {
        while (self.released.len() as u64) < self.passed {
            self.next().await;
        }
    }

    /// What the holders' audits of a window came to, of all that have ended.
    fn audits(&self, window: WindowStart) -> Vec<serde_json::Value> {
        let holders = (1..=GROUP.holders).map(|holder| format!("holder-holder-{holder}/audits"));
        let folders = holders.map(|folder| self.state.path().join(folder));
        let files = folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten());
        let begins = format!("{:012}-", window.0);
        let of_window = files.filter_map(|file| {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            let is_of_it = name.starts_with(&begins) && name.ends_with(".json");
            is_of_it.then(|| std::fs::read(file.path()).unwrap())
        });
        let records = of_window.map(|bytes| serde_json::from_slice(&bytes).unwrap());
        let ended = records.filter(|record: &serde_json::Value| !record["verdict"].is_null());
        ended.collect()
    }

    /// Waits until so many holders have audited a window.
    async fn audited(&mut self, window: WindowStart, holders: usize) -> Vec<serde_json::Value> {
        let audited = async {
            while self.audits(window).len() < holders {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        limited(audited).await;
        self.audits(window)
    }

    /// Stops everything; every window has one total, which is exact.
    async fn end(self) -> Vec<FeederReport> {
        let (released, shown) = self.stop().await;
        for report in &released {
            assert_eq!(report.energy_wh, shown[&report.window_start], "{report:?}");
        }
        released
    }

    /// Stops everything; every window has one total. Returns what each would be without noise, too.
    async fn stop(mut self) -> (Vec<FeederReport>, BTreeMap<WindowStart, Vec<Option<i64>>>) {
        self.all_released().await;
        self.stack.stop().await.unwrap();
        let source = Simulated::new(&simulated(self.stack.settings())).unwrap();
        let mut clear = Seeded(Box::new(source));
        let grid = Grid::new((WINDOW_S / 2) as u32, 2).unwrap();
        let span = (window(0), window(self.windows).0);
        let truths = Truths::read(&mut clear, grid, 1, span).unwrap();
        let of_window: BTreeMap<_, _> = self
            .released
            .iter()
            .map(|report| ((report.feeder.clone(), report.window_start), report))
            .collect();
        assert_eq!(self.released.len() as u64, self.windows);
        let mut shown = BTreeMap::new();
        for (key, truth) in &truths.entered(|key| Some(scale(of_window[key]))) {
            let min_meters = self.stack.settings().plan.min_meters;
            shown.insert(key.1, truth.shown_wh(min_meters));
            assert_eq!(of_window[key].meters, METERS);
        }
        (self.released, shown)
    }
}

fn consented(report: &FeederReport) -> Vec<&str> {
    let holders = report.holders.as_ref().unwrap();
    holders.consented.iter().map(HolderId::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_enough_holders_sums_wait_and_nothing_is_lost() {
    const WINDOWS: u64 = 4;
    let mut deployment = Deployment::start(WINDOWS).await;
    deployment.pass().await;
    deployment.all_released().await;
    let holders = deployment.stack.stop_holders().await.unwrap();
    let mut holders = holders.into_iter();
    for own in holders.by_ref().take(2) {
        deployment.stack.start_holder(own);
    }
    deployment.pass().await;
    deployment.pass().await;
    assert_eq!(deployment.released.len(), 1, "two of three consents");
    deployment.stack.start_holder(holders.next().unwrap());
    deployment.all_released().await;
    deployment.pass().await;
    let released = deployment.end().await;
    assert!(released.iter().all(|report| consented(report).len() >= 3));
    assert_eq!(
        consented(&released[3]),
        ["holder-1", "holder-2", "holder-3"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_holder_is_replaced_in_mid_stream_by_those_who_are_left() {
    const WINDOWS: u64 = 6;
    let mut deployment = Deployment::start(WINDOWS).await;
    for _ in 0..2 {
        deployment.pass().await;
        deployment.all_released().await;
    }
    let mut holders = deployment.stack.stop_holders().await.unwrap();
    let file = deployment.stack.settings().holders.agreements[0].clone();
    let first = Agreement::from_bytes(&std::fs::read(&file).unwrap()).unwrap();

    // holder-4 is gone for good; holder-5 takes its place.
    let lost = holders.pop().unwrap();
    std::fs::remove_dir_all(deployment.state.path().join("holder-holder-4")).unwrap();
    let mut fifth = lost;
    fifth.holder.id = "holder-5".parse().unwrap();
    let before = holders.clone();
    holders.push(fifth);
    let numbers = Numbers {
        threshold: 2,
        consents: 3,
    };
    let from = window(4);
    let second = together(
        &holders,
        numbers,
        (from, None),
        Some((&first.terms, &before)),
    )
    .unwrap();
    let next = deployment.state.path().join("second.agreement");
    std::fs::write(&next, second.to_bytes()).unwrap();
    for own in holders {
        deployment.stack.start_holder(own);
    }
    let with_both = |settings: &mut Settings| settings.holders.agreements = vec![file, next];
    deployment.stack.restart_operator(with_both).await.unwrap();
    for _ in 2..WINDOWS {
        deployment.pass().await;
        deployment.all_released().await;
    }
    let released = deployment.end().await;
    for report in &released {
        let consented = consented(report);
        let is_of_second = report.window_start >= from;
        assert!(!consented.contains(&"holder-4") || report.window_start < window(2));
        assert!(
            !consented.contains(&"holder-5") || is_of_second,
            "{consented:?}"
        );
    }
    let by_fifth = released
        .iter()
        .filter(|report| consented(report).contains(&"holder-5"));
    assert!(by_fifth.count() > 0);
}

/// ε 3 an interval: three windows of two are 18, and each of four holders lets 20 pass of a budget of 30.
fn noisy() -> Group {
    Group {
        noise: Some(Guarantee {
            unit: PrivacyUnit::Interval,
            epsilon: 3.0.try_into().unwrap(),
            delta: None,
        }),
        ..GROUP
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_noise_of_holders_nobody_sees_an_exact_total_and_recipients_get_the_noise_there_is() {
    const WINDOWS: u64 = 3;
    let recipients = |settings: &mut Settings| {
        let recipients = serde_json::json!([
            { "name": "press", "unit": "interval", "mechanism": "laplace", "epsilon": 3.0 },
            { "name": "town", "unit": "interval", "mechanism": "laplace", "epsilon": 1.0 },
        ]);
        settings.publish.recipients = serde_json::from_value(recipients).unwrap();
    };
    let mut deployment = Deployment::start_of(WINDOWS, noisy(), recipients).await;
    for _ in 0..WINDOWS {
        deployment.pass().await;
        // Whoever answers after a restart has the same noise: the sum of two covers would differ otherwise.
        for own in deployment.stack.stop_holders().await.unwrap() {
            deployment.stack.start_holder(own);
        }
        deployment.all_released().await;
    }
    let state = deployment.state.path();
    let [press, refused] =
        ["press.jsonl", "town.jsonl"].map(|name| lines(&find(state, name).unwrap()));
    let (released, shown) = deployment.stop().await;
    for report in &released {
        let noise = report.noise().unwrap();
        assert_eq!((noise.shares, noise.epsilon), (4, 3.0));
        assert_eq!(report.clamped, None);
        let exact = &shown[&report.window_start];
        assert_ne!(
            report.energy_wh, *exact,
            "without noise by a chance of 10⁻⁶"
        );
        for (noisy, exact) in report.energy_wh.iter().zip(exact) {
            let added = noisy.unwrap().abs_diff(exact.unwrap());
            assert!(added < 12 * noise.half_width_wh, "{added}");
        }
        let line = press
            .iter()
            .find(|line| line["window_start"] == report.window_start.0)
            .unwrap();
        let energy: Vec<Option<i64>> = serde_json::from_value(line["energy_wh"].clone()).unwrap();
        assert_eq!(
            (energy, &line["shares"]),
            (report.energy_wh.clone(), &4.into())
        );
    }
    // The holders' noise is not what it asks for.
    assert_eq!(refused.len() as u64, WINDOWS);
    assert!(refused.iter().all(|line| line["refused"] == "other_noise"));
}

fn find(folder: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.find_map(|path| match path.is_dir() {
        true => find(&path, name),
        false => (path.file_name()? == name).then_some(path),
    })
}

fn lines(file: &std::path::Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_audit_honest_sums_right_also_after_they_were_stopped_in_between() {
    const WINDOWS: u64 = 3;
    let every = |settings: &mut Settings| settings.holder.audit_share = 1.0;
    let mut deployment = Deployment::start_of(WINDOWS, GROUP, every).await;
    deployment.pass().await;
    deployment.all_released().await;
    for record in deployment.audited(window(0), 4).await {
        assert_eq!(record["verdict"]["result"], "right", "{record}");
        assert_eq!(record["contributors"], METERS);
    }
    // The gateway keeps what was released: they demand it after a restart.
    deployment.pass().await;
    deployment.all_released().await;
    for own in deployment.stack.stop_holders().await.unwrap() {
        deployment.stack.start_holder(own);
    }
    for record in deployment.audited(window(1), 4).await {
        assert_eq!(record["verdict"]["result"], "right", "{record}");
    }
    deployment.pass().await;
    deployment.end().await;
}

/// The operator opens it: its zero checks are in order, and the masks are those of its meters.
#[tokio::test(flavor = "multi_thread")]
async fn a_sum_that_analytics_added_a_watt_hour_to_opens_and_every_audit_finds_it_wrong() {
    let every = |settings: &mut Settings| settings.holder.audit_share = 1.0;
    let mut deployment = Deployment::start_of(3, GROUP, every).await;
    deployment.pass().await;
    deployment.all_released().await;
    deployment.stack.stop_analytics().await.unwrap();
    let settings = deployment.stack.settings().clone();
    let key = deployment.state.path().join("analytics-1/signing.key");
    let key = service::files::load_or_create_signing_key(&key).unwrap();
    let own = (settings.analytics.id.clone(), key);
    let feeder = meter::feeder_of(0, 1);
    let rogue = RogueAnalytics::thief(&settings, "rogue", own, feeder).unwrap();
    let has_plan = rogue.outsider.until("a plan", |seen| seen.plan.is_some());
    has_plan.await.unwrap();
    deployment.clock.set(at(2));
    let doctored = window(1);
    let received = async {
        while rogue.outsider.seen().windows().get(&doctored) != Some(&(METERS as usize)) {
            rogue.receive(doctored).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        rogue.receive(doctored).await.unwrap();
    };
    limited(received).await;
    let encoding = rogue.encoding(doctored).unwrap();
    let asked = {
        let seen = rogue.outsider.seen();
        let reports = seen.reports.iter().filter(|((at, _), _)| *at == doctored);
        let (meters, limbs): (Vec<_>, Vec<_>) = reports
            .map(|((_, meter), report)| (meter.clone(), report.limbs.as_slice()))
            .unzip();
        let sum = ciphertext::add(&encoding, limbs).unwrap();
        let quantum = 1_i64 << encoding.quantum_bits();
        Asked {
            window: doctored,
            part: 0,
            named: seen.named(doctored, &meters),
            limbs: ciphertext::tamper(&encoding, &sum, &[(0, quantum)], &[]).unwrap(),
        }
    };
    assert_eq!(rogue.ask(&asked).await.unwrap(), SumStatus::Taken);
    for record in deployment.audited(doctored, 3).await {
        let verdict = &record["verdict"];
        assert_eq!(
            (verdict["result"].as_str(), verdict["differs"].as_bool()),
            (Some("wrong"), Some(true))
        );
        assert_eq!(record["analytics"], "analytics-1");
    }
    for record in deployment.audits(window(0)) {
        assert_eq!(record["verdict"]["result"], "right", "{record}");
    }
    deployment.stack.stop().await.unwrap();
}
