mod ahead;
mod areas;
mod attacks;
mod bills;
mod failed;
mod holders;
mod noisy;
mod publish;
mod refused_noise;
mod search;

use std::path::Path;

use super::run::COUNT_EVERY;
use super::*;
use crate::enrolment::message::tests::{deployment, signing, topics};
use crate::keys::keyring::FIRST_EPOCH;
use crate::release::ledger::Place;
use crate::release::ledger::faults::FailingDisk;
use crate::release::opening::Stage;
use crate::release::report::FeederReport;
use crate::release::take_result::Work;
use crate::release::totals::COMMIT_MAX;
use crate::release::totals::faults::Tearing;
use crate::testing::fleet::{Fleet, Readings, Scene, Sealed, truth};
use bytes::Bytes;
use packed::layout::Layout;
use service::MockClock;
use service::trust::MinMeters;
use tokio::sync::mpsc;
use wire::{KeyEpoch, Part, Plan, SumReceipt, Total, UnixMillis, WindowStart};

/// Long after the windows of these tests.
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// A taker over fresh keys, a plan with feeder-1 and its meters, and its analytics service (key 3).
struct Bench {
    dir: tempfile::TempDir,
    fleet: Fleet,
    /// In force.
    plan: Arc<Plan>,
    max_refusals: u32,
    release: release::Rules,
    /// One at a time: it has the ledger open.
    taker: Option<SumTaker>,
}

impl Bench {
    /// Of eight meters, windows of two intervals, and sums of three meters and more.
    fn new() -> Self {
        Self::of(&Scene {
            meters: 8,
            layout: Layout::Moments,
            batch: 2,
            reference_wh: 1_024,
            min_meters: 3,
            profile: None,
            tariff: None,
            billed: 0,
            holders: false,
            noise: None,
        })
    }

