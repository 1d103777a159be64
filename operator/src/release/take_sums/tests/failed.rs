//! Sums that do not open, and what a kill leaves of one that does.

use super::*;

/// The record of contributors is a ledger of its own: a report that analytics counts twice, or loses, shows.
#[test]
fn a_sum_with_a_report_lost_or_doubled_does_not_open() {
    let mut bench = Bench::new();
    for (window, weights) in [(0, [0, 1, 1]), (1, [2, 1, 1])] {
        let reports = bench.reports(window, &alike(0..3));
        let limbs = bench.fleet.limbs(weights.into_iter().zip(&reports));
        let (sum, _) = bench.sum(window, 0, &reports);
        let job = bench.job_of(&sum, &limbs);
        assert_eq!(bench.answer(job), SumStatus::Rejected(Reason::NotOpened));
    }
    assert_eq!((bench.totals(), bench.refusals()), (0, 2));
}

/// The same sum goes on to its release; another of its meters does not.
#[test]
fn a_kill_between_spending_and_release_costs_nothing_and_opens_no_second_sum() {
    let mut bench = Bench::new();
    let reports = bench.reports(1, &alike(0..4));
    let (sum, limbs) = bench.sum(1, 0, &reports);
    let job = bench.job_of(&sum, &limbs);
    let opening = Opening::of(&sum, &Digest::of(&limbs));
    let ledger = &mut bench.taker.as_mut().unwrap().ledger;
    ledger.spend(std::slice::from_ref(&opening)).unwrap();
    bench.restart(|ledger| ledger);
    let (fewer, limbs) = bench.sum(1, 0, &reports[..3]);
    let fewer = bench.job_of(&fewer, &limbs);
    assert_eq!(bench.reason(fewer).0, Reason::AlreadyOpened);
    assert_eq!(bench.answer(job.clone()), SumStatus::Taken);
    assert_eq!(bench.answer(job), SumStatus::Duplicate);
    let expected = Opening {
        stage: Stage::Released,
        ..opening
    };
    assert_eq!(bench.opened(1), [expected]);
}

/// Zero checks, grid and range: who asks learns only that the sum did not open.
#[test]
fn whatever_of_a_sum_fails_is_told_and_written_down_alike() {
    let mut bench = Bench::new();
    let encoding = bench.fleet.encoding();
    let check = encoding.shape.checks().start;
    let one = 1_i64 << encoding.profile.scale_bits;
    let unit_bits =
        encoding.profile.scale_bits + encoding.quantum_wh.ilog2() - encoding.reference_wh.ilog2();
    // A check that is not zero, half a quantum, and 100 times what a meter can have.
    let spoilt = [(check, one), (0, 1 << (unit_bits - 1)), (0, 100 * one)];
    for (window, spoilt) in (0..).zip(spoilt) {
        let (sum, limbs) = bench.sum(window, 0, &bench.reports(window, &alike(0..8)));
        let limbs = bench.fleet.tamper(&limbs, &[spoilt], &[]);
        let job = bench.job_of(&sum, &limbs);
        assert_eq!(bench.answer(job.clone()), SumStatus::Divide);
        assert_eq!(
            bench.answer(job),
            SumStatus::Divide,
            "as often as it is asked"
        );
        let stages: Vec<_> = bench
            .opened(window)
            .iter()
            .map(|opening| opening.stage)
            .collect();
        assert_eq!(stages, [Stage::Divided]);
        assert_eq!(u64::from(bench.refusals()), window + 1);
    }
    assert_eq!(bench.totals(), 0);
    bench.restart(|ledger| ledger);
    assert_eq!(bench.refusals(), 3, "after a restart too");
}

