//! The store: what must survive a crash, and the one transaction that changes it.
//!
//! The engine applies reports to its state in memory and then commits *one* [`Transaction`] that says what changed.
//! Only after the commit returns may a receipt or a release leave the process, so whatever a peer was told is in the
//! store. A commit that fails is repeated as it is; nothing new is taken meanwhile. A commit may fail after it took
//! effect, so every row is absolute and repeating one changes nothing.
//!
//! A store is read while the process runs, too: what is remembered of the contributors, and the sums that nothing was
//! added to for a while, are in the store alone.
//!
//! [`FileStore`] is the default, one file a process. [`MemoryStore`] is for tests and trials.

use std::collections::BTreeSet;

use packed::Profile;
use packed::layout::Shape;
use wire::{
    Digest, FeederId, Grid, KeyEpoch, MeterId, Part, PlanVersion, Salt, Shard, UnixMillis,
    WindowStart,
};

mod bill;
mod carry;
mod checked;
mod error;
mod fit;
mod format;
mod lease;
mod mark;
mod memory;
mod postgres;
mod redb;
mod stage;
mod transaction;
pub use self::redb::{FileStore, Inspection, KeptMember, TableUse};
pub(crate) use bill::BillGroup;
pub use bill::{BillKey, BillOf};
pub use carry::Carried;
pub(crate) use carry::{Carrying, Contents};
pub use checked::ReleaseRow;
pub(crate) use checked::damaged;
pub use error::StoreError;
pub(crate) use lease::Standing;
pub use lease::{Fence, Lease, Leased};
pub(crate) use mark::{Mark, Marked, State};
pub use memory::MemoryStore;
pub use postgres::{PostgresLeases, PostgresStore};
pub use stage::{Replaces, SHORT_DIGEST, Stage};
use stage::{Short, short};
pub use transaction::{Limbs, Transaction};

/// Names one encrypted sum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SumKey {
    /// The feeder whose meters are summed.
    pub feeder: FeederId,
    /// The first second of the window.
    pub window: WindowStart,
    /// Which sum of the window, from 0.
    pub part: Part,
}

/// A sum's row: everything about it but its contributors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumRow {
    /// Feeder, window and part.
    pub key: SumKey,
    /// The key epoch its ciphertexts are under.
    pub epoch: KeyEpoch,
    /// The plan version that brought the feeder setting of its reports.
    pub plan_version: PlanVersion,
    /// The profile of that setting.
    pub profile: &'static Profile,
    /// Meters in it.
    pub contributors: u32,
    /// The earliest and the latest `sealed_at` over all contributors.
    pub sealed_at: (UnixMillis, UnixMillis),
    /// Where the sum is in its life.
    pub stage: Stage,
    /// Which contributors of an earlier part it replaces, if it does.
    pub replaces: Option<Replaces>,
}

/// One contributor of a sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContributorRow {
    /// The sum it was folded into.
    pub key: SumKey,
    /// The meter.
    pub meter: MeterId,
    /// The meter's number on the feeder.
    pub number: u32,
    /// The salt of its report.
    pub salt: Salt,
    /// SHA-256 of the ciphertext that was folded.
    pub digest: Digest,
}

/// A contributor of a sum that [remembers only membership](Stage::keeps_members).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberRow {
    /// The part it is in.
    pub part: Part,
    /// The meter.
    pub meter: MeterId,
    /// The start of the digest of its report.
    pub digest: [u8; SHORT_DIGEST],
}

/// What a process starts with, or takes a shard over with, besides the sums' rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The time of every feeder that has one. It outlives the windows it came from, so that what was reclaimed is
    /// refused for good.
    pub times: Vec<(FeederId, u64)>,
    /// Every release that the operator has not answered for good, with its digest.
    pub releases: Vec<(SumKey, Digest)>,
    /// The billing periods of which there are groups.
    pub periods: BTreeSet<(FeederId, WindowStart)>,
}

/// What a process loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// All there is.
    All,
    /// The feeders of shards that it took, of a store that several processes share.
    Shards(&'a [Shard]),
}

/// What the rows of a store mean: they cannot be used under another layout or grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreFormat {
    /// What the coefficients of every stored ciphertext carry.
    pub shape: Shape,
    /// The grid of every stored window.
    pub grid: Grid,
}