    fn of(scene: &Scene) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fleet = Fleet::new(dir.path(), scene);
        let mut bench = Self {
            plan: fleet.plan.clone(),
            dir,
            fleet,
            max_refusals: 64,
            release: release::Rules::new(scene.min_meters),
            taker: None,
        };
        bench.restart(|ledger| ledger);
        bench
    }

    /// The plan has no other feeder.
    fn alone(mut self) -> Self {
        let feeders = &mut Arc::make_mut(&mut self.plan).feeders;
        feeders.retain(|setting| setting.feeder.as_str() == "feeder-1");
        self
    }

    /// The reports of meters, each with its number and readings, for a window.
    fn reports(&self, window: u64, meters: &[(u32, Readings)]) -> Vec<Sealed> {
        let under = || self.fleet.under(self.fleet.window(window), true);
        let sealed = meters
            .iter()
            .map(|(number, readings)| self.fleet.seal(*number, &under(), readings));
        sealed.collect()
    }

    /// Their honest sum.
    fn sum(&self, window: u64, part: u16, reports: &[Sealed]) -> (Sum, Vec<u8>) {
        let limbs = self.fleet.limbs(reports.iter().map(|report| (1, report)));
        let window = self.fleet.window(window);
        (self.fleet.sum(window, part, reports), limbs)
    }

    /// The honest sum of [`METERS`] for a window.
    fn job(&self, window: u64) -> Job {
        let (sum, limbs) = self.sum(window, 0, &self.reports(window, &meters()));
        self.job_of(&sum, &limbs)
    }

    fn job_of(&self, sum: &Sum, limbs: &[u8]) -> Job {
        let topic = topics().sum(wire::Shard(0), &sum.feeder);
        let (bytes, _) = wire::seal(sum, Some(limbs), &deployment(), &topic, &signing(3));
        self.raw("feeder-1", bytes)
    }

    fn raw(&self, feeder: &str, payload: Vec<u8>) -> Job {
        Job {
            feeder: feeder.parse().unwrap(),
            payload: payload.into(),
            min_meters: Arc::new(MinMeters::new(self.plan.min_meters)),
            plan: self.plan.clone(),
            members: self.fleet.members.clone(),
            others: Vec::new(),
            masks: None,
        }
    }

    fn take(&mut self, jobs: Vec<Job>) -> Vec<TakeResult> {
        self.taker.as_mut().unwrap().take(jobs)
    }

    /// Takes the sum of these meters for window 1: its report, and the messages about it.
    fn released(&mut self, meters: &[(u32, Readings)]) -> (FeederReport, Vec<(String, Bytes)>) {
        let (sum, limbs) = self.sum(1, 0, &self.reports(1, meters));
        match self.take(vec![self.job_of(&sum, &limbs)]).pop() {
            Some(TakeResult::Taken {
                report, messages, ..
            }) => (*report, messages),
            other => panic!("{other:?}"),
        }
    }

    fn status(&self, (topic, bytes): &(String, Bytes)) -> SumStatus {
        let receipt = wire::decode::<SumReceipt>(bytes, bytes.len()).unwrap();
        receipt
            .verify(&deployment(), topic, &self.fleet.keyring.verifying())
            .unwrap()
            .message
            .status
    }

    /// The answer to a sum.
    fn answer(&mut self, job: Job) -> SumStatus {
        let results = self.take(vec![job]);
        let message = match &results[..] {
            [TakeResult::Taken { messages, .. }] => &messages[0],
            [
                TakeResult::Duplicate { message, .. }
                | TakeResult::Divided { message, .. }
                | TakeResult::Burnt { message, .. },
            ] => message,
            [
                TakeResult::Rejected {
                    message: Some(message),
                    ..
                },
            ] => message,
            other => panic!("{other:?}"),
        };
        self.status(message)
    }

    fn reason(&mut self, job: Job) -> (Reason, bool) {
        match &self.take(vec![job])[..] {
            [
                TakeResult::Rejected {
                    reason, message, ..
                },
            ] => {
                if let Some(message) = message {
                    assert_eq!(self.status(message), SumStatus::Rejected(*reason));
                }
                (*reason, message.is_some())
            }
            other => panic!("{other:?}"),
        }
    }

    /// Ends the taker and starts another one on what it left.
    /// Restarts with a file of totals whose first write fails half way.
    fn tear_first_write(&mut self) {
        self.restart(|ledger| {
            ledger.with_totals(|inner| {
                Box::new(Tearing {
                    inner,
                    writes_until_torn: 1,
                    stuck: false,
                })
            })
        });
    }

    fn restart(&mut self, change: impl FnOnce(Ledger) -> Ledger) {
        self.taker = None;
        let ledger = change(open(self.dir.path(), &self.fleet.keyring));
        let settings = TakeSettings {
            deployment: deployment(),
            topics: topics(),
            max_refusals: self.max_refusals,
            publish_totals: true,
            future_tolerance: Duration::from_secs(120),
            day_min_meters: 5,
            release: self.release,
        };
        let clock = MockClock::new(NOW);
        let keyring = self.fleet.keyring.clone();
        self.taker = Some(SumTaker::new(
            keyring,
            ledger,
            settings,
            clock,
            SearchBook::default(),
        ));
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn totals(&self) -> usize {
        self.lines("totals.jsonl").len()
    }

    fn opened(&mut self, window: u64) -> Vec<Opening> {
        let window = WindowStart(self.fleet.window(window));
        let ledger = &mut self.taker.as_mut().unwrap().ledger;
        ledger.window(&"feeder-1".parse().unwrap(), window).unwrap()
    }

    fn refusals(&mut self) -> u32 {
        let ledger = &mut self.taker.as_mut().unwrap().ledger;
        ledger.refusals(FIRST_EPOCH).unwrap()
    }
}

fn open(dir: &Path, keyring: &Keyring) -> Ledger {
    let place = Place {
        dir,
        totals: &dir.join("totals.jsonl"),
        deployment: &deployment(),
        operator: &keyring.name(),
    };
    let mut ledger = Ledger::open(&place, false).unwrap();
    let bills = dir.join("bills.jsonl");
    ledger.open_bills(&bills, place.operator).unwrap();
    ledger
}

const METERS: [[i64; 2]; 3] = [[10, -5], [20, 100], [33, 1000]];

