//! The rules of the windows, driven step by step. A ciphertext here is any valid limbs: adding needs no key.

use packed::layout::{Layout, Shape};
use packed::{ADDITIVE, RING};
use wire::{
    Digest, FeederId, GatewayId, Grid, KeyEpoch, MeterId, Part, PlanVersion, Reason, Report, Salt,
    UnixMillis, WindowStart,
};

use super::{Contribution, Due, Enrolled, FoldResult, Held, Rules, Windows};
use crate::store::{MemoryStore, ReleaseRow, Scope, Stage, Store, StoreError, StoreFormat, SumKey};

mod areas;
mod changes;
mod divide;
mod handover;
mod kept;
mod min_meters;
mod quota;
mod release;
mod sums;

pub(crate) const HOUR: u64 = 3600;
pub(crate) const IDLE_MS: u64 = 30_000;

pub(crate) fn rules() -> Rules {
    Rules {
        // Late reports are released in groups of the minimum size already.
        release: ::release::Rules {
            supplement_min_meters: 3,
            ..::release::Rules::new(3)
        },
        grace_s: HOUR,
        idle_limit_ms: IDLE_MS,
        retention_s: 24 * HOUR,
        max_open: 100,
        max_feeders: 10,
        max_small: 100,
        max_hot: 100,
        fingerprint_bits: 32,
    }
}

pub(crate) fn grid() -> Grid {
    Grid::new(3600, 1).unwrap()
}

pub(crate) fn store_format() -> StoreFormat {
    StoreFormat {
        shape: Shape::new(Layout::Profile, 1).unwrap(),
        grid: grid(),
    }
}

pub(crate) fn coefficients() -> usize {
    store_format().shape.coefficients()
}

pub(crate) fn windows_with(rules: Rules) -> Windows {
    Windows::new(store_format(), rules)
}

pub(crate) fn windows() -> Windows {
    windows_with(rules())
}

pub(crate) fn feeder() -> FeederId {
    "feeder-1".parse().unwrap()
}

pub(crate) fn key(window: u64, part: u16) -> SumKey {
    SumKey {
        feeder: feeder(),
        window: WindowStart(window),
        part: Part(part),
    }
}

pub(crate) fn report(meter: u32, window: u64) -> Report {
    Report {
        plan_version: PlanVersion(1),
        epoch: KeyEpoch(1),
        feeder: feeder(),
        meter: format!("meter-{meter}").parse::<MeterId>().unwrap(),
        gateway: "gateway-1".parse::<GatewayId>().unwrap(),
        window: WindowStart(window),
        salt: Salt(u64::from(meter).to_be_bytes()),
        sealed_at: UnixMillis(0),
    }
}

/// A ciphertext all of whose words are `word` once their low bits are dropped.
pub(crate) fn limbs(word: u64) -> Vec<u8> {
    let [t0, t1] = ADDITIVE.dropped;
    let (c0, c1) = (
        vec![word << t0; coefficients()],
        vec![word << t1; RING.dimension],
    );
    let mut limbs = Vec::new();
    packed::report::pack(&ADDITIVE, &c0, &c1, &mut limbs).unwrap();
    limbs
}

/// What the roster says of a feeder of so many meters, of one capacity.
pub(crate) fn due(
    windows: &mut Windows,
    most: usize,
    meters: u32,
    active_ms: u64,
    store: &mut dyn Store,
) -> Result<(Vec<Due>, Vec<Held>), StoreError> {
    let enrolled = Enrolled {
        meters: &|_| meters,
        has: &|_, _| true,
        capacity: &|_| 10_000,
    };
    windows.due(true, most, &enrolled, active_ms, store)
}

pub(crate) fn contribution<'a>(
    report: &'a Report,
    limbs: &'a [u8],
    digest: Digest,
) -> Contribution<'a> {
    let (_, number) = report.meter.as_str().split_once('-').unwrap();
    Contribution {
        report,
        limbs,
        digest,
        number: number.parse().unwrap(),
        profile: &ADDITIVE,
        max_meters: 255,
    }
}

