use std::path::Path;

use super::*;
use crate::enrolment::message::tests::{analytics, deployment, signing, topics};
use crate::keys::keyring::FIRST_EPOCH;
use crate::plan::book::PlanBook;
use crate::plan::settings::PlanSettings;
use crate::release::ledger::Place;
use crate::release::ledger::faults::FailingDisk;
use crate::release::totals::faults::Tearing;
use bytes::Bytes;
use openfhe::{Context, PublicKey};
use packed::layout::Layout;
use service::MockClock;
use wire::{AnalyticsEntry, KeyEpoch, PlanVersion, SumReceipt, Total, UnixMillis, WindowStart};

/// A taker over fresh keys, a plan with feeder-1, and its analytics service (key 3).
struct Bench {
    dir: tempfile::TempDir,
    keyring: Arc<Keyring>,
    plan: Arc<Plan>,
    /// One at a time: it has the ledger open.
    taker: Option<SumTaker>,
}

fn settings() -> TakeSettings {
    TakeSettings {
        deployment: deployment(),
        topics: topics(),
        layout: Layout::Moments,
        quantum_wh: 1,
        publish_totals: true,
    }
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(dir.path(), None, &packed::ADDITIVE).unwrap();
        let plan_settings = PlanSettings {
            deployment: deployment(),
            interval_s: 3600,
            batch: 2,
            layout: Layout::Moments,
            min_meters: 3,
        };
        let mut book =
            PlanBook::open(dir.path(), topics().plan(), &plan_settings, &keyring).unwrap();
        book.add_feeder(&"feeder-1".parse().unwrap(), 1024);
        let request = analytics("analytics-1", 3, &[]);
        book.set_analytics(AnalyticsEntry {
            id: request.id,
            key: request.key,
            feeders: Vec::new(),
        });
        let keyring = Arc::new(keyring);
        let ledger = open(dir.path(), &keyring);
        let taker = SumTaker::new(
            keyring.clone(),
            ledger,
            settings(),
            MockClock::new(UnixMillis(5)),
        );
        Self {
            plan: book.plan().clone(),
            dir,
            keyring,
            taker: Some(taker),
        }
    }

    /// The encrypted sum of readings, one row a meter.
    fn limbs(&self, meters: &[[i64; 2]]) -> Vec<u8> {
        self.limbs_of(FIRST_EPOCH, meters)
    }

    fn limbs_of(&self, epoch: KeyEpoch, meters: &[[i64; 2]]) -> Vec<u8> {
        let context = Context::new(self.keyring.profile()).unwrap();
        let public =
            PublicKey::from_packed(&context, &self.keyring.get(epoch).unwrap().public).unwrap();
        let mut sum = packed::Accumulator::new(self.keyring.profile());
        for readings in meters {
            let slots = packed::layout::encode(Layout::Moments, readings, 1024).unwrap();
            sum.add(&context.encrypt(&public, &slots).unwrap()).unwrap();
        }
        sum.to_packed()
    }

    fn job(&self, change: impl FnOnce(&mut Sum), limbs: &[u8]) -> Job {
        let mut sum = crate::testing::sum("feeder-1", 7_200, 0);
        (sum.plan_version, sum.contributors, sum.enrolled) = (PlanVersion(1), 3, 4);
        change(&mut sum);
        let topic = topics().sum(&sum.feeder);
        let (bytes, _) = wire::seal(&sum, Some(limbs), &deployment(), &topic, &signing(3));
        self.raw("feeder-1", bytes)
    }

    fn raw(&self, feeder: &str, payload: Vec<u8>) -> Job {
        Job {
            feeder: feeder.parse().unwrap(),
            payload: payload.into(),
            plan: self.plan.clone(),
            enrolled: 4,
        }
    }

    fn take(&mut self, jobs: Vec<Job>) -> Vec<TakeResult> {
        self.taker.as_mut().unwrap().take(jobs)
    }

    fn status(&self, (topic, bytes): &(String, Bytes)) -> SumStatus {
        let receipt = wire::decode::<SumReceipt>(bytes, bytes.len()).unwrap();
        receipt
            .verify(&deployment(), topic, &self.keyring.verifying())
            .unwrap()
            .message
            .status
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
    fn restart(&mut self, change: impl FnOnce(Ledger) -> Ledger) {
        self.taker = None;
        let ledger = change(open(self.dir.path(), &self.keyring));
        let clock = MockClock::new(UnixMillis(6));
        self.taker = Some(SumTaker::new(
            self.keyring.clone(),
            ledger,
            settings(),
            clock,
        ));
    }

    fn totals(&self) -> usize {
        std::fs::read_to_string(self.dir.path().join("totals.jsonl"))
            .unwrap()
            .lines()
            .count()
    }
}

