//! `comparisons.redb`: which sums were compared, how, and what still waits for its answer.
//!
//! Sums of feeders with a rating are opened nowhere, so they are in no other ledger. Rows are never removed: a sum of a window is
//! compared once with its rating, and is in one ranking.

mod file;
mod refused;

use std::path::PathBuf;

use bytes::Bytes;
use redb::{Database, Error, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use service::store::Fault;
use wire::{Comparison, Digest, FeederId, Part, Sum, WindowStart};

use super::result::Result as Found;
use crate::disk::DiskError;
use refused::{REFUSALS, REFUSED};

/// The ledger's name in the operator's folder.
pub(super) const FILE: &str = "comparisons.redb";

const FORMAT: &str = "2";

/// Bytes of the file that are kept in memory.
const CACHE: usize = 4 << 20;

const META: TableDefinition<&str, &str> = TableDefinition::new("meta");

/// Start of the window, feeder, part: the digest of the sum's limbs, and what analytics signed.
type SumKey = (u64, &'static str, u16);
const SUMS: TableDefinition<SumKey, (&[u8; 32], &[u8])> = TableDefinition::new("sums");

/// The same and the kind of comparison: which one it is in.
type AskedKey = (u64, &'static str, u16, u8);
const ASKED: TableDefinition<AskedKey, &[u8; 32]> = TableDefinition::new("asked");

/// By the comparison's digest: its message, and what was known of it as JSON when it was asked for.
const COMPARISONS: TableDefinition<&[u8; 32], (&[u8], &str)> = TableDefinition::new("comparisons");

/// The digests of those that wait for their answers.
const WAITING: TableDefinition<&[u8; 32], ()> = TableDefinition::new("waiting");

/// What contributors are spent on. The numbers are those of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    OverRating = 0,
    Ranking = 1,
}

/// The record of comparisons cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ComparisonLedgerError {
    /// The file of the ledger.
    #[error("the record of comparisons {} cannot be used: restore it from a copy if it is damaged", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Fault,
    },
    /// It is of another deployment, or of another version.
    #[error(
        "the record of comparisons {} is of {found}, not of {expected}: use the version that made it, or set the file aside if every feeder \
         that was ever in plan.over_rating is left out of it for good, since what was compared could be compared again",
        path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What it should say.
        expected: String,
    },
    /// The results.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

pub(super) struct ComparisonLedger {
    path: PathBuf,
    database: Database,
}

impl ComparisonLedger {
    fn at<T>(&self, done: Result<T, Error>) -> Result<T, ComparisonLedgerError> {
        done.map_err(|error| ComparisonLedgerError::Unusable {
            path: self.path.clone(),
            source: error.into(),
        })
    }

    /// The sum's digest and the comparison of this kind that a sum of the same window and part is in.
    pub(super) fn asked(
        &self,
        sum: &Sum,
        kind: Kind,
    ) -> Result<Option<(Digest, Bytes)>, ComparisonLedgerError> {
        let key = (sum.window.0, sum.feeder.as_str(), sum.part.0);
        let read = || -> Result<_, Error> {
            let view = self.database.begin_read()?;
            let asked = view
                .open_table(ASKED)?
                .get((key.0, key.1, key.2, kind as u8))?;
            let kept = view.open_table(SUMS)?.get(key)?;
            let (Some(asked), Some(kept)) = (asked, kept) else {
                return Ok(None);
            };
            let sealed = view.open_table(COMPARISONS)?.get(asked.value())?;
            Ok(sealed.map(|sealed| {
                (
                    Digest(*kept.value().0),
                    Bytes::copy_from_slice(sealed.value().0),
                )
            }))
        };
        self.at(read())
    }

    /// A sum that was compared: its digest, and what analytics signed.
    pub(super) fn sum(
        &self,
        feeder: &FeederId,
        window: WindowStart,
        part: Part,
    ) -> Result<Option<(Digest, Bytes)>, ComparisonLedgerError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(SUMS)?;
            let row = table.get((window.0, feeder.as_str(), part.0))?;
            Ok(row.map(|row| {
                (
                    Digest(*row.value().0),
                    Bytes::copy_from_slice(row.value().1),
                )
            }))
        };
        self.at(read())
    }

    /// Writes a sum down that is about to be compared.
    pub(super) fn keep(
        &mut self,
        sum: &Sum,
        digest: Digest,
        signed: &[u8],
    ) -> Result<(), ComparisonLedgerError> {
        let write = || -> Result<(), Error> {
            let changes = self.database.begin_write()?;
            let key = (sum.window.0, sum.feeder.as_str(), sum.part.0);
            changes.open_table(SUMS)?.insert(key, (&digest.0, signed))?;
            Ok(changes.commit()?)
        };
        self.at(write())
    }

    /// Makes it durable that contributors are spent on a comparison. Only then may the evaluator have it.
    pub(super) fn spend(
        &mut self,
        kind: Kind,
        comparison: &Comparison,
        (digest, sealed): (Digest, &[u8]),
        result: &Found,
    ) -> Result<(), ComparisonLedgerError> {
        let json = serde_json::to_string(result).unwrap_or_default();
        let write = || -> Result<(), Error> {
            let changes = self.database.begin_write()?;
            {
                let mut asked = changes.open_table(ASKED)?;
                for sum in &comparison.sums {
                    let key = (
                        comparison.window.0,
                        sum.feeder.as_str(),
                        sum.part.0,
                        kind as u8,
                    );
                    asked.insert(key, &digest.0)?;
                }
                let mut table = changes.open_table(COMPARISONS)?;
                table.insert(&digest.0, (sealed, json.as_str()))?;
                changes.open_table(WAITING)?.insert(&digest.0, ())?;
            }
            Ok(changes.commit()?)
        };
        self.at(write())
    }

    /// A comparison that waits for its answer, and what is known of it.
    pub(super) fn unanswered_one(
        &self,
        digest: &Digest,
    ) -> Result<Option<(Comparison, Found)>, ComparisonLedgerError> {
        let read = || -> Result<_, Error> {
            let view = self.database.begin_read()?;
            let waits = view.open_table(WAITING)?.get(&digest.0)?.is_some();
            let row = view.open_table(COMPARISONS)?.get(&digest.0)?;
            Ok(row.filter(|_| waits).and_then(|row| {
                let (sealed, json) = row.value();
                let unverified = wire::decode::<Comparison>(sealed, sealed.len()).ok()?;
                let result = serde_json::from_str(json).ok()?;
                Some((unverified.claimed().clone(), result))
            }))
        };
        self.at(read())
    }

    /// The messages of all comparisons that wait for their answers.
    pub(super) fn unanswered(&self) -> Result<Vec<Bytes>, ComparisonLedgerError> {
        let read = || -> Result<_, Error> {
            let view = self.database.begin_read()?;
            let comparisons = view.open_table(COMPARISONS)?;
            let mut waiting = Vec::new();
            for row in view.open_table(WAITING)?.iter()? {
                let row = comparisons.get(row?.0.value())?;
                waiting.extend(row.map(|row| Bytes::copy_from_slice(row.value().0)));
            }
            Ok(waiting)
        };
        self.at(read())
    }

    /// Writes down that a comparison is answered.
    pub(super) fn answered(&mut self, digest: &Digest) -> Result<(), ComparisonLedgerError> {
        let write = || -> Result<(), Error> {
            let changes = self.database.begin_write()?;
            changes.open_table(WAITING)?.remove(&digest.0)?;
            Ok(changes.commit()?)
        };
        self.at(write())
    }
}