fn meters() -> Vec<(u32, Readings)> {
    let readings = METERS
        .iter()
        .map(|readings| readings.iter().copied().map(Some).collect());
    (0..).zip(readings).collect()
}

/// Meters with these numbers, of the same readings.
fn alike(numbers: std::ops::Range<u32>) -> Vec<(u32, Readings)> {
    numbers
        .map(|number| (number, vec![Some(100), Some(7)]))
        .collect()
}

/// Half a quantum more in interval 0: not a whole number of units.
fn spoil(bench: &Bench, limbs: &[u8]) -> Vec<u8> {
    let encoding = bench.fleet.encoding();
    let unit_bits =
        encoding.profile.scale_bits + encoding.quantum_wh.ilog2() - encoding.reference_wh.ilog2();
    bench.fleet.tamper(limbs, &[(0, 1 << (unit_bits - 1))], &[])
}

#[test]
fn a_sum_is_decrypted_made_durable_and_answered() {
    let mut bench = Bench::new();
    let job = bench.job(1);
    let results = bench.take(vec![job.clone()]);
    let [
        TakeResult::Taken {
            report, messages, ..
        },
    ] = &results[..]
    else {
        panic!("{results:?}")
    };
    assert_eq!(report.energy_wh, [Some(63), Some(1095)]);
    assert_eq!(
        (report.present.as_slice(), report.missing),
        (&[Some(3), Some(3)][..], 0)
    );
    // Population deviations of (10, 20, 33) and (-5, 100, 1000), computed apart: 9.42 and 451.05, in steps of 2 and 64.
    assert_eq!(report.std_wh, Some(vec![Some(10), Some(448)]));
    assert_eq!((report.meters, report.by.taken_at), (3, NOW));
    assert_eq!(bench.status(&messages[0]), SumStatus::Taken);
    let total = wire::decode::<Total>(&messages[1].1, 4096)
        .unwrap()
        .claimed()
        .clone();
    assert_eq!(
        (total.energy_wh, total.completeness_ppm, total.quantum_wh),
        (vec![Some(63), Some(1095)], 375_000, 1)
    );
    assert_eq!(total.present, [Some(3), Some(3)]);
    assert_eq!(bench.totals(), 1);

    assert_eq!(bench.answer(job.clone()), SumStatus::Duplicate);
    bench.restart(|ledger| ledger);
    assert_eq!(
        bench.answer(job),
        SumStatus::Duplicate,
        "after a restart too"
    );
    assert_eq!(bench.totals(), 1);
}

#[test]
fn missing_readings_count_for_nothing() {
    let mut bench = Bench::new();
    let mut meters: Vec<_> = meters().into_iter().chain(alike(3..4)).collect();
    meters[0].1[1] = None;
    let report = bench.released(&meters).0;
    assert_eq!(report.energy_wh, [Some(163), Some(1_107)]);
    assert_eq!(report.present, [Some(4), Some(3)]);
    assert_eq!((report.missing, report.withheld_intervals), (1, 0));
    assert_eq!(report.mean_wh, [Some(40.75), Some(369.0)]);
    assert_eq!(report.completeness, 0.4375);
}

/// What the total of an interval would be if it alone had a reading, or with another.
#[test]
fn a_household_that_alone_has_a_reading_in_an_interval_is_not_readable_from_what_leaves() {
    let leaving = |first: Option<i64>, second: Option<i64>| {
        let mut bench = Bench::new();
        let mut meters = meters();
        for ((_, readings), last) in meters.iter_mut().zip([first, second, None]) {
            readings[1] = last;
        }
        let (mut report, messages) = bench.released(&meters);
        let total = wire::decode::<Total>(&messages[1].1, 4096).unwrap();
        let written: FeederReport = serde_json::from_str(&bench.lines("totals.jsonl")[0]).unwrap();
        assert_eq!(written, report);
        // What differs from one run to the next, and says nothing.
        (report.digest, report.by.operator) = (Digest([0; 32]), String::new());
        (report, total.claimed().clone())
    };
    let (report, total) = leaving(Some(987), None);
    assert_eq!(
        (&report.energy_wh, &report.present),
        (&vec![Some(63), None], &vec![Some(3), None])
    );
    assert_eq!(
        (&total.energy_wh, &total.present),
        (&report.energy_wh, &report.present)
    );
    assert_eq!((report.missing, report.completeness), (3, 0.1875));
    for (first, second) in [(Some(-45), None), (Some(1), Some(2))] {
        assert_eq!(leaving(first, second), (report.clone(), total.clone()));
    }
    let nobody = leaving(None, None).0;
    assert_eq!(nobody.energy_wh, [Some(63), None]);
    assert_eq!(nobody.present, [Some(3), Some(0)], "a gap is no secret");
}