pub(crate) fn digest(meter: u32) -> Digest {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&meter.to_be_bytes());
    Digest(digest)
}

/// Folds into windows of which nothing was committed.
pub(crate) fn fold(
    windows: &mut Windows,
    meter: u32,
    window: u64,
    active_ms: u64,
) -> Result<FoldResult, Reason> {
    fold_on(
        &mut MemoryStore::default(),
        windows,
        meter,
        window,
        active_ms,
    )
}

/// Folds into windows that were committed to `store`.
pub(crate) fn fold_on(
    store: &mut dyn Store,
    windows: &mut Windows,
    meter: u32,
    window: u64,
    active_ms: u64,
) -> Result<FoldResult, Reason> {
    let (report, limbs) = (report(meter, window), limbs(u64::from(meter)));
    let contribution = contribution(&report, &limbs, digest(meter));
    refused(windows.fold(&contribution, active_ms, store).unwrap())
}

/// A refusal as an error, so that no test overlooks one.
fn refused(result: FoldResult) -> Result<FoldResult, Reason> {
    match result {
        FoldResult::Refused(reason) => Err(reason),
        result => Ok(result),
    }
}

/// Folds a report as it is into windows of which nothing was committed.
fn fold_report(
    windows: &mut Windows,
    report: &Report,
    limbs: &[u8],
    digest: Digest,
) -> Result<FoldResult, Reason> {
    let store = &mut MemoryStore::default();
    let contribution = contribution(report, limbs, digest);
    refused(windows.fold(&contribution, 0, store).unwrap())
}

/// Closes what is due as the engine does, and returns the sums with the word all of theirs are.
pub(crate) fn close(
    windows: &mut Windows,
    enrolled: u32,
    active_ms: u64,
) -> (Vec<(SumKey, u32, u64)>, Vec<Held>) {
    close_on(&mut MemoryStore::default(), windows, enrolled, active_ms)
}

/// The same, of windows that were committed to `store`.
pub(crate) fn close_on(
    store: &mut dyn Store,
    windows: &mut Windows,
    enrolled: u32,
    active_ms: u64,
) -> (Vec<(SumKey, u32, u64)>, Vec<Held>) {
    let (due, held) = due(windows, 100, enrolled, active_ms, store).unwrap();
    let mut closed = Vec::new();
    for due in due {
        let words = coefficients() + RING.dimension;
        let words = packed::unpack(&RING, words, &due.limbs).unwrap();
        assert!(words.iter().all(|word| *word == words[0]));
        closed.push((due.row.key.clone(), due.members.set.count(), words[0]));
        let bytes = bytes::Bytes::from_static(b"release");
        let release = ReleaseRow::new(due.row.key, Digest([9; 32]), bytes);
        windows.released(release, &[]);
    }
    (closed, held)
}

/// Forgets what is past its retention, of windows that are all in memory.
pub(crate) fn reclaim(windows: &mut Windows) -> Vec<Held> {
    windows.reclaim(&mut MemoryStore::default()).unwrap()
}

#[test]
fn a_meter_counts_once_in_a_window() {
    let mut windows = windows();
    assert_eq!(fold(&mut windows, 1, 0, 0), Ok(FoldResult::Folded(Part(0))));
    assert_eq!(
        fold(&mut windows, 1, 0, 0),
        Ok(FoldResult::Duplicate(Part(0)))
    );
    let other = fold_report(&mut windows, &report(1, 0), &limbs(8), digest(8));
    assert_eq!(other, Err(Reason::Conflict));
    fold(&mut windows, 2, 0, 0).unwrap();
    fold(&mut windows, 4, 0, 0).unwrap();
    assert_eq!(close(&mut windows, 3, 0).0, vec![(key(0, 0), 3, 1 + 2 + 4)]);
    // As good as folded, even after the release; and still no way in for another.
    assert_eq!(
        fold(&mut windows, 1, 0, 0),
        Ok(FoldResult::Duplicate(Part(0)))
    );
    assert_eq!(
        fold_report(&mut windows, &report(1, 0), &limbs(8), digest(8)),
        Err(Reason::Conflict)
    );
}

