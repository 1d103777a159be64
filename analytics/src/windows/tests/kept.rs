//! What is kept in memory, and what is read back from the store.

use proptest::prelude::*;
use wire::{Digest, FeederId, MeterId, Part, Shard, WindowStart};

use super::{
    HOUR, Stage, close, close_on, contribution, digest, feeder, fold, fold_on, key, limbs, reclaim,
    refused, report, rules, windows, windows_with,
};
use crate::store::{
    BillKey, ContributorRow, Loaded, MemberRow, MemoryStore, ReleaseRow, Scope, Store, StoreError,
    StoreFormat, SumKey, SumRow, Transaction,
};
use crate::windows::{FoldResult, Rules, Windows};

/// A store that says how often it was asked for a contributor.
#[derive(Default)]
struct Asked {
    inner: MemoryStore,
    contributors: u32,
    broken: bool,
}

impl Store for Asked {
    fn load(
        &mut self,
        format: &StoreFormat,
        scope: Scope<'_>,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Loaded, StoreError> {
        self.inner.load(format, scope, each)
    }

    fn commit(&mut self, transaction: &Transaction<'_>) -> Result<Vec<Shard>, StoreError> {
        self.inner.commit(transaction)
    }

    fn contributor(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
        digest: &Digest,
    ) -> Result<Option<(Part, bool)>, StoreError> {
        self.contributors += 1;
        if self.broken {
            return Err(StoreError::Io {
                operation: "read",
                path: "broken".into(),
                source: std::io::ErrorKind::Other.into(),
            });
        }
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
}

fn commit(store: &mut dyn Store, windows: &mut Windows) {
    store.commit(&windows.transaction()).unwrap();
    windows.committed();
}

#[test]
fn only_who_may_have_reported_is_looked_up() {
    let (mut store, mut windows) = (Asked::default(), windows());
    for meter in 1..=5 {
        fold_on(&mut store, &mut windows, meter, 0, 0).unwrap();
        commit(&mut store, &mut windows);
    }
    assert_eq!(store.contributors, 0);
    let again = fold_on(&mut store, &mut windows, 3, 0, 0);
    assert_eq!(
        (again, store.contributors),
        (Ok(FoldResult::Duplicate(Part(0))), 1)
    );
    // The window is released: nothing is left of it in memory, so everybody is looked up.
    close_on(&mut store, &mut windows, 5, 0);
    commit(&mut store, &mut windows);
    let late = fold_on(&mut store, &mut windows, 6, 0, 0);
    assert_eq!(
        (late, store.contributors),
        (Ok(FoldResult::Folded(Part(1))), 2)
    );
    let again = fold_on(&mut store, &mut windows, 1, 0, 0);
    assert_eq!(
        (again, store.contributors),
        (Ok(FoldResult::Duplicate(Part(0))), 3)
    );
    // After a restart those of windows that take reports are told apart in memory again.
    commit(&mut store, &mut windows);
    let mut windows = super::windows();
    windows.restore(Scope::All, &mut store).unwrap();
    let late = fold_on(&mut store, &mut windows, 7, 0, 0);
    assert_eq!(
        (late, store.contributors),
        (Ok(FoldResult::Folded(Part(1))), 3)
    );
}

#[test]
fn a_store_that_cannot_be_read_answers_nothing() {
    let (mut store, mut windows) = (Asked::default(), windows());
    fold_on(&mut store, &mut windows, 1, 0, 0).unwrap();
    commit(&mut store, &mut windows);
    store.broken = true;
    let (report, limbs) = (report(1, 0), limbs(1));
    let contribution = contribution(&report, &limbs, digest(1));
    let failed = windows.fold(&contribution, 0, &mut store);
    assert!(matches!(failed, Err(StoreError::Io { .. })), "{failed:?}");
    assert!(windows.transaction().is_empty());
    store.broken = false;
    let outcome = fold_on(&mut store, &mut windows, 1, 0, 0);
    assert_eq!(outcome, Ok(FoldResult::Duplicate(Part(0))));
}

proptest! {
    /// However little tells contributors apart and however few sums stay in memory, the answers and the sums are those of
    /// windows that keep everything; and so they are after a restart.
    #[test]
    fn what_is_kept_in_memory_changes_no_answer(
        steps in prop::collection::vec((0_u32..12, 0_u64..4, 0_u32..16), 1..80),
        fingerprint_bits in prop::sample::select(vec![0, 1, 3, 32]),
        max_hot in 0_usize..3,
    ) {
        let small = || windows_with(Rules { fingerprint_bits, max_hot, ..rules() });
        let (mut store, mut frugal) = (MemoryStore::default(), small());
        let mut lavish = windows();
        for (meter, window, action) in steps {
            match action {
                0 => {
                    let closed = close(&mut lavish, 6, 0);
                    prop_assert_eq!(close_on(&mut store, &mut frugal, 6, 0), closed);
                }
                1 => {
                    let key = key(window * HOUR, 0);
                    prop_assert_eq!(frugal.settled(&key, Stage::Settled), lavish.settled(&key, Stage::Settled));
                }
                2 => {
                    frugal.recall(&feeder(), &mut store).unwrap();
                    prop_assert_eq!(reclaim(&mut frugal), reclaim(&mut lavish));
                }
                3..6 => {
                    commit(&mut store, &mut frugal);
                    frugal.trim(0);
                }
                6 => {
                    commit(&mut store, &mut frugal);
                    frugal = small();
                    frugal.restore(Scope::All, &mut store).unwrap();
                }
                _ => {
                    let expected = fold(&mut lavish, meter, window * HOUR, 0);
                    let outcome = fold_on(&mut store, &mut frugal, meter, window * HOUR, 0);
                    prop_assert_eq!(outcome, expected);
                }
            }
            if frugal.feeders.contains_key(&feeder()) {
                prop_assert_eq!(frugal.open(), lavish.open());
                prop_assert_eq!(frugal.feeder_time(&feeder()), lavish.feeder_time(&feeder()));
            }
        }
        commit(&mut store, &mut frugal);
        prop_assert!(frugal.hot.len() <= max_hot.max(frugal.open()));
    }
}

/// The setting says "with open windows"; it used to be every feeder that was ever seen, for good.
#[test]
fn feeders_at_rest_take_no_room_and_come_back_from_the_store() {
    let mut store = MemoryStore::default();
    let mut windows = windows_with(Rules {
        max_feeders: 1,
        ..rules()
    });
    let other: FeederId = "feeder-2".parse().unwrap();
    let elsewhere = |windows: &mut Windows, store: &mut MemoryStore| {
        let outcomes = [5, 6, 7].map(|meter| {
            let report = super::Report {
                feeder: other.clone(),
                ..report(meter, 0)
            };
            let limbs = limbs(1);
            let contribution = contribution(&report, &limbs, digest(meter));
            refused(windows.fold(&contribution, 0, store).unwrap())
        });
        // Two are too few to take any room.
        assert!(outcomes[..2].iter().all(Result::is_ok), "{outcomes:?}");
        outcomes[2]
    };
    for meter in 1..=3 {
        fold_on(&mut store, &mut windows, meter, 0, 0).unwrap();
    }
    let refused = Err(wire::Reason::TooManyOpen);
    assert_eq!(elsewhere(&mut windows, &mut store), refused);
    close_on(&mut store, &mut windows, 3, 0);
    assert_eq!(elsewhere(&mut windows, &mut store), refused, "not settled");
    assert!(windows.settled(&key(0, 0), Stage::Settled));
    commit(&mut store, &mut windows);
    let folded = Ok(FoldResult::Folded(Part(0)));
    assert_eq!(elsewhere(&mut windows, &mut store), folded);
    commit(&mut store, &mut windows);
    assert!(!windows.feeders.contains_key(&feeder()), "it left memory");

    // All that is known of it is in the store: who was counted, its parts, its time.
    let again = fold_on(&mut store, &mut windows, 2, 0, 0);
    assert_eq!(again, Ok(FoldResult::Duplicate(Part(0))));
    assert_eq!(windows.feeder_time(&feeder()), Some(HOUR));
    for meter in [4, 8] {
        fold_on(&mut store, &mut windows, meter, 0, 0).unwrap();
    }
    let late = fold_on(&mut store, &mut windows, 9, 0, 0);
    assert_eq!(late, refused, "the other has an open window");
}