fn open(dir: &Path, keyring: &Keyring) -> Ledger {
    let place = Place {
        dir,
        totals: &dir.join("totals.jsonl"),
        deployment: &deployment(),
        operator: &keyring.name(),
    };
    Ledger::open(&place, false).unwrap()
}

const METERS: [[i64; 2]; 3] = [[10, -5], [20, 100], [33, 1000]];

#[test]
fn a_sum_is_decrypted_made_durable_and_answered() {
    let mut bench = Bench::new();
    let job = bench.job(|_| {}, &bench.limbs(&METERS));
    let results = bench.take(vec![job.clone()]);
    let [
        TakeResult::Taken {
            report, messages, ..
        },
    ] = &results[..]
    else {
        panic!("{results:?}")
    };
    assert_eq!(report.energy_wh, [63, 1095]);
    // Population deviations of (10, 20, 33) and (-5, 100, 1000), computed apart: 9.42 and 451.05.
    assert_eq!(report.std_wh, Some(vec![9, 451]));
    assert_eq!((report.meters, report.by.taken_at), (3, UnixMillis(5)));
    assert_eq!(bench.status(&messages[0]), SumStatus::Taken);
    let total = wire::decode::<Total>(&messages[1].1, 4096)
        .unwrap()
        .claimed()
        .clone();
    assert_eq!(
        (total.energy_wh, total.completeness_ppm, total.bound_wh),
        (vec![63, 1095], 750_000, 1)
    );
    assert_eq!(bench.totals(), 1);

    let again = bench.take(vec![job.clone()]);
    let [TakeResult::Duplicate { message, .. }] = &again[..] else {
        panic!("{again:?}")
    };
    assert_eq!(bench.status(message), SumStatus::Duplicate);
    bench.restart(|ledger| ledger);
    assert!(
        matches!(bench.take(vec![job])[..], [TakeResult::Duplicate { .. }]),
        "after a restart too"
    );
    assert_eq!(bench.totals(), 1);
}

#[test]
fn each_sum_is_read_with_the_key_of_its_epoch_also_of_one_that_left_the_plan() {
    let mut bench = Bench::new();
    let old = bench.limbs(&METERS);
    let mut plan = (*bench.plan).clone();
    let keys = bench.keyring.epoch(KeyEpoch(2)).unwrap();
    plan.epochs = vec![keys.entry(KeyEpoch(2), WindowStart(7_200))];
    bench.plan = Arc::new(plan);
    let late = bench.job(|sum| sum.window = WindowStart(0), &old);
    // Under way when its window came to belong to epoch 2.
    let under_way = bench.job(|_| {}, &old);
    let next = bench.job(
        |sum| (sum.epoch, sum.window) = (KeyEpoch(2), WindowStart(14_400)),
        &bench.limbs_of(KeyEpoch(2), &METERS),
    );
    for job in [late, under_way, next] {
        let results = bench.take(vec![job]);
        let [TakeResult::Taken { report, .. }] = &results[..] else {
            panic!("{results:?}")
        };
        assert_eq!(report.energy_wh, [63, 1095]);
    }
    let wrong_key = bench.job(
        |sum| (sum.epoch, sum.window) = (KeyEpoch(2), WindowStart(21_600)),
        &old,
    );
    assert_eq!(bench.reason(wrong_key), (Reason::InvalidMessage, true));
}