#[test]
fn a_bad_ciphertext_costs_nobody_else_anything() {
    let mut windows = windows();
    let bad = vec![0xff; ADDITIVE.packed_len(coefficients())];
    assert_eq!(
        fold_report(&mut windows, &report(1, 0), &bad, digest(1)),
        Err(Reason::LimbOutOfRange)
    );
    assert_eq!(
        fold_report(&mut windows, &report(1, 0), &[0; 7], digest(1)),
        Err(Reason::WrongLength)
    );
    assert_eq!(windows.open(), 0);
    assert!(windows.transaction().is_empty());
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    assert_eq!(
        fold_report(&mut windows, &report(4, 0), &bad, digest(4)),
        Err(Reason::LimbOutOfRange)
    );
    assert_eq!(fold(&mut windows, 4, 0, 0), Ok(FoldResult::Folded(Part(0))));
    assert_eq!(close(&mut windows, 4, 0).0, vec![(key(0, 0), 4, 10)]);
}

#[test]
fn one_fast_clock_closes_nothing() {
    let mut windows = windows();
    for meter in 1..=5 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    fold(&mut windows, 1, 10 * HOUR, 0).unwrap();
    fold(&mut windows, 1, 20 * HOUR, 0).unwrap();
    assert_eq!(windows.feeder_time(&feeder()), Some(HOUR));
    assert_eq!(close(&mut windows, 6, 0).0, vec![]);
    // Three meters have passed the end of the window by the grace, in windows of their own.
    fold(&mut windows, 2, 2 * HOUR, 0).unwrap();
    fold(&mut windows, 3, HOUR, 0).unwrap();
    assert_eq!(windows.feeder_time(&feeder()), Some(2 * HOUR));
    assert_eq!(close(&mut windows, 6, 0).0, vec![(key(0, 0), 5, 15)]);
}

#[test]
fn idleness_closes_a_window_and_an_outage_does_not() {
    let mut windows = windows();
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 1_000).unwrap();
    }
    // `active_ms` stands still while the broker is out of reach, however long that is.
    assert_eq!(close(&mut windows, 9, 1_000).0.len(), 0);
    assert_eq!(close(&mut windows, 9, 1_000 + IDLE_MS - 1).0.len(), 0);
    assert_eq!(
        close(&mut windows, 9, 1_000 + IDLE_MS).0,
        vec![(key(0, 0), 3, 6)]
    );
}

/// A process of a pool takes a window over after it has run for long. Reports that nobody heard meanwhile are sent again.
#[test]
fn idleness_of_a_window_that_is_taken_over_is_counted_from_then_on() {
    let mut store = MemoryStore::default();
    let mut before = windows();
    for meter in 1..=3 {
        fold_on(&mut store, &mut before, meter, 0, 1_000).unwrap();
    }
    store.commit(&before.transaction()).unwrap();
    let mut after = windows();
    after.restore(Scope::All, &mut store).unwrap();
    // It took long to read it.
    let taken_ms = 100 * IDLE_MS;
    after.listens(taken_ms);
    let mut close = |idle_ms| close_on(&mut store, &mut after, 9, taken_ms + idle_ms).0;
    assert_eq!(close(IDLE_MS - 1), []);
    assert_eq!(close(IDLE_MS), [(key(0, 0), 3, 6)]);
}

