//! A store of your own: one that keeps a count of what each commit changed, around the store in memory.
//!
//! `cargo run -p analytics --example custom_store` commits one sum and reads it back. To run the service on a store,
//! pass it to `analytics::run_on`.

use analytics::store::{
    BillKey, ContributorRow, Limbs, Loaded, MemberRow, MemoryStore, ReleaseRow, Scope, Stage,
    Store, StoreError, StoreFormat, SumKey, SumRow, Transaction,
};
use packed::layout::{Layout, Shape};
use packed::{ADDITIVE, Accumulator};
use wire::{
    Digest, FeederId, Grid, KeyEpoch, MeterId, Part, PlanVersion, Salt, Shard, UnixMillis,
    WindowStart,
};

/// Counts rows on their way into `inner`. A store in a database would translate each method into a query instead.
struct Counting<S> {
    inner: S,
    commits: u64,
    contributors: usize,
}

impl<S: Store> Store for Counting<S> {
    fn load(
        &mut self,
        format: &StoreFormat,
        scope: Scope<'_>,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Loaded, StoreError> {
        self.inner.load(format, scope, each)
    }

    fn commit(&mut self, transaction: &Transaction<'_>) -> Result<Vec<Shard>, StoreError> {
        // All or nothing: count only what is durable. A commit that failed comes again, with the same rows or more.
        let lost = self.inner.commit(transaction)?;
        self.commits += 1;
        self.contributors += transaction.contributors.len();
        Ok(lost)
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
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut store = Counting {
        inner: MemoryStore::default(),
        commits: 0,
        contributors: 0,
    };
    let shape = Shape::new(Layout::Profile, 96)?;
    let grid = Grid::new(900, 96)?;
    let format = StoreFormat { shape, grid };
    let mut sums = 0;
    store.load(&format, Scope::All, &mut |_| sums += 1)?;
    assert_eq!(sums, 0, "a new store is empty");

    let key = SumKey {
        feeder: FeederId::try_from("feeder-1")?,
        window: WindowStart(1_736_121_600),
        part: Part(0),
    };
    let meter = MeterId::try_from("meter-1")?;
    let accumulator = Accumulator::new(&ADDITIVE, shape.coefficients());
    let row = SumRow {
        key: key.clone(),
        epoch: KeyEpoch(1),
        plan_version: PlanVersion(1),
        profile: &ADDITIVE,
        contributors: 1,
        sealed_at: (UnixMillis(0), UnixMillis(0)),
        stage: Stage::Open,
        replaces: None,
    };
    store.commit(&Transaction {
        sums: vec![(row, Limbs::Changed(&accumulator))],
        contributors: vec![ContributorRow {
            key: key.clone(),
            meter: meter.clone(),
            number: 0,
            salt: Salt([7; 8]),
            digest: Digest::of(b"the ciphertext"),
        }],
        ..Transaction::default()
    })?;

    let digest = Digest::of(b"the ciphertext");
    let found = store.contributor(&key.feeder, key.window, &meter, &digest)?;
    assert_eq!(found, Some((Part(0), true)));
    assert!(store.record(&key)?.is_some());
    println!(
        "{} commit, {} contributor",
        store.commits, store.contributors
    );
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example");
}