#[test]
fn a_sum_that_did_not_open_is_replaced_by_parts_and_the_bad_ones_meters_are_named() {
    let mut bench = Bench::new();
    let reports = bench.reports(1, &alike(0..8));
    let (sum, limbs) = bench.sum(1, 0, &reports);
    let whole = bench.job_of(&sum, &spoil(&bench, &limbs));
    assert_eq!(bench.answer(whole.clone()), SumStatus::Divide);
    let groups = sum.set.partition(3, sum.window);
    let [first, second] = &groups[..] else {
        panic!("{groups:?}")
    };
    let of = |group: &wire::ContributorSet| {
        let reports = reports
            .iter()
            .filter(|report| group.contains(report.number));
        reports.cloned().collect::<Vec<_>>()
    };
    let (first, second) = (of(first), of(second));
    let part = |bench: &Bench, number, reports: &[Sealed], is_bad| {
        let (mut sum, limbs) = bench.sum(1, number, reports);
        sum.replaces = Some(Part(0));
        match is_bad {
            true => bench.job_of(&sum, &spoil(bench, &limbs)),
            false => bench.job_of(&sum, &limbs),
        }
    };
    let good = part(&bench, 1, &first, false);
    assert_eq!(bench.answer(good), SumStatus::Taken);
    let bad = part(&bench, 2, &second, true);
    let not_opened = SumStatus::Rejected(Reason::NotOpened);
    assert_eq!(bench.answer(bad.clone()), not_opened);
    assert_eq!(bench.answer(bad), not_opened, "the same again");
    let retry = part(&bench, 3, &second, false);
    assert_eq!(bench.reason(retry).0, Reason::AlreadyOpened);
    assert_eq!(bench.reason(whole).0, Reason::AlreadyOpened);

    let total: FeederReport = serde_json::from_str(&bench.lines("totals.jsonl")[0]).unwrap();
    assert_eq!(
        (total.energy_wh, total.replaces),
        (vec![Some(400), Some(28)], Some(Part(0)))
    );
    let refused = bench.lines("totals.refused.jsonl");
    let [divided, refused] = &refused[..] else {
        panic!("{refused:?}")
    };
    let divided: serde_json::Value = serde_json::from_str(divided).unwrap();
    assert_eq!(divided["divided"], true);
    let refused: serde_json::Value = serde_json::from_str(refused).unwrap();
    let named = second
        .iter()
        .map(|report| format!("meter-{}", report.number));
    let named = serde_json::json!(named.collect::<Vec<_>>());
    assert_eq!(
        (&refused["meters"], &refused["part"]),
        (&named, &serde_json::json!(2))
    );
    assert_eq!((bench.totals(), bench.refusals()), (1, 2));
}

/// None of the others is looked at, whatever it says.
#[test]
fn within_a_group_too_no_more_sums_fail_than_may() {
    let mut bench = Bench::new().alone();
    bench.max_refusals = 2;
    bench.restart(|ledger| ledger);
    let jobs = (0..4).map(|window| {
        let (sum, limbs) = bench.sum(window, 0, &bench.reports(window, &alike(0..3)));
        let limbs = match window {
            3 => limbs,
            _ => spoil(&bench, &limbs),
        };
        bench.job_of(&sum, &limbs)
    });
    let results = bench.take(jobs.collect());
    let reasons: Vec<_> = results
        .iter()
        .map(|result| match result {
            TakeResult::Burnt { .. } => Reason::NotOpened,
            TakeResult::Rejected { reason, .. } => *reason,
            other => panic!("{other:?}"),
        })
        .collect();
    let (failed, spent) = (Reason::NotOpened, Reason::KeySpent);
    assert_eq!(reasons, [failed, failed, spent, spent]);
    assert_eq!((bench.totals(), bench.refusals()), (0, 2));
    // Where more may fail, the honest one is released after all.
    let (sum, limbs) = bench.sum(4, 0, &bench.reports(4, &alike(0..3)));
    let honest = bench.job_of(&sum, &limbs);
    assert_eq!(bench.answer(honest.clone()), SumStatus::Rejected(spent));
    bench.max_refusals = 3;
    bench.restart(|ledger| ledger);
    assert_eq!(bench.answer(honest), SumStatus::Taken);
}