#[test]
fn by_the_wall_clock_idleness_closes_no_window_before_its_grace_is_over() {
    let mut windows = windows();
    let grace_s = windows.rules.grace_s;
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 1_000).unwrap();
    }
    windows.set_wall(HOUR + grace_s - 1);
    assert_eq!(close(&mut windows, 9, 1_000 + 100 * IDLE_MS).0.len(), 0);
    // One that was late.
    fold(&mut windows, 4, 0, 1_000 + 100 * IDLE_MS).unwrap();
    windows.set_wall(HOUR + grace_s);
    let after = |idle_ms| 1_000 + 100 * IDLE_MS + idle_ms;
    assert_eq!(close(&mut windows, 9, after(IDLE_MS - 1)).0.len(), 0);
    assert_eq!(
        close(&mut windows, 9, after(IDLE_MS)).0,
        vec![(key(0, 0), 4, 10)]
    );
}

#[test]
fn too_few_are_held_and_released_only_if_enough_come() {
    let mut windows = windows();
    fold(&mut windows, 1, 0, 0).unwrap();
    fold(&mut windows, 2, 0, 0).unwrap();
    let held = Held {
        key: key(0, 0),
        contributors: 2,
    };
    assert_eq!(close(&mut windows, 2, 0), (vec![], vec![held]));
    assert_eq!(close(&mut windows, 2, 10 * IDLE_MS), (vec![], vec![]));
    fold(&mut windows, 3, 0, 10 * IDLE_MS).unwrap();
    assert_eq!(
        close(&mut windows, 3, 10 * IDLE_MS).0,
        vec![(key(0, 0), 3, 6)]
    );
}

#[test]
fn late_reports_make_a_supplement_of_other_meters() {
    let mut windows = windows();
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    close(&mut windows, 9, IDLE_MS);
    assert_eq!(
        fold(&mut windows, 4, 0, IDLE_MS),
        Ok(FoldResult::Folded(Part(1)))
    );
    assert_eq!(
        fold(&mut windows, 5, 0, IDLE_MS),
        Ok(FoldResult::Folded(Part(1)))
    );
    // Two are too few for a release of their own, however long ago the window ended.
    assert_eq!(close(&mut windows, 9, 2 * IDLE_MS).0, vec![]);
    assert_eq!(
        fold(&mut windows, 6, 0, 2 * IDLE_MS),
        Ok(FoldResult::Folded(Part(1)))
    );
    assert_eq!(
        close(&mut windows, 9, 3 * IDLE_MS).0,
        vec![(key(0, 1), 3, 15)]
    );
    assert_eq!(
        fold(&mut windows, 7, 0, 3 * IDLE_MS),
        Ok(FoldResult::Folded(Part(2)))
    );
}

#[test]
fn digests_are_kept_for_the_retention_and_then_late_is_too_late() {
    let mut windows = windows();
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    close(&mut windows, 3, 0);
    fold(&mut windows, 1, HOUR, 0).unwrap();
    close(&mut windows, 3, IDLE_MS);
    for meter in 1..=3 {
        fold(&mut windows, meter, 25 * HOUR, 0).unwrap();
    }
    assert_eq!(
        fold(&mut windows, 1, 0, 0),
        Ok(FoldResult::Duplicate(Part(0)))
    );
    for meter in 1..=3 {
        fold(&mut windows, meter, 26 * HOUR, 0).unwrap();
    }
    // The release is still unsettled: its window is not forgotten, but takes nothing new. The other one had too few.
    let withheld = vec![Held {
        key: key(HOUR, 0),
        contributors: 1,
    }];
    assert_eq!(reclaim(&mut windows), withheld);
    assert_eq!(fold(&mut windows, 9, 0, 0), Err(Reason::ReportTooLate));
    assert_eq!(
        fold(&mut windows, 1, 0, 0),
        Ok(FoldResult::Duplicate(Part(0)))
    );
    assert!(windows.settled(&key(0, 0), Stage::Settled));
    assert_eq!(reclaim(&mut windows), vec![]);
    assert_eq!(fold(&mut windows, 1, 0, 0), Err(Reason::ReportTooLate));
}