#[test]
fn dropping_or_doubling_a_reading_breaks_the_bound() {
    let mut bench = Bench::new();
    let with_twice = [METERS[0], METERS[1], METERS[2], METERS[0]];
    for (window, meters, contributors) in [(0, &METERS[1..], 3), (7_200, &with_twice[..], 3)] {
        let limbs = bench.limbs(meters);
        let job = bench.job(
            |sum| (sum.window, sum.contributors) = (WindowStart(window), contributors),
            &limbs,
        );
        let results = bench.take(vec![job]);
        let [TakeResult::Taken { report, .. }] = &results[..] else {
            panic!("{results:?}")
        };
        for (k, truth) in [63.0, 1095.0].into_iter().enumerate() {
            assert!((report.energy_wh[k] as f64 - truth).abs() > report.bound_wh);
        }
    }
}

#[test]
fn what_nobody_vouches_for_gets_no_answer() {
    let mut bench = Bench::new();
    let limbs = bench.limbs(&METERS);
    let sum = || {
        let mut sum = crate::testing::sum("feeder-1", 7_200, 0);
        (sum.plan_version, sum.contributors) = (PlanVersion(1), 3);
        sum
    };
    let topic = topics().sum(&sum().feeder);
    let (forged, _) = wire::seal(&sum(), Some(&limbs), &deployment(), &topic, &signing(4));
    let job = bench.raw("feeder-1", forged);
    assert_eq!(bench.reason(job), (Reason::BadSignature, false));
    let (misplaced, _) = wire::seal(&sum(), Some(&limbs), &deployment(), &topic, &signing(3));
    let job = bench.raw("feeder-2", misplaced);
    assert_eq!(bench.reason(job), (Reason::WrongTopic, false));
    let job = bench.job(|sum| sum.analytics = "analytics-2".parse().unwrap(), &limbs);
    assert_eq!(bench.reason(job), (Reason::UnknownAnalytics, false));
    let job = bench.raw("feeder-1", b"noise".to_vec());
    assert_eq!(bench.reason(job), (Reason::InvalidMessage, false));
}

#[test]
fn what_breaks_a_rule_is_rejected_with_a_receipt() {
    let mut bench = Bench::new();
    let limbs = bench.limbs(&METERS);
    let job = bench.job(|sum| sum.contributors = 2, &limbs);
    assert_eq!(bench.reason(job), (Reason::MinMeters, true));
    let job = bench.job(|_| {}, &limbs[1..]);
    assert_eq!(bench.reason(job), (Reason::WrongLength, true));
    let job = bench.job(|_| {}, &vec![0xff; limbs.len()]);
    assert_eq!(bench.reason(job), (Reason::LimbOutOfRange, true));
    // Limbs in range that no key of ours made: OpenFHE refuses them or the result is beyond any sum.
    let mut noise = limbs.clone();
    noise.rotate_left(53);
    let job = bench.job(|_| {}, &noise);
    assert_eq!(bench.reason(job), (Reason::InvalidMessage, true));
    assert_eq!(bench.totals(), 0, "none of these was taken");

    let job = bench.job(|_| {}, &limbs);
    bench.take(vec![job]);
    let job = bench.job(|_| {}, &bench.limbs(&METERS));
    assert_eq!(bench.reason(job), (Reason::Conflict, true));
    assert_eq!(bench.totals(), 1);
}

#[test]
fn what_cannot_be_written_is_not_answered_and_taken_later() {
    let mut bench = Bench::new();
    bench.restart(|ledger| {
        ledger.with_totals(|inner| {
            Box::new(Tearing {
                inner,
                writes_until_torn: 1,
                stuck: false,
            })
        })
    });
    let job = bench.job(|_| {}, &bench.limbs(&METERS));
    let other = bench.job(|_| {}, &bench.limbs(&METERS));
    let results = bench.take(vec![job.clone(), job.clone(), other]);
    assert!(all_deferred(&results), "{results:?}");
    assert_eq!(bench.totals(), 0);
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
    let before = bench.job(|sum| sum.window = WindowStart(0), &bench.limbs(&METERS));
    bench.take(vec![before]);
    let job = bench.job(|_| {}, &bench.limbs(&METERS));
    let other = bench.job(|_| {}, &bench.limbs(&METERS));
    disk.fail_after(0, u64::MAX);
    for _ in 0..3 {
        let results = bench.take(vec![job.clone(), other.clone()]);
        assert!(all_deferred(&results), "{results:?}");
    }
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
    assert_eq!(report.energy_wh, [63, 1095]);
    assert_eq!(bench.status(&messages[0]), SumStatus::Taken);
    assert_eq!(messages[1].0, topics().total(&report.feeder));
    let again = bench.job(|_| {}, &bench.limbs(&METERS));
    assert_eq!(bench.reason(again), (Reason::Conflict, true));
    assert_eq!(bench.totals(), 2);
}