/// Durable state of an analytics process, or of several that share it.
///
/// ```
/// use analytics::store::{MemoryStore, Scope, Store, StoreFormat, Transaction};
/// use packed::layout::{Layout, Shape};
/// use wire::{FeederId, Grid};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut store = MemoryStore::default();
/// store.commit(&Transaction {
///     times: vec![(FeederId::try_from("feeder-1")?, 1_736_208_000)],
///     ..Transaction::default()
/// })?;
/// let shape = Shape::new(Layout::Profile, 96)?;
/// let format = StoreFormat { shape, grid: Grid::new(900, 96)? };
/// let loaded = store.load(&format, Scope::All, &mut |sum| println!("{:?} has {} contributors", sum.key, sum.contributors))?;
/// assert_eq!(loaded.times.len(), 1);
/// # Ok(())
/// # }
/// ```
///
/// `analytics/examples/custom_store.rs` implements it.
///
/// Every method but `load` and `commit` reads what was committed, and fails with a [`StoreError`] where the medium cannot
/// be read.
pub trait Store: Send {
    /// Checks all that was committed, which must have been in the same `format`, and gives every sum's row of the scope to
    /// `each`, ascending by key. A store that is not shared loads all whatever the scope.
    ///
    /// # Errors
    /// [`StoreError`] where the medium cannot be read, or was written in another format.
    fn load(
        &mut self,
        format: &StoreFormat,
        scope: Scope<'_>,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Loaded, StoreError>;

    /// Makes `transaction` durable, whole or not at all, but for the rows of shards whose lease does not stand any more. Returns
    /// those shards: nothing of theirs was written. Empty where a process has a store of its own.
    ///
    /// # Errors
    /// [`StoreError`]; the store then holds either what it held before or that and the whole transaction, so that the
    /// caller may only repeat the same transaction, or more than it.
    fn commit(&mut self, transaction: &Transaction<'_>) -> Result<Vec<Shard>, StoreError>;

    /// The part a meter is in, if it reported the window, and whether its report there is the one of this digest. Once a sum
    /// [remembers only membership](Stage::keeps_members), the first [`SHORT_DIGEST`] bytes decide.
    ///
    /// # Errors
    /// [`StoreError`].
    fn contributor(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
        digest: &Digest,
    ) -> Result<Option<(Part, bool)>, StoreError>;

    /// Gives every contributor of a window, over all its parts, to `each`, but for those of sums that
    /// [remember only membership](Stage::keeps_members).
    ///
    /// # Errors
    /// [`StoreError`].
    fn contributors(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(ContributorRow),
    ) -> Result<(), StoreError>;

    /// Gives every contributor of a window in a sum that [remembers only membership](Stage::keeps_members) to `each`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn members(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(MemberRow),
    ) -> Result<(), StoreError>;

    /// Gives the rows of every sum of a feeder to `each`, ascending by key, and returns the feeder's time.
    ///
    /// # Errors
    /// [`StoreError`].
    fn feeder(
        &mut self,
        feeder: &FeederId,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Option<u64>, StoreError>;

    /// The row of a sum.
    ///
    /// # Errors
    /// [`StoreError`].
    fn sum(&mut self, key: &SumKey) -> Result<Option<SumRow>, StoreError>;

    /// What [`SumRow::record`] made of the ciphertext of a sum that takes reports.
    ///
    /// # Errors
    /// [`StoreError`].
    fn record(&mut self, key: &SumKey) -> Result<Option<Vec<u8>>, StoreError>;

    /// A release that the operator has not answered for good.
    ///
    /// # Errors
    /// [`StoreError`].
    fn release(&mut self, key: &SumKey) -> Result<Option<ReleaseRow>, StoreError>;

    /// The record of a group of a bill.
    ///
    /// # Errors
    /// [`StoreError`].
    fn bill(&mut self, key: &BillKey) -> Result<Option<Vec<u8>>, StoreError>;

    /// The keys of up to `most` groups of bills from `from` on, ascending.
    ///
    /// # Errors
    /// [`StoreError`].
    fn bills(&mut self, from: Option<&BillKey>, most: usize) -> Result<Vec<BillKey>, StoreError>;

    /// Bytes on the medium; 0 where there is none.
    fn bytes(&self) -> u64 {
        0
    }
}