/// The simulation found it: three meters were answered and in no sum.
#[test]
fn a_held_sum_that_has_become_large_enough_outlives_the_retention() {
    let mut windows = windows();
    for window in [0, 2 * HOUR] {
        for meter in 1..=3 {
            fold(&mut windows, meter, window, 0).unwrap();
        }
    }
    let (closed, _) = close(&mut windows, 10, 0);
    assert_eq!(closed, [(key(0, 0), 3, 6)]);
    assert!(windows.settled(&key(0, 0), Stage::Settled));
    fold(&mut windows, 4, 0, 0).unwrap();
    fold(&mut windows, 5, 0, 0).unwrap();
    let (_, held) = close(&mut windows, 10, IDLE_MS);
    assert_eq!(held.len(), 1);
    fold(&mut windows, 6, 0, IDLE_MS).unwrap();
    for meter in 1..=3 {
        fold(&mut windows, meter, 40 * HOUR, IDLE_MS).unwrap();
    }
    assert_eq!(reclaim(&mut windows), []);
    let (closed, _) = close(&mut windows, 10, 2 * IDLE_MS);
    assert!(closed.contains(&(key(0, 1), 3, 15)), "{closed:?}");
}

#[test]
fn a_window_whose_epoch_changes_under_way_is_released_in_a_part_for_each() {
    let mut windows = windows();
    let newer = |windows: &mut Windows, meter| {
        let report = Report {
            epoch: KeyEpoch(2),
            ..report(meter, 0)
        };
        fold_report(windows, &report, &limbs(u64::from(meter)), digest(meter))
    };
    for meter in 1..=3 {
        fold(&mut windows, meter, 0, 0).unwrap();
    }
    for meter in 4..=5 {
        assert_eq!(newer(&mut windows, meter), Ok(FoldResult::Folded(Part(1))));
    }
    // The older part is still open for those that analytics has checked against the older plan.
    assert_eq!(fold(&mut windows, 6, 0, 0), Ok(FoldResult::Folded(Part(0))));
    assert_eq!(newer(&mut windows, 7), Ok(FoldResult::Folded(Part(1))));
    let (closed, _) = close(&mut windows, 7, 0);
    assert_eq!(closed, [(key(0, 0), 4, 12), (key(0, 1), 3, 16)]);
}

#[test]
fn a_restart_goes_on_where_the_last_commit_left_off() {
    let mut store = MemoryStore::default();
    let mut before = windows();
    for meter in 1..=3 {
        fold(&mut before, meter, 0, 0).unwrap();
    }
    fold(&mut before, 1, HOUR, 0).unwrap();
    close(&mut before, 3, 0);
    store.commit(&before.transaction()).unwrap();
    before.committed();
    assert!(before.transaction().is_empty());
    // Not committed, so not there afterwards: no receipt has named it.
    fold_on(&mut store, &mut before, 2, HOUR, 0).unwrap();

    let mut after = windows();
    let released = after.restore(Scope::All, &mut store).unwrap();
    assert_eq!(released.releases, [(key(0, 0), Digest([9; 32]), vec![])]);
    let store = &mut store;
    assert_eq!(after.feeder_time(&feeder()), Some(HOUR));
    for (meter, window, outcome) in [
        (3, 0, FoldResult::Duplicate(Part(0))),
        (1, HOUR, FoldResult::Duplicate(Part(0))),
        (2, HOUR, FoldResult::Folded(Part(0))),
        (3, HOUR, FoldResult::Folded(Part(0))),
    ] {
        assert_eq!(fold_on(store, &mut after, meter, window, 0), Ok(outcome));
    }
    let (closed, _) = close_on(store, &mut after, 3, 0);
    assert_eq!(closed, vec![(key(HOUR, 0), 3, 6)]);
}
