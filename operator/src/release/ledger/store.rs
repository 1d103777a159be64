//! `releases.redb`: a row a sum that was opened, and how many of each key epoch did not open.
//!
//! A commit has two phases, that is two syncs, as redb has it wherever other processes may read. The newest commit cannot be
//! mistaken for a torn one then: if it is damaged later, the file is refused.

use std::path::{Path, PathBuf};

use redb::{
    Builder, ConcurrencyMode, Database, Error, ReadableDatabase as _, ReadableTable as _,
    ReadableTableMetadata as _, Table, TableDefinition, TableError, WriteTransaction,
};
use service::store::{self, Fault};
use wire::{FeederId, KeyEpoch, WindowStart};

use super::Place;
use super::error::{LedgerError, faulty};
use super::header::{META, header};
use super::noise;
use super::rows::{SUMS, key, opening, row};
use crate::release::opening::{Opening, Role, Stage};

/// How many answers under each key epoch said no: sums that did not open, and culprits of searches.
pub(super) const REFUSALS: TableDefinition<u32, u32> = TableDefinition::new("refusals");

/// How many of them were about each feeder. Those of earlier versions are not in it.
pub(super) const OF_FEEDER: TableDefinition<(u32, &str), u32> =
    TableDefinition::new("refusals_of_feeder");

/// Bytes of the file that are kept in memory.
pub(super) const CACHE: usize = 16 << 20;

/// Opens the file and, if told to, verifies all of it; in tests on a disk that fails.
type Open = Box<dyn Fn(bool) -> Result<Database, Fault> + Send + Sync>;

/// Refusals of a key epoch, and how many of them are to be counted for a feeder.
#[derive(Clone, Debug)]
pub(super) struct Refusals {
    pub(super) epoch: KeyEpoch,
    pub(super) answers: u32,
    pub(super) of_feeder: (FeederId, u32),
}

/// The file, open for writing.
pub(super) struct Store {
    path: PathBuf,
    open: Open,
    /// Absent after a failure, until the file is opened again.
    database: Option<Database>,
    /// This process has verified the whole file.
    verified: bool,
    /// Rows in the file, as far as this process knows.
    len: u64,
    /// What became of sums, where the totals may have it and the file not yet.
    owed: Vec<Opening>,
    /// Refusals of which the record of what did not open may have a line, and the file not the count yet.
    pub(super) owed_refusals: Vec<Refusals>,
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
            changes.open_table(SUMS)?;
            changes.open_table(REFUSALS)?;
            changes.open_table(OF_FEEDER)?;
            noise::create(changes)?;
            Ok(())
        };
        store::create(path, &builder(), fill).map_err(LedgerError::at(path))
    }

    /// The ledger that is there. It is opened and verified when it is first used.
    pub(super) fn new(path: &Path) -> Self {
        let file = path.to_owned();
        let open = Box::new(move |verify| {
            let mut builder = builder();
            builder.set_check_integrity_on_open(verify);
            store::open(&file, &builder)
        });
        Self {
            path: path.to_owned(),
            open,
            database: None,
            verified: false,
            len: 0,
            owed: Vec::new(),
            owed_refusals: Vec::new(),
        }
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

    /// Rows in the file. They are never removed.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// After a change of all rows.
    pub(super) fn recount(&mut self, rows: u64) {
        self.len = rows;
    }

    /// Adds sums whose contributors are spent from now on. On an error none of them may be looked at; what of them is in
    /// the file all the same stays spent.
    pub(super) fn spend(&mut self, rows: &[Opening]) -> Result<(), LedgerError> {
        self.add_owed()?;
        self.len = self.with(|database| write(database, rows))?;
        Ok(())
    }

    /// Writes down what became of sums. On an error they are owed: nothing else is done before they are there.
    pub(super) fn settle(&mut self, rows: &[Opening]) -> Result<(), LedgerError> {
        self.owed.extend_from_slice(rows);
        self.add_owed()
    }

    /// Writes down what is owed.
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

    /// Whether what became of a sum is owed.
    pub(super) fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Those of `rows` of which the file does not say what became of them.
    pub(super) fn unsettled(&mut self, rows: &[Opening]) -> Result<Vec<Opening>, LedgerError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(SUMS)?;
            let mut unsettled = Vec::new();
            for row in rows {
                let known = table.get(key(row))?;
                if known.is_none_or(|known| known.value().4 == Stage::Spent as u8) {
                    unsettled.push(row.clone());
                }
            }
            Ok(unsettled)
        })
    }

    /// What was opened of a feeder's window, or in it as the rest of an area of this name.
    pub(super) fn window(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
        kind: u8,
    ) -> Result<Vec<Opening>, LedgerError> {
        self.add_owed()?;
        self.with(|database| {
            let table = database.begin_read()?.open_table(SUMS)?;
            let parts = |part| (window.0, feeder.as_str(), kind, part);
            let rows = table.range(parts(0)..=parts(u16::MAX))?.map(|row| {
                let (key, columns) = row?;
                opening(&key.value(), &columns.value())
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

    pub(super) fn database(&mut self) -> Result<&Database, LedgerError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                // Not again after each failed write: it takes as long as at the start, and sums wait meanwhile.
                let database = (self.open)(!self.verified).map_err(LedgerError::at(&self.path))?;
                self.verified = true;
                let len = len(&database).map_err(|error| faulty(&self.path, error))?;
                if len < self.len {
                    let lost = format!("it has {len} opened sums, and had {}", self.len);
                    return Err(LedgerError::at(&self.path)(Fault::Damaged(lost)));
                }
                self.len = len;
                database
            }
        };
        Ok(self.database.insert(database))
    }
}

/// Rows in the file; none in one of an earlier format.
fn len(database: &Database) -> Result<u64, Error> {
    match database.begin_read()?.open_table(SUMS) {
        Ok(table) => Ok(table.len()?),
        Err(TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Puts rows in their places; returns how many there are then. A row that is there already only goes on to its next stage.
fn write(database: &Database, rows: &[Opening]) -> Result<u64, Error> {
    let mut changes = database.begin_write()?;
    // Each commit says which pages are free: else redb finds that out by reading the whole file, when it is opened again
    // after a failed write.
    changes.set_quick_repair(true);
    let len = {
        let mut table = changes.open_table(SUMS)?;
        let mut refusals = changes.open_table(REFUSALS)?;
        let mut of_feeder = changes.open_table(OF_FEEDER)?;
        for new in rows {
            let known = match table.get(key(new))? {
                Some(known) => Some(opening(&key(new), &known.value())?),
                None => None,
            };
            let written = match known {
                None => new.clone(),
                Some(known) if known.stage == Stage::Spent => Opening {
                    stage: new.stage,
                    ..known
                },
                Some(_) => continue,
            };
            table.insert(key(&written), row(&written))?;
            let is_refusal = matches!(written.stage, Stage::Divided | Stage::Burnt);
            // What it is a share of counts.
            if is_refusal && new.role != Role::Share {
                count(&mut refusals, written.epoch.0, 1)?;
                count(
                    &mut of_feeder,
                    (written.epoch.0, written.feeder.as_str()),
                    1,
                )?;
            }
        }
        table.len()?
    };
    changes.commit()?;
    Ok(len)
}

/// Counts so many more.
pub(super) fn count<'k, K: redb::Key + 'static>(
    table: &mut Table<'_, K, u32>,
    key: K::SelfType<'k>,
    more: u32,
) -> Result<(), Error>
where
    K::SelfType<'k>: Copy,
{
    let before = table.get(key)?.map_or(0, |count| count.value());
    table.insert(&key, before.saturating_add(more))?;
    Ok(())
}
