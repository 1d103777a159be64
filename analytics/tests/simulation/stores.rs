//! Stores that fail when told to, and two that are broken.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use analytics::ownership::SharedMemory;
use analytics::store::{
    BillKey, ContributorRow, FileStore, Loaded, MemberRow, MemoryStore, ReleaseRow, Scope, Store,
    StoreError, StoreFormat, SumKey, SumRow, Transaction,
};
use tempfile::TempDir;
use wire::{Digest, FeederId, MeterId, Part, Shard, WindowStart};

use crate::model::Kind;
use crate::world::WORLD;

/// How a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It did nothing.
    Before,
    /// It was done, and reported as failed.
    After,
}

pub(crate) type Faults = Arc<Mutex<VecDeque<Fault>>>;

/// What survives the engine.
pub(crate) struct Durable {
    kind: Kind,
    memory: MemoryStore,
    folder: Option<TempDir>,
    pub(crate) faults: Faults,
    /// The feeders that the last commit added contributors to.
    pub(crate) added_to: Arc<Mutex<BTreeSet<FeederId>>>,
    commits: Arc<Mutex<u64>>,
    /// Shards that the last commit was fenced of.
    pub(crate) fenced: Arc<Mutex<Option<u64>>>,
}

impl Durable {
    pub(crate) fn new(kind: Kind, shared: &SharedMemory) -> Self {
        Self {
            kind,
            memory: match kind {
                Kind::Pool => shared.store(),
                _ => MemoryStore::default(),
            },
            folder: (kind == Kind::File).then(|| tempfile::tempdir().unwrap()),
            faults: Faults::default(),
            added_to: Arc::default(),
            commits: Arc::default(),
            fenced: Arc::default(),
        }
    }

    /// The store as a started process opens it; the one before must be gone.
    pub(crate) fn open(&self) -> Failing {
        let inner: Box<dyn Store> = match &self.folder {
            None => Box::new(self.memory.clone()),
            Some(folder) => {
                let path = folder.path().join("sums.redb");
                Box::new(FileStore::open(&path, &WORLD.settings.deployment.id).unwrap())
            }
        };
        Failing {
            inner,
            kind: self.kind,
            faults: self.faults.clone(),
            added_to: self.added_to.clone(),
            commits: self.commits.clone(),
            fenced: self.fenced.clone(),
        }
    }
}

pub(crate) struct Failing {
    inner: Box<dyn Store>,
    kind: Kind,
    faults: Faults,
    added_to: Arc<Mutex<BTreeSet<FeederId>>>,
    commits: Arc<Mutex<u64>>,
    fenced: Arc<Mutex<Option<u64>>>,
}

impl std::fmt::Debug for Failing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Failing")
    }
}

impl Store for Failing {
    fn load(
        &mut self,
        format: &StoreFormat,
        scope: Scope<'_>,
        each: &mut dyn FnMut(SumRow),
    ) -> Result<Loaded, StoreError> {
        self.inner.load(format, scope, each)
    }

    fn contributor(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        meter: &MeterId,
        digest: &Digest,
    ) -> Result<Option<(Part, bool)>, StoreError> {
        if forgets(self.kind, meter) {
            return Ok(None);
        }
        self.inner.contributor(feeder, window, meter, digest)
    }

    fn contributors(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(ContributorRow),
    ) -> Result<(), StoreError> {
        let kind = self.kind;
        self.inner.contributors(feeder, window, &mut |row| {
            if !forgets(kind, &row.meter) {
                each(row);
            }
        })
    }

    fn members(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        each: &mut dyn FnMut(MemberRow),
    ) -> Result<(), StoreError> {
        let kind = self.kind;
        self.inner.members(feeder, window, &mut |member| {
            if !forgets(kind, &member.meter) {
                each(member);
            }
        })
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

    fn commit(&mut self, transaction: &Transaction<'_>) -> Result<Vec<Shard>, StoreError> {
        let error = || StoreError::Io {
            operation: "write to",
            path: "simulated".into(),
            source: std::io::ErrorKind::StorageFull.into(),
        };
        let contributors = transaction.contributors.iter();
        *self.added_to.lock().unwrap() = contributors.map(|row| row.key.feeder.clone()).collect();
        let fault = self.faults.lock().unwrap().pop_front();
        if fault == Some(Fault::Before) {
            return Err(error());
        }
        let mut commits = self.commits.lock().unwrap();
        *commits += 1;
        if self.kind == Kind::Lossy && commits.is_multiple_of(4) {
            return Ok(Vec::new());
        }
        let lost = self.inner.commit(transaction)?;
        *self.fenced.lock().unwrap() = Some(lost.len() as u64);
        match fault {
            Some(Fault::After) => Err(error()),
            _ => Ok(lost),
        }
    }
}

fn forgets(kind: Kind, meter: &MeterId) -> bool {
    kind == Kind::Forgetful && meter.as_str().ends_with(['0', '3', '6'])
}
