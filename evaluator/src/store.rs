//! `comparisons.redb`: the sums, what the operator said to compare them with, and the answers.
//!
//! One sum a feeder, window and part; one comparison of each kind a sum. What is in the store is never replaced: a second one would be
//! a second question.

mod tables;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::{
    Database, Error, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    TableError,
};
use service::store::{self, Fault};
use wire::{Comparison, Digest, FeederId, Part, WindowStart};

use crate::EvaluatorError;
pub(crate) use tables::Kept;
use tables::{CACHE, COMPARED, COMPARISONS, FILE, FORMAT, META, SUMS, UNASKED, WAITING};

pub(crate) struct Store {
    path: PathBuf,
    database: Database,
}

impl Store {
    pub(crate) fn open(folder: &Path) -> Result<Self, EvaluatorError> {
        let path = folder.join(FILE);
        let failed = |source| EvaluatorError::Store {
            path: path.clone(),
            source,
        };
        if !path.exists() {
            let fill = |changes: &redb::WriteTransaction| {
                changes.open_table(META)?.insert("format", FORMAT)?;
                changes.open_table(SUMS)?;
                changes.open_table(UNASKED)?;
                changes.open_table(COMPARED)?;
                changes.open_table(COMPARISONS)?;
                changes.open_table(WAITING)?;
                Ok(())
            };
            store::create(&path, &store::builder(CACHE), fill).map_err(failed)?;
        }
        let database = store::open(&path, &store::builder(CACHE)).map_err(failed)?;
        let store = Self { path, database };
        let format = || -> Result<String, Error> {
            let meta = match store.database.begin_read()?.open_table(META) {
                // The first version wrote none.
                Err(TableError::TableDoesNotExist(_)) => return Ok("none".to_owned()),
                meta => meta?,
            };
            let found = meta.get("format")?;
            Ok(found.map_or_else(String::new, |found| found.value().to_owned()))
        };
        let found = store.at(format())?;
        match found == FORMAT {
            true => Ok(store),
            false => Err(EvaluatorError::Format {
                path: store.path,
                found,
                expected: FORMAT,
            }),
        }
    }

    fn at<T>(&self, done: Result<T, Error>) -> Result<T, EvaluatorError> {
        done.map_err(|error| EvaluatorError::Store {
            path: self.path.clone(),
            source: Fault::from(error),
        })
    }

    pub(crate) fn sums(&self) -> Result<u64, EvaluatorError> {
        let count =
            || -> Result<u64, Error> { Ok(self.database.begin_read()?.open_table(SUMS)?.len()?) };
        self.at(count())
    }

    /// Keeps a sum, unless there are `most`.
    pub(crate) fn keep(
        &mut self,
        (window, feeder, part): (WindowStart, &FeederId, Part),
        (digest, message): (&Digest, &[u8]),
        most: u64,
    ) -> Result<Kept, EvaluatorError> {
        let key = (window.0, feeder.as_str(), part.0);
        let write = || -> Result<Kept, Error> {
            let changes = self.database.begin_write()?;
            let kept = {
                let mut table = changes.open_table(SUMS)?;
                let known = table.get(key)?.map(|row| Digest(*row.value().0));
                match known {
                    Some(known) if known == *digest => Kept::Known,
                    Some(_) => Kept::Other,
                    None if table.len()? >= most => Kept::Full,
                    None => {
                        table.insert(key, (&digest.0, message))?;
                        changes.open_table(UNASKED)?.insert(key, ())?;
                        Kept::New
                    }
                }
            };
            changes.commit()?;
            Ok(kept)
        };
        self.at(write())
    }

