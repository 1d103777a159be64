//! Sums whose masks are with holders: nothing opens without their answers, and everything with them.

use super::*;
use crate::holders::cover::Cover;
use crate::holders::masks::HolderMasks;
use crate::release::take_result::Needed;
use wire::HolderSet;

/// Four holders, of whom two have every stream.
fn with_holders() -> Bench {
    Bench::of(&Scene {
        meters: 8,
        layout: Layout::Moments,
        batch: 2,
        reference_wh: 1_024,
        min_meters: 3,
        holders: true,
        ..Scene::default()
    })
}

fn needed(result: TakeResult) -> Needed {
    match result {
        TakeResult::NeedsHolders(needed) => *needed,
        other => panic!("{other:?}"),
    }
}

/// What these streams' holders give, of a step or of all.
pub(super) fn masks(bench: &Bench, sum: &Sum, streams: u16, whole: bool) -> HolderMasks {
    let words = bench.fleet.stream_sums(sum, streams);
    let start = bench.fleet.encoding().shape.checks().start;
    let (payload, checks) = words.split_at(start);
    HolderMasks {
        checks: checks.to_vec().into(),
        payload: whole.then(|| payload.to_vec().into()),
        consented: vec!["holder-0".parse().unwrap()],
        refused: None,
        since: tokio::time::Instant::now(),
    }
}

/// The streams that these holders have.
fn streams_of(bench: &Bench, holders: &[usize]) -> u16 {
    let terms = bench.plan.terms_for(WindowStart(0)).unwrap();
    let there = HolderSet::of(holders.iter().copied());
    let groups = Cover::each(terms, there).into_iter();
    groups.fold(0, |all, group| all | group.streams)
}

fn zeros_pass(bench: &mut Bench, opened: &wire::Opened<Sum>, masks: &HolderMasks) -> bool {
    let members = (&*bench.fleet.members, &[][..]);
    let opener = &mut bench.taker.as_mut().unwrap().opener;
    let unmasked = opener.unmask(opened, &bench.plan, members, Some(masks));
    unmasked
        .map_err(|reason| reason.to_string())
        .unwrap()
        .zeros_pass()
}

pub(super) fn take_one(bench: &mut Bench, job: Job) -> TakeResult {
    bench.take(vec![job]).pop().unwrap()
}

#[test]
fn a_sum_opens_exactly_once_the_checks_and_then_the_rest_have_come() {
    let mut bench = with_holders();
    let (sum, limbs) = bench.sum(1, 0, &bench.reports(1, &meters()));
    let job = bench.job_of(&sum, &limbs);
    let first = needed(take_one(&mut bench, job));
    assert_eq!(first.terms.name(), "2of4");
    let shape = bench.fleet.encoding().shape;
    assert_eq!(
        first.lengths.checks + first.lengths.payload,
        shape.coefficients()
    );
    let checks = Job {
        masks: Some(masks(&bench, &sum, 15, false)),
        ..first.job
    };
    let second = needed(take_one(&mut bench, checks));
    let whole = Job {
        masks: Some(masks(&bench, &sum, 15, true)),
        ..second.job
    };
    let TakeResult::Taken { report, .. } = take_one(&mut bench, whole) else {
        panic!("it opens");
    };
    let readings: Vec<Readings> = meters().into_iter().map(|(_, readings)| readings).collect();
    let truth: Vec<_> = truth(&readings).into_iter().map(Some).collect();
    assert_eq!(report.energy_wh, truth);
    let holders = report.holders.unwrap();
    assert_eq!(holders.of, "2of4");
    assert_eq!(holders.consented.len(), 1);
}

/// One fewer than the threshold, whichever they are: what is left of the sum is uniform noise.
#[test]
fn without_a_stream_nothing_opens_and_any_two_holders_have_all() {
    let mut bench = with_holders();
    for holder in 0..4 {
        let (sum, limbs) = bench.sum(1, 0, &bench.reports(1, &meters()));
        let streams = streams_of(&bench, &[holder]);
        assert_eq!(streams.count_ones(), 3);
        let both: Vec<u16> = (0..4)
            .map(|other| streams_of(&bench, &[holder, other]))
            .collect();
        let opened = bench.fleet.opened(sum.clone(), limbs);
        let mut zeros_pass = |streams: u16| {
            let masks = masks(&bench, &sum, streams, true);
            zeros_pass(&mut bench, &opened, &masks)
        };
        assert!(!zeros_pass(streams), "holder {holder} alone");
        for other in (0..4).filter(|other| *other != holder) {
            let streams = both[other];
            assert!(zeros_pass(streams), "{holder} and {other}");
        }
    }
}

/// The masks of its readings stay with the holders.
#[test]
fn a_sum_whose_checks_fail_is_divided_and_nobody_is_asked_for_more() {
    let mut bench = with_holders();
    let (sum, limbs) = bench.sum(1, 0, &bench.reports(1, &alike(0..8)));
    let job = Job {
        masks: Some(masks(&bench, &sum, 7, false)),
        ..bench.job_of(&sum, &limbs)
    };
    let TakeResult::Divided { judged, .. } = take_one(&mut bench, job) else {
        panic!("it is divided");
    };
    assert!(
        judged.is_none(),
        "a search needs the operator's masks alone"
    );
}

/// Holders consent to nothing else of its meters, so no part of it could be opened; the next window is divided from the start.
#[test]
fn a_sum_that_fails_once_its_readings_could_be_seen_is_final() {
    let mut bench = with_holders();
    let mut spoilt = masks(
        &bench,
        &bench.sum(1, 0, &bench.reports(1, &alike(0..8))).0,
        15,
        true,
    );
    let (sum, limbs) = bench.sum(1, 0, &bench.reports(1, &alike(0..8)));
    let mut right = masks(&bench, &sum, 15, true);
    std::mem::swap(&mut spoilt.payload, &mut right.payload);
    let job = Job {
        masks: Some(right),
        ..bench.job_of(&sum, &limbs)
    };
    assert!(matches!(
        take_one(&mut bench, job),
        TakeResult::Burnt { .. }
    ));
    let (sum, limbs) = bench.sum(2, 0, &bench.reports(2, &alike(0..8)));
    let job = bench.job_of(&sum, &limbs);
    assert!(matches!(
        take_one(&mut bench, job),
        TakeResult::Divided { .. }
    ));
}
