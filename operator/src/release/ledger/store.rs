//! `releases.redb`: a row a release taken.
//!
//! A commit has two phases, that is two syncs, as redb has it wherever other processes may read. The newest commit cannot be
//! mistaken for a torn one then: if it is damaged later, the file is refused.

use std::path::{Path, PathBuf};

use redb::{
    Builder, ConcurrencyMode, Database, Error, ReadTransaction, ReadableDatabase as _,
    ReadableTable as _, ReadableTableMetadata as _, TableDefinition, WriteTransaction,
};
use service::store::{self, Fault};
use wire::{AnalyticsId, DeploymentId, Digest, FeederId, KeyEpoch, Part, WindowStart};

use super::Place;
use super::error::LedgerError;
use crate::release::rules::Taken;

/// Version of the tables below. Format 1 was a file of text; `migrate` reads it.
const FORMAT: &str = "2";

/// What the rows mean, as text by name.
const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
/// Key epoch, meters, digest of the limbs, and analytics service (empty: not known) by release. The window comes first, so that releases of the same time lie together:
/// a commit touches few pages, whatever the number of feeders.
pub(super) const RELEASES: TableDefinition<Key, Row> = TableDefinition::new("releases");

/// Start of the window in Unix seconds, feeder, part.
pub(super) type Key = (u64, &'static str, u16);
pub(super) type Row = (u32, u32, &'static [u8; 32], &'static str);

const FORMAT_KEY: &str = "format version";
const DEPLOYMENT_KEY: &str = "deployment";
const OPERATOR_KEY: &str = "operator";

/// Bytes of the file that are kept in memory.
pub(super) const CACHE: usize = 16 << 20;

/// Opens the file and, if told to, verifies all of it; in tests on a disk that fails.
type Open = Box<dyn Fn(bool) -> Result<Database, Fault> + Send + Sync>;

/// The file, open for writing.
pub(super) struct Store {
    path: PathBuf,
    open: Open,
    /// Absent after a failure, until the file is opened again.
    database: Option<Database>,
    /// This process has verified the whole file.
    verified: bool,
    /// Releases in the file, as far as this process knows.
    len: u64,
    /// Releases that the totals have and the file may not have yet.
    owed: Vec<Taken>,
}

pub(super) fn builder() -> Builder {
    let mut builder = store::builder(CACHE);
    // `operator rotate` and `doctor` read while the operator runs.
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

impl Store {
    /// Makes a ledger without releases.
    pub(super) fn create(path: &Path, place: &Place<'_>) -> Result<(), LedgerError> {
        let fill = |changes: &WriteTransaction| {
            let mut meta = changes.open_table(META)?;
            for (name, value) in header(place) {
                meta.insert(name, value)?;
            }
            changes.open_table(RELEASES)?;
            Ok(())
        };
        store::create(path, &builder(), fill).map_err(LedgerError::at(path))
    }

    /// Opens the ledger that is there and verifies it.
    pub(super) fn open(path: &Path, place: &Place<'_>) -> Result<Self, LedgerError> {
        let file = path.to_owned();
        let open = Box::new(move |verify| {
            let mut builder = builder();
            builder.set_check_integrity_on_open(verify);
            store::open(&file, &builder)
        });
        let mut store = Self {
            path: path.to_owned(),
            open,
            database: None,
            verified: false,
            len: 0,
            owed: Vec::new(),
        };
        let database = store.database()?;
        let view = database.begin_read().map_err(|error| faulty(path, error))?;
        check_header(path, &view, &header(place))?;
        Ok(store)
    }

    #[cfg(test)]
    pub(super) fn put_on(&mut self, disk: super::faults::FailingDisk) {
        let path = self.path.clone();
        self.open = Box::new(move |verify| disk.open(&path, verify));
        self.database = None;
        self.verified = false;
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Releases in the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Adds releases, unless their place is taken. On an error they are owed: nothing else is done before they are there.
    pub(super) fn add(&mut self, rows: &[Taken]) -> Result<(), LedgerError> {
        self.owed.extend_from_slice(rows);
        self.add_owed()
    }

    /// Adds what is owed.
    pub(super) fn add_owed(&mut self) -> Result<(), LedgerError> {
        if self.owed.is_empty() {
            return Ok(());
        }
        let owed = std::mem::take(&mut self.owed);
        let written = self.with(|database| write(database, &owed));
        match written {
            Ok(len) => self.len = len,
            Err(_) => self.owed = owed,
        }
        written.map(drop)
    }

    /// Whether releases are owed.
    pub(super) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Those of `rows` whose place is free.
    pub(super) fn missing(&mut self, rows: &[Taken]) -> Result<Vec<Taken>, LedgerError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(RELEASES)?;
            let mut missing = Vec::new();
            for row in rows {
                if table.get(key(row))?.is_none() {
                    missing.push(row.clone());
                }
            }
            Ok(missing)
        })
    }

    /// The releases of a feeder's window.
    pub(super) fn window(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
    ) -> Result<Vec<Taken>, LedgerError> {
        self.add_owed()?;
        self.with(|database| {
            let table = database.begin_read()?.open_table(RELEASES)?;
            let parts = |part| (window.0, feeder.as_str(), part);
            let rows = table.range(parts(0)..=parts(u16::MAX))?.map(|row| {
                let (key, columns) = row?;
                let (epoch, meters, digest, analytics) = columns.value();
                Ok(Taken {
                    feeder: feeder.clone(),
                    window_start: window,
                    part: Part(key.value().2),
                    epoch: KeyEpoch(epoch),
                    meters,
                    digest: Digest(*digest),
                    analytics: service_id(analytics)?,
                })
            });
            rows.collect()
        })
    }

    /// Does `work`, and closes the file if it fails: redb takes no more writes after a failed one.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&Database) -> Result<T, Error>,
    ) -> Result<T, LedgerError> {
        let done = work(self.database()?);
        done.map_err(|error| {
            self.database = None;
            let error = faulty(&self.path, error);
            // A failed write leaves every page as it was; a damaged one must be found.
            self.verified &= !matches!(error, LedgerError::Unusable { .. });
            error
        })
    }

    fn database(&mut self) -> Result<&Database, LedgerError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                // Not again after each failed write: it takes as long as at the start, and sums wait meanwhile.
                let database = (self.open)(!self.verified).map_err(LedgerError::at(&self.path))?;
                self.verified = true;
                let len = count(&database).map_err(|error| faulty(&self.path, error))?;
                if len < self.len {
                    let lost = format!("it has {len} releases, and had {}", self.len);
                    return Err(LedgerError::at(&self.path)(Fault::Damaged(lost)));
                }
                self.len = len;
                database
            }
        };
        Ok(self.database.insert(database))
    }
}