/// Its limbs, and a plan in which only the second epoch is left.
#[test]
fn a_sum_is_read_with_the_keys_of_its_epoch_also_of_one_that_left_the_plan() {
    let mut bench = Bench::new();
    let late = bench.job(0);
    let mut plan = (*bench.plan).clone();
    let keys = bench.fleet.keyring.epoch(KeyEpoch(2)).unwrap();
    plan.epochs = vec![keys.entry(KeyEpoch(2), WindowStart(bench.fleet.window(1)))];
    bench.plan = Arc::new(plan);
    let late = Job {
        plan: bench.plan.clone(),
        ..late
    };
    assert_eq!(bench.answer(late), SumStatus::Taken);
    // Under way when its window came to belong to epoch 2.
    let under_way = bench.job(1);
    assert_eq!(bench.answer(under_way), SumStatus::Taken);
    let (mut sum, limbs) = bench.sum(2, 0, &bench.reports(2, &meters()));
    sum.epoch = KeyEpoch(2);
    let job = bench.job_of(&sum, &limbs);
    let status = SumStatus::Rejected(Reason::NotOpened);
    assert_eq!(bench.answer(job), status, "the key is another");
}

#[test]
fn what_nobody_vouches_for_gets_no_answer() {
    let mut bench = Bench::new();
    let (sum, limbs) = bench.sum(1, 0, &bench.reports(1, &meters()));
    let topic = topics().sum(wire::Shard(0), &sum.feeder);
    let (forged, _) = wire::seal(&sum, Some(&limbs), &deployment(), &topic, &signing(4));
    let job = bench.raw("feeder-1", forged);
    assert_eq!(bench.reason(job), (Reason::BadSignature, false));
    let (misplaced, _) = wire::seal(&sum, Some(&limbs), &deployment(), &topic, &signing(3));
    let job = bench.raw("feeder-2", misplaced);
    assert_eq!(bench.reason(job), (Reason::WrongTopic, false));
    let mut other = sum.clone();
    other.analytics = "analytics-2".parse().unwrap();
    let job = bench.job_of(&other, &limbs);
    assert_eq!(bench.reason(job), (Reason::UnknownAnalytics, false));
    let job = bench.raw("feeder-1", b"noise".to_vec());
    assert_eq!(bench.reason(job), (Reason::InvalidMessage, false));
}

#[test]
fn what_breaks_a_rule_is_rejected_with_a_receipt_and_nothing_is_spent() {
    let mut bench = Bench::new();
    let reports = bench.reports(1, &meters());
    let (few, few_limbs) = bench.sum(1, 0, &reports[..2]);
    let (sum, limbs) = bench.sum(1, 0, &reports);
    for (sum, limbs, reason) in [
        (&few, &few_limbs[..], Reason::MinMeters),
        (&sum, &limbs[1..], Reason::WrongLength),
        (&sum, &vec![0xff; limbs.len()], Reason::LimbOutOfRange),
    ] {
        let job = bench.job_of(sum, limbs);
        assert_eq!(bench.reason(job), (reason, true));
    }
    assert_eq!((bench.opened(1).len(), bench.refusals()), (0, 0));
    let job = bench.job_of(&sum, &limbs);
    bench.take(vec![job]);
    let other = bench.job(1);
    assert_eq!(bench.reason(other), (Reason::Conflict, true));
    assert_eq!(bench.totals(), 1);
}