    /// The message of a sum with this digest.
    pub(crate) fn sum(
        &self,
        window: WindowStart,
        sum: &wire::ComparedSum,
    ) -> Result<Option<Bytes>, EvaluatorError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(SUMS)?;
            let row = table.get((window.0, sum.feeder.as_str(), sum.part.0))?;
            let row = row.filter(|row| *row.value().0 == sum.digest.0);
            Ok(row.map(|row| Bytes::copy_from_slice(row.value().1)))
        };
        self.at(read())
    }

    /// The messages of sums that are not compared with a rating yet.
    pub(crate) fn unasked(&self) -> Result<Vec<Bytes>, EvaluatorError> {
        let read = || -> Result<_, Error> {
            let view = self.database.begin_read()?;
            let sums = view.open_table(SUMS)?;
            let mut unasked = Vec::new();
            for row in view.open_table(UNASKED)?.iter()? {
                let row = sums.get(row?.0.value())?;
                unasked.extend(row.map(|row| Bytes::copy_from_slice(row.value().1)));
            }
            Ok(unasked)
        };
        self.at(read())
    }

    /// Drops a sum that the operator refused, if it is here and not compared. Its place is free again.
    pub(crate) fn drop_sum(
        &mut self,
        (window, feeder, part): (WindowStart, &FeederId, Part),
        digest: &Digest,
    ) -> Result<bool, EvaluatorError> {
        let key = (window.0, feeder.as_str(), part.0);
        let write = || -> Result<bool, Error> {
            let changes = self.database.begin_write()?;
            let is_dropped = {
                let mut table = changes.open_table(SUMS)?;
                let compared = changes.open_table(COMPARED)?;
                let is_it = table
                    .get(key)?
                    .is_some_and(|row| *row.value().0 == digest.0);
                let is_free = compared.get((key.0, key.1, key.2, false))?.is_none();
                if is_it && is_free {
                    table.remove(key)?;
                    changes.open_table(UNASKED)?.remove(key)?;
                }
                is_it && is_free
            };
            changes.commit()?;
            Ok(is_dropped)
        };
        self.at(write())
    }

    /// Keeps what the operator said to compare.
    pub(crate) fn ask(
        &mut self,
        comparison: &Comparison,
        (digest, message): (&Digest, &[u8]),
    ) -> Result<Kept, EvaluatorError> {
        let with_others = comparison.sums.len() > 1;
        let write = || -> Result<Kept, Error> {
            let changes = self.database.begin_write()?;
            let kept = {
                let mut table = changes.open_table(COMPARISONS)?;
                let mut compared = changes.open_table(COMPARED)?;
                let key = |sum: &'_ wire::ComparedSum| {
                    (comparison.window.0, sum.feeder.to_string(), sum.part.0)
                };
                let mut is_taken = false;
                for sum in &comparison.sums {
                    let (window, feeder, part) = key(sum);
                    is_taken |= compared
                        .get((window, feeder.as_str(), part, with_others))?
                        .is_some();
                }
                let place = (comparison.window.0, &digest.0);
                if table.get(place)?.is_some() {
                    Kept::Known
                } else if is_taken {
                    Kept::Other
                } else {
                    for sum in &comparison.sums {
                        let (window, feeder, part) = key(sum);
                        let place = (window, feeder.as_str(), part, with_others);
                        compared.insert(place, &digest.0)?;
                        if !with_others {
                            let mut unasked = changes.open_table(UNASKED)?;
                            unasked.remove((window, feeder.as_str(), part))?;
                        }
                    }
                    changes.open_table(WAITING)?.insert(place, ())?;
                    table.insert(place, (message, &[][..]))?;
                    Kept::New
                }
            };
            changes.commit()?;
            Ok(kept)
        };
        self.at(write())
    }

    /// The operator's messages that are not answered.
    pub(crate) fn unanswered(&self) -> Result<Vec<Bytes>, EvaluatorError> {
        let read = || -> Result<_, Error> {
            let view = self.database.begin_read()?;
            let comparisons = view.open_table(COMPARISONS)?;
            let mut unanswered = Vec::new();
            for row in view.open_table(WAITING)?.iter()? {
                let row = comparisons.get(row?.0.value())?;
                unanswered.extend(row.map(|row| Bytes::copy_from_slice(row.value().0)));
            }
            Ok(unanswered)
        };
        self.at(read())
    }

    /// The answer to a comparison; none while there is none.
    pub(crate) fn answer(
        &self,
        window: WindowStart,
        digest: &Digest,
    ) -> Result<Option<Bytes>, EvaluatorError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(COMPARISONS)?;
            let row = table.get((window.0, &digest.0))?;
            let answer = row.map(|row| Bytes::copy_from_slice(row.value().1));
            Ok(answer.filter(|answer| !answer.is_empty()))
        };
        self.at(read())
    }

    /// Writes an answer down. Only then may it leave.
    pub(crate) fn answered(
        &mut self,
        window: WindowStart,
        digest: &Digest,
        answer: &[u8],
    ) -> Result<(), EvaluatorError> {
        let write = || -> Result<(), Error> {
            let changes = self.database.begin_write()?;
            {
                let mut table = changes.open_table(COMPARISONS)?;
                let place = (window.0, &digest.0);
                let message = table.get(place)?.map(|row| row.value().0.to_vec());
                if let Some(message) = message {
                    table.insert(place, (message.as_slice(), answer))?;
                    changes.open_table(WAITING)?.remove(place)?;
                }
            }
            Ok(changes.commit()?)
        };
        self.at(write())
    }

    /// Forgets what is of windows before `first`.
    pub(crate) fn forget(&mut self, first: WindowStart) -> Result<(), EvaluatorError> {
        let write = || -> Result<(), Error> {
            let changes = self.database.begin_write()?;
            changes
                .open_table(SUMS)?
                .retain(|key, _| key.0 >= first.0)?;
            changes
                .open_table(UNASKED)?
                .retain(|key, ()| key.0 >= first.0)?;
            changes
                .open_table(WAITING)?
                .retain(|key, ()| key.0 >= first.0)?;
            changes
                .open_table(COMPARED)?
                .retain(|key, _| key.0 >= first.0)?;
            changes
                .open_table(COMPARISONS)?
                .retain(|key, _| key.0 >= first.0)?;
            Ok(changes.commit()?)
        };
        self.at(write())
    }
}

#[cfg(test)]
mod tests;