fn count(database: &Database) -> Result<u64, Error> {
    Ok(database.begin_read()?.open_table(RELEASES)?.len()?)
}

fn service_id(text: &str) -> Result<Option<AnalyticsId>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let id = AnalyticsId::try_from(text);
    id.map(Some)
        .map_err(|error| Error::Corrupted(error.to_string()))
}

pub(super) fn header_of(deployment: &DeploymentId) -> [(&'static str, &str); 2] {
    [(FORMAT_KEY, FORMAT), (DEPLOYMENT_KEY, deployment.as_str())]
}

fn header<'a>(place: &Place<'a>) -> [(&'static str, &'a str); 3] {
    let [format, deployment] = header_of(place.deployment);
    [format, deployment, (OPERATOR_KEY, place.operator)]
}

pub(super) fn check_header(
    path: &Path,
    view: &ReadTransaction,
    expected: &[(&'static str, &str)],
) -> Result<(), LedgerError> {
    let meta = view.open_table(META).map_err(|error| faulty(path, error))?;
    for &(what, expected) in expected {
        let found = meta.get(what).map_err(|error| faulty(path, error))?;
        let found = found.map_or_else(String::new, |value| value.value().to_owned());
        if found != expected {
            return Err(LedgerError::Header {
                path: path.to_owned(),
                what,
                found,
                expected: expected.to_owned(),
            });
        }
    }
    Ok(())
}

/// Adds releases whose place is free; returns how many there are then.
fn write(database: &Database, rows: &[Taken]) -> Result<u64, Error> {
    let mut changes = database.begin_write()?;
    // Each commit says which pages are free: else redb finds that out by reading the whole file, when it is opened again
    // after a failed write.
    changes.set_quick_repair(true);
    let len = {
        let mut table = changes.open_table(RELEASES)?;
        for row in rows {
            if table.get(key(row))?.is_none() {
                let analytics = row.analytics.as_ref().map_or("", AnalyticsId::as_str);
                let columns = (row.epoch.0, row.meters, &row.digest.0, analytics);
                table.insert(key(row), columns)?;
            }
        }
        table.len()?
    };
    changes.commit()?;
    Ok(len)
}

fn key(row: &Taken) -> (u64, &str, u16) {
    (row.window_start.0, row.feeder.as_str(), row.part.0)
}

pub(super) fn faulty(path: &Path, error: impl Into<Error>) -> LedgerError {
    LedgerError::at(path)(error.into().into())
}