#[test]
fn a_sum_of_the_future_is_refused_before_anything_is_spent_and_key_epochs_may_begin() {
    let mut bench = Bench::new();
    let window = (NOW.0 / 1000 + 120) / bench.fleet.window(1);
    let (sum, limbs) = bench.sum(window, 0, &bench.reports(window, &alike(0..4)));
    let job = bench.job_of(&sum, &spoil(&bench, &limbs));
    assert_eq!(bench.reason(job), (Reason::ReportTooEarly, true));
    assert_eq!((bench.opened(window).len(), bench.refusals()), (0, 0));
    let now = bench.job(window - 1);
    assert_eq!(bench.answer(now), SumStatus::Taken);
}

#[test]
fn what_cannot_be_written_is_not_answered_and_taken_later() {
    let mut bench = Bench::new();
    bench.tear_first_write();
    let job = bench.job(1);
    let results = bench.take(vec![job.clone()]);
    assert!(all_deferred(&results), "{results:?}");
    assert_eq!(bench.totals(), 0);
    assert_eq!(bench.opened(1)[0].stage, Stage::Spent);
    let results = bench.take(vec![job.clone(), job]);
    assert!(
        matches!(
            results[..],
            [TakeResult::Taken { .. }, TakeResult::Duplicate { .. }]
        ),
        "{results:?}"
    );
    assert_eq!(bench.totals(), 1);
}

/// As after a kill there: the total is out, so no other sum of its window can ever be taken.
#[test]
fn what_only_the_totals_could_be_written_is_announced_once_the_ledger_has_it() {
    let mut bench = Bench::new();
    let disk = FailingDisk::default();
    let failing = disk.clone();
    bench.restart(|ledger| ledger.on(failing));
    let before = bench.job(0);
    bench.take(vec![before]);
    // What spending takes, so that the next write is that of what became of the sum.
    let spending = {
        let (sum, limbs) = bench.sum(2, 0, &bench.reports(2, &meters()));
        let opening = Opening::of(&sum, &Digest::of(&limbs));
        let operations = disk.operations();
        let ledger = &mut bench.taker.as_mut().unwrap().ledger;
        ledger.spend(&[opening]).unwrap();
        disk.operations() - operations
    };
    let job = bench.job(1);
    let other = bench.job(1);
    disk.fail_after(spending, u64::MAX);
    for _ in 0..3 {
        let results = bench.take(vec![job.clone(), other.clone()]);
        assert!(all_deferred(&results), "{results:?}");
    }
    assert_eq!(bench.totals(), 2);
    disk.fail_after(0, 0);
    let results = bench.take(vec![other, job]);
    let [
        TakeResult::Taken {
            report, messages, ..
        },
        TakeResult::Rejected { reason, .. },
        TakeResult::Duplicate { .. },
    ] = &results[..]
    else {
        panic!("{results:?}")
    };
    assert_eq!(*reason, Reason::Conflict);
    // The total is told to everybody once, as if the ledger had not failed.
    assert_eq!(report.energy_wh, [Some(63), Some(1095)]);
    assert_eq!(bench.status(&messages[0]), SumStatus::Taken);
    assert_eq!(
        messages[1].0,
        topics().total(wire::Shard(0), &report.feeder)
    );
    let again = bench.job(1);
    assert_eq!(bench.reason(again), (Reason::Conflict, true));
    assert_eq!(bench.totals(), 2);
}

fn all_deferred(results: &[TakeResult]) -> bool {
    let mut results = results.iter();
    results.all(|result| matches!(result, TakeResult::Deferred))
}