fn all_deferred(results: &[TakeResult]) -> bool {
    let mut results = results.iter();
    results.all(|result| matches!(result, TakeResult::Deferred))
}

/// Those of other windows stand when a commit fails: they were not judged against its sums.
#[test]
fn an_answer_is_about_the_sums_of_its_own_feeder_and_window() {
    let sum = |feeder: &str, window| Box::new(crate::testing::sum(feeder, window, 0));
    let asked = sum("feeder-1", 7_200);
    let message = || (String::new(), Bytes::new());
    for (feeder, window, expected) in [
        ("feeder-1", 7_200, true),
        ("feeder-2", 7_200, false),
        ("feeder-1", 14_400, false),
    ] {
        let duplicate = TakeResult::Duplicate {
            sum: sum(feeder, window),
            message: message(),
        };
        let rejected = |named| TakeResult::Rejected {
            feeder: feeder.parse().unwrap(),
            window: named,
            reason: Reason::Conflict,
            message: None,
        };
        let named = Some((WindowStart(window), wire::Part(3)));
        assert_eq!(duplicate.is_about(&asked), expected);
        assert_eq!(rejected(named).is_about(&asked), expected);
        assert!(!rejected(None).is_about(&asked));
    }
    assert!(!TakeResult::Deferred.is_about(&asked));
}

#[test]
fn releases_are_counted_when_no_more_sums_wait_and_every_sixteenth_group_while_some_do() {
    let mut bench = Bench::new();
    let count = bench.dir.path().join("releases.count");
    let counted = || std::fs::read_to_string(&count).unwrap();
    let groups = COUNT_EVERY as usize + 1;
    let jobs = mpsc::channel(groups * COMMIT_MAX);
    let sum = bench.job(|_| {}, &bench.limbs(&METERS));
    jobs.0.try_send(sum).unwrap();
    while let Ok(()) = jobs.0.try_send(bench.raw("feeder-1", b"noise".to_vec())) {}
    // So narrow that the taker is never more than a result ahead of this test.
    let results = mpsc::channel(1);
    let taker = bench.taker.take().unwrap();
    let thread = std::thread::spawn(move || taker.run(jobs.1, &results.0));
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
    let sum = bench.job(|_| {}, &bench.limbs(&METERS));
    jobs.0.try_send(sum).unwrap();
    drop(jobs.0);
    bench.taker.take().unwrap().run(jobs.1, &results.0);
    let counted = std::fs::read_to_string(bench.dir.path().join("releases.count"));
    assert_eq!(counted.unwrap(), "1\n");
}

#[test]
fn an_answer_about_another_window_stands_although_its_group_was_not_written() {
    let mut bench = Bench::new();
    bench.restart(|ledger| {
        ledger.with_totals(|inner| {
            Box::new(Tearing {
                inner,
                writes_until_torn: 1,
                stuck: false,
            })
        })
    });
    let limbs = bench.limbs(&METERS);
    let sum = bench.job(|_| {}, &limbs);
    let small = bench.job(
        |sum| (sum.window, sum.contributors) = (WindowStart(0), 2),
        &limbs,
    );
    let results = bench.take(vec![sum, small]);
    let [TakeResult::Deferred, TakeResult::Rejected { reason, .. }] = &results[..] else {
        panic!("{results:?}")
    };
    assert_eq!(*reason, Reason::MinMeters);
}
