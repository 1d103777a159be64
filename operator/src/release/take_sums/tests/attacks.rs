//! Attacks over several sums, against the ledger. Those that one sum is enough for are in `open/tests/attacks.rs`.

use super::*;
use crate::testing::fleet::readings;

/// Windows of 24 intervals, and sums of 15 meters and more of 16.
fn bench() -> Bench {
    Bench::of(&Scene {
        meters: 16,
        batch: 24,
        ..Scene::default()
    })
}

fn of_16() -> Vec<(u32, Readings)> {
    (0..).zip(readings(16, 24)).collect()
}

/// An operator that remembers nothing.
fn forget(bench: &mut Bench) {
    bench.taker = None;
    for file in [
        "releases.redb",
        "releases.count",
        "totals.jsonl",
        "totals.refused.jsonl",
    ] {
        std::fs::remove_file(bench.dir.path().join(file)).unwrap();
    }
    bench.restart(|ledger| ledger);
}

fn energy(bench: &mut Bench, job: Job) -> Vec<i64> {
    match &bench.take(vec![job])[..] {
        [TakeResult::Taken { report, .. }] => report.energy_wh.iter().flatten().copied().collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_meters_without_one_are_not_opened_a_second_time() {
    let mut bench = bench();
    let reports = bench.reports(0, &of_16());
    let whole = bench.sum(0, 0, &reports);
    let victim = &of_16()[7].1;
    let mut others = reports.clone();
    others.remove(7);
    for part in [0, 1] {
        let without = bench.sum(0, part, &others);
        let [whole, without] = [&whole, &without].map(|(sum, limbs)| bench.job_of(sum, limbs));
        let total = energy(&mut bench, whole);
        let reason = bench.reason(without.clone()).0;
        assert!(
            matches!(reason, Reason::Conflict | Reason::AlreadyOpened),
            "{reason}"
        );

        forget(&mut bench);
        let rest = energy(&mut bench, without);
        let difference = total
            .iter()
            .zip(&rest)
            .map(|(total, rest)| Some(total - rest));
        assert_eq!(
            difference.collect::<Readings>(),
            *victim,
            "what it is refused for"
        );
        forget(&mut bench);
    }
}

/// The sum of the victim's late report, number 20, and of the fourteen meters after it, which report nothing but zeros and wait
/// for it.
fn late_household(bench: &Bench) -> Job {
    let zeros = (21..35).map(|number| (number, vec![Some(0); 24]));
    let late: Vec<_> = std::iter::once((20, readings(1, 24).remove(0)))
        .chain(zeros)
        .collect();
    let (sum, limbs) = bench.sum(0, 1, &bench.reports(0, &late));
    bench.job_of(&sum, &limbs)
}

#[test]
fn fourteen_patient_meters_and_a_late_household_get_no_sum() {
    let mut bench = Bench::of(&Scene {
        meters: 35,
        batch: 24,
        ..Scene::default()
    });
    let punctual: Vec<_> = (0..).zip(readings(20, 24)).collect();
    let (sum, limbs) = bench.sum(0, 0, &bench.reports(0, &punctual));
    let punctual = bench.job_of(&sum, &limbs);
    energy(&mut bench, punctual);
    let job = late_household(&bench);
    for supplement_min_meters in [0, 150] {
        bench.release.supplement_min_meters = supplement_min_meters;
        bench.restart(|ledger| ledger);
        let reason = bench.reason(job.clone());
        assert_eq!(reason, (Reason::BatchCollected, true));
        assert_eq!(bench.opened(0).len(), 1, "nothing of it was opened");
    }
    bench.release = bench.release.without(release::Rule::Late);
    bench.restart(|ledger| ledger);
    let expected: Readings = energy(&mut bench, job).into_iter().map(Some).collect();
    assert_eq!(expected, readings(1, 24)[0], "what it is refused for");
}

#[test]
fn one_report_is_no_sum_under_its_own_name_nor_under_those_of_fifteen() {
    let mut bench = bench();
    let reports = bench.reports(0, &of_16());
    let (own, limbs) = bench.sum(0, 0, &reports[7..8]);
    let job = bench.job_of(&own, &limbs);
    assert_eq!(bench.reason(job).0, Reason::MinMeters);
    let fifteen = bench.fleet.sum(own.window.0, 0, &reports[..15]);
    let job = bench.job_of(&fifteen, &limbs);
    assert_eq!(bench.answer(job), SumStatus::Rejected(Reason::NotOpened));
    assert_eq!(bench.totals(), 0);
}

/// How many are enrolled, clamped and missing came from analytics once, and was recorded as sent.
#[test]
fn a_total_says_nothing_that_analytics_only_claims() {
    let total = |change: fn(&mut Sum)| {
        let mut bench = bench();
        let mut of_16 = of_16();
        of_16[3].1[5] = None;
        let (mut sum, limbs) = bench.sum(0, 0, &bench.reports(0, &of_16));
        change(&mut sum);
        let job = bench.job_of(&sum, &limbs);
        let results = bench.take(vec![job]);
        let [TakeResult::Taken { report, .. }] = &results[..] else {
            panic!("{results:?}")
        };
        let mut report = report.clone();
        (report.digest, report.by.operator) = (Digest([0; 32]), String::new());
        report
    };
    let honest = total(|_| {});
    assert_eq!((honest.enrolled, honest.meters), (16, 16));
    assert_eq!((honest.missing, honest.clamped), (1, Some(0)));
    let forged = total(|sum| {
        sum.contributors_digest = Digest([0xff; 32]);
        sum.oldest_sealed_at = UnixMillis(0);
        sum.newest_sealed_at = UnixMillis(253_402_300_799_999);
    });
    assert_eq!(forged, honest);
}

#[test]
fn a_household_that_joins_is_counted_where_an_operator_looks() {
    let mut bench = bench();
    let churn = |bench: &mut Bench, window, meters: &[(u32, Readings)]| {
        let (sum, limbs) = bench.sum(window, 0, &bench.reports(window, meters));
        let job = bench.job_of(&sum, &limbs);
        let results = bench.take(vec![job]);
        let [TakeResult::Taken { churn, .. }] = &results[..] else {
            panic!("{results:?}")
        };
        churn.map(|churn| (churn.joined, churn.left))
    };
    let of_16 = of_16();
    assert_eq!(churn(&mut bench, 0, &of_16[1..]), None, "nothing before it");
    assert_eq!(churn(&mut bench, 1, &of_16), Some((1, 0)));
    assert_eq!(churn(&mut bench, 2, &of_16[..15]), Some((0, 1)));
    assert_eq!(churn(&mut bench, 3, &of_16[..15]), Some((0, 0)));
}

#[test]
fn a_set_that_did_not_open_is_not_tried_again() {
    let mut bench = bench();
    let reports = bench.reports(0, &of_16());
    let (sum, limbs) = bench.sum(0, 0, &reports);
    let failed = bench.job_of(&sum, &spoil(&bench, &limbs));
    assert_eq!(bench.answer(failed), SumStatus::Divide);
    for part in [0, 1] {
        let (retry, limbs) = bench.sum(0, part, &reports);
        let retry = bench.job_of(&retry, &limbs);
        assert_eq!(bench.reason(retry).0, Reason::AlreadyOpened, "part {part}");
    }
    // In its own place it is not looked at.
    let (mut retry, limbs) = bench.sum(0, 1, &reports);
    retry.replaces = Some(Part(0));
    let retry = bench.job_of(&retry, &limbs);
    assert_eq!(bench.answer(retry), SumStatus::Rejected(Reason::NotOpened));
    assert_eq!(bench.totals(), 0);
    forget(&mut bench);
    let retry = bench.job_of(&sum, &limbs);
    assert_eq!(energy(&mut bench, retry), truth(&readings(16, 24)));
}

/// Colluders know their masks, so analytics makes any sum of them. Whether the zero checks let K times coefficients of the key
/// pass is an answer about these, and each has its own window.
struct Oracle {
    bench: Bench,
    /// Whose masks it writes down.
    meters: Vec<u32>,
    asked: u64,
    /// Limbs that decrypt to nothing.
    empty: Vec<u8>,
    /// Largest root mean square that passes, of 32 checks together.
    limit: f64,
}

impl Oracle {
    fn new(max_refusals: u32) -> Self {
        let bench = Bench::of(&Scene {
            batch: 1,
            ..Scene::default()
        });
        Self::on(bench.alone(), max_refusals)
    }

    fn on(mut bench: Bench, max_refusals: u32) -> Self {
        bench.max_refusals = max_refusals;
        bench.restart(|ledger| ledger);
        let norms = bench.fleet.keyring.get(FIRST_EPOCH).unwrap().norms();
        let sigma = packed::noise::sigma(bench.fleet.encoding().profile, &norms);
        let checks = bench.fleet.encoding().shape.checks().len() as f64;
        // Sums of 15 reports are centred by the operator, which is taken off here.
        let [t0, t1] = bench.fleet.encoding().profile.dropped;
        let centre = |dropped: u32| -((15 * ((1_i64 << dropped) - 1)) / 2);
        let all = |count, dropped| {
            (0..count)
                .map(|at| (at, centre(dropped)))
                .collect::<Vec<_>>()
        };
        let coefficients = bench.fleet.encoding().shape.coefficients();
        let (c0, c1) = (all(coefficients, t0), all(packed::RING.dimension, t1));
        let none = bench.fleet.limbs(std::iter::empty());
        Self {
            empty: bench.fleet.tamper(&none, &c0, &c1),
            meters: (0..15).collect(),
            bench,
            asked: 0,
            limit: 3.0 * sigma * (15.0 * checks).sqrt(),
        }
    }

    /// Whether a sum passes in which the checks hold `factor` times the key's first coefficients, and one of them `more`.
    /// There is no noise: analytics does not encrypt, it writes the masks down.
    fn ask(&mut self, factor: f64, more: Option<(usize, f64)>) -> SumStatus {
        let window = self.asked;
        self.asked += 1;
        let fleet = &self.bench.fleet;
        let checks = fleet.encoding().shape.checks();
        let at = fleet.window(window);
        let mut masks = vec![0; fleet.encoding().shape.coefficients()];
        let mut named = Vec::new();
        for number in 0..15 {
            let under = fleet.under(at, true);
            if self.meters.contains(&number) {
                fleet.mask(number, &under, &mut masks);
            }
            named.push(Sealed {
                number,
                salt: under.salt,
                c0: Vec::new(),
                c1: Vec::new(),
            });
        }
        let sum = fleet.sum(at, 0, &named);
        let mut c0: Vec<(usize, i64)> = masks.iter().map(|word| *word as i64).enumerate().collect();
        if let Some((check, more)) = more {
            c0[checks.start + check].1 += more as i64;
        }
        // X^start moves the key's first coefficients to the checks.
        let limbs = fleet.tamper(&self.empty, &c0, &[(checks.start, factor as i64)]);
        let job = self.bench.job_of(&sum, &limbs);
        self.bench.answer(job)
    }

    /// How many of so many questions are answered with yes, and with no.
    fn answers(&mut self, questions: u32) -> (u32, u32) {
        let (mut yes, mut no) = (0, 0);
        for question in 0..questions {
            // Far beyond the limit, or no more than noise.
            let factor = match question % 2 {
                0 => 9.0 * self.limit,
                _ => 0.0,
            };
            match self.ask(factor, None) {
                SumStatus::Taken => yes += 1,
                SumStatus::Rejected(Reason::NotOpened) => no += 1,
                SumStatus::Rejected(Reason::KeySpent) => self.meters.clear(),
                other => panic!("{other:?}"),
            }
        }
        (yes, no)
    }

    fn passes(&mut self, factor: f64, more: Option<(usize, f64)>) -> bool {
        match self.ask(factor, more) {
            SumStatus::Taken => true,
            SumStatus::Rejected(Reason::NotOpened) => false,
            other => panic!("{other:?}"),
        }
    }
}

/// How many of the coefficients are not zero, and then two questions for each.
#[test]
fn pass_and_fail_give_the_key_away_where_refusals_are_not_counted() {
    let mut oracle = Oracle::new(u32::MAX);
    let checks = oracle.bench.fleet.encoding().shape.checks().len();
    let limit = oracle.limit;
    let (mut low, mut high) = (0, checks);
    while low < high {
        let middle = (low + high) / 2;
        let factor = limit / (middle as f64 + 0.5).sqrt();
        match oracle.passes(factor, None) {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    let not_zero = low as f64;
    // The rest of the limit, where one check holds `offset` more.
    let offset = 0.8 * limit;
    let room = limit * limit - offset * offset;
    let root = (offset * offset + 4.0 * not_zero * room).sqrt();
    let (alone, other_sign) = (
        (root - offset) / (2.0 * not_zero),
        (root + offset) / (2.0 * not_zero),
    );
    let mut guessed = Vec::new();
    for check in 0..checks {
        let more = Some((check, offset));
        let coefficient = match oracle.passes(alone, more) {
            false => 1,
            true if oracle.passes(other_sign, more) => -1,
            true => 0,
        };
        guessed.push(coefficient);
    }
    assert_eq!(guessed, oracle.bench.fleet.key_coefficients(checks));
}

#[test]
fn four_thousand_questions_for_the_key_have_sixty_four_answers_that_say_no() {
    let mut oracle = Oracle::new(64);
    assert_eq!(oracle.answers(4_000), (63, 64));
    // The count outlives a restart, and a new key epoch begins with none.
    oracle.bench.restart(|ledger| ledger);
    assert_eq!(oracle.ask(0.0, None), SumStatus::Rejected(Reason::KeySpent));
    let ledger = &mut oracle.bench.taker.as_mut().unwrap().ledger;
    assert_eq!(ledger.refusals(KeyEpoch(2)).unwrap(), 0);
}

#[test]
fn where_there_are_other_feeders_one_gets_half_of_the_answers_that_say_no() {
    let bench = Bench::of(&Scene {
        batch: 1,
        ..Scene::default()
    });
    let mut oracle = Oracle::on(bench, 64);
    assert_eq!(oracle.answers(200), (31, 32));
    let ledger = &mut oracle.bench.taker.as_mut().unwrap().ledger;
    let others = ["feeder-1", "feeder-2"].map(|feeder| {
        let feeder = feeder.parse().unwrap();
        ledger.refusals_of(FIRST_EPOCH, &feeder).unwrap()
    });
    assert_eq!(others, [32, 0]);
}