#[test]
fn releases_are_counted_when_no_more_sums_wait_and_every_sixteenth_group_while_some_do() {
    let mut bench = Bench::new();
    let count = bench.dir.path().join("releases.count");
    let counted = || std::fs::read_to_string(&count).unwrap();
    let groups = COUNT_EVERY as usize + 1;
    let jobs = mpsc::channel(groups * COMMIT_MAX);
    let sum = bench.job(1);
    jobs.0.try_send(Work::Take(sum)).unwrap();
    let noise = || Work::Take(bench.raw("feeder-1", b"noise".to_vec()));
    while let Ok(()) = jobs.0.try_send(noise()) {}
    // So narrow that the taker is never more than a result ahead of this test.
    let results = mpsc::channel(1);
    let taker = bench.taker.take().unwrap();
    let found = jobs.0.downgrade();
    let thread = std::thread::spawn(move || taker.run(jobs.1, &found, &results.0));
    let mut results = results.1;
    for _ in 0..=COMMIT_MAX {
        results.blocking_recv().unwrap();
    }
    assert_eq!(counted(), "0\n", "after the first group more sums wait");
    for _ in COMMIT_MAX + 1..=(groups - 1) * COMMIT_MAX {
        results.blocking_recv().unwrap();
    }
    assert_eq!(counted(), "1\n", "after the sixteenth group");

    drop(jobs.0);
    while results.blocking_recv().is_some() {}
    thread.join().unwrap();
}

#[test]
fn the_last_release_is_counted_although_its_group_is_the_first() {
    let mut bench = Bench::new();
    let jobs = mpsc::channel(1);
    let results = mpsc::channel(1);
    let sum = bench.job(1);
    jobs.0.try_send(Work::Take(sum)).unwrap();
    let found = jobs.0.downgrade();
    drop(jobs.0);
    let taker = bench.taker.take().unwrap();
    taker.run(jobs.1, &found, &results.0);
    let counted = std::fs::read_to_string(bench.dir.path().join("releases.count"));
    assert_eq!(counted.unwrap(), "1\n");
}

#[test]
fn an_answer_about_another_window_stands_although_its_group_was_not_written() {
    let mut bench = Bench::new();
    bench.tear_first_write();
    let job = bench.job(1);
    let (small, limbs) = bench.sum(0, 0, &bench.reports(0, &alike(0..2)));
    let small = bench.job_of(&small, &limbs);
    let results = bench.take(vec![job, small]);
    let [TakeResult::Deferred, TakeResult::Rejected { reason, .. }] = &results[..] else {
        panic!("{results:?}")
    };
    assert_eq!(*reason, Reason::MinMeters);
}

/// What came before in the window decides what the next one is.
#[test]
fn sums_of_one_window_in_a_group_are_taken_one_after_the_other() {
    let mut bench = Bench::new();
    bench.release.supplement_min_meters = 3;
    bench.restart(|ledger| ledger);
    let (first, second) = (
        bench.reports(1, &alike(0..4)),
        bench.reports(1, &alike(4..8)),
    );
    let jobs = [(0, &first), (0, &second), (1, &second), (0, &first)];
    let jobs = jobs.map(|(part, reports)| {
        let (sum, limbs) = bench.sum(1, part, reports);
        bench.job_of(&sum, &limbs)
    });
    let results = bench.take(jobs.to_vec());
    let [
        TakeResult::Taken { .. },
        TakeResult::Rejected { reason, .. },
        TakeResult::Taken { .. },
        TakeResult::Duplicate { .. },
    ] = &results[..]
    else {
        panic!("{results:?}")
    };
    assert_eq!((*reason, bench.totals()), (Reason::Conflict, 2));
}

/// An operator that is started with another minimum must not open what was held under the one before.
#[test]
fn a_sum_that_was_too_small_in_its_window_stays_so_after_the_minimum_is_lowered() {
    let mut bench = Bench::new();
    let mut plan = (*bench.plan).clone();
    plan.min_meters = 2;
    bench.plan = Arc::new(plan);
    let mut min_meters = MinMeters::new(3);
    assert!(min_meters.change(2, WindowStart(bench.fleet.window(2))));
    let min_meters = Arc::new(min_meters);
    for (window, status) in [
        (1, SumStatus::Rejected(Reason::MinMeters)),
        (2, SumStatus::Taken),
    ] {
        let (sum, limbs) = bench.sum(window, 0, &bench.reports(window, &meters()[..2]));
        let job = Job {
            min_meters: min_meters.clone(),
            ..bench.job_of(&sum, &limbs)
        };
        assert_eq!(bench.answer(job), status, "window {window}");
    }
}
