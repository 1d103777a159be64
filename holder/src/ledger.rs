//! `holder.redb`: what this holder consented to and is to audit of it, who is enrolled as far as it ever countersigned or saw
//! countersigned, and the key epochs that it heard of.
//!
//! A consent is durable here before anybody sees it. Nothing in the file is ever replaced by something that contradicts it: a meter's
//! number and keys are the meter's for good, and what was consented to stays until its window is too old, which is remembered, too.
//! Where this file is lost or put back from a backup, the holder would consent twice: its place in the agreement is lost, and the
//! others go on without it.

mod budget;
mod ciphertexts;
mod epochs;
mod error;
mod members;
mod sums;
mod tables;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::{Database, Error, ReadableDatabase as _, ReadableTable as _};
use service::failpoint;
use service::store::{self, Fault};
use wire::{ContributorSet, Digest, FeederId, KeyEpoch, WindowStart};

pub(crate) use budget::Charge;
pub use error::LedgerError;
pub(crate) use sums::{KeptSum, SumKey};
pub(crate) use tables::FILE;
use tables::{
    BOUNDS, CACHE, CIPHERTEXTS, CONSENTS, EPOCHS, FIRST, FORMAT, GIVEN, MEMBERS, META, NEWEST,
    PAGES, PRESENT, SUMS,
};

/// A set of one feeder's meters that this holder consented to in a window: a sum, or the feeder's share of the rest of an area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consented {
    /// What the masks follow from: two sums with the same have the same masks.
    pub(crate) content: Digest,
    pub(crate) epoch: KeyEpoch,
    /// Whether it took the place of a part that failed.
    pub(crate) is_part: bool,
    /// What answers named the sum by when it was consented to.
    pub(crate) subject: Digest,
    /// The digest of the terms.
    pub(crate) terms: Digest,
    pub(crate) set: ContributorSet,
}

/// A sum that is consented to.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    pub(crate) window: WindowStart,
    /// Feeder by feeder.
    pub(crate) shares: Vec<(&'a FeederId, Consented)>,
    /// Its COSE_Sign1.
    pub(crate) signed: &'a Bytes,
    /// SHA-256 of its ciphertext.
    pub(crate) ciphertext: Digest,
    /// Whether it is to be audited.
    pub(crate) is_audited: bool,
    /// What it gives away, where it has noise.
    pub(crate) charge: Option<Charge>,
}

/// What of earlier windows is kept, in seconds before the newest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    /// That and what was consented to. What is older is refused for ever.
    pub(crate) consents_s: u64,
    /// Sums as they were signed.
    pub(crate) sums_s: u64,
}

/// The open ledger. One process has it open.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    database: Database,
}

impl Ledger {
    /// Makes the ledger of a holder that has no part of an agreement yet, unless it has one.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub(crate) fn make(folder: &Path) -> Result<(), LedgerError> {
        let path = folder.join(FILE);
        if path.exists() {
            return Ok(());
        }
        let fill = |changes: &redb::WriteTransaction| {
            changes.open_table(META)?.insert("format", FORMAT)?;
            changes.open_table(CONSENTS)?;
            changes.open_table(MEMBERS)?;
            changes.open_table(PRESENT)?;
            changes.open_table(PAGES)?;
            changes.open_table(SUMS)?;
            changes.open_table(CIPHERTEXTS)?;
            changes.open_table(BOUNDS)?;
            changes.open_table(EPOCHS)?;
            changes.open_table(GIVEN)?;
            Ok(())
        };
        let made = store::create(&path, &store::builder(CACHE), fill);
        made.map_err(|source| LedgerError::Store { path, source })
    }

    /// Whether it is where it should be.
    pub(crate) fn is_there(folder: &Path) -> Result<(), LedgerError> {
        let path = folder.join(FILE);
        match path.exists() {
            true => Ok(()),
            false => Err(LedgerError::Lost { path }),
        }
    }

    /// Opens the ledger in the folder of state.
    ///
    /// # Errors
    /// [`LedgerError`]; [`Fault::InUse`] while a holder runs on it, and [`LedgerError::Lost`] where there is none: a new one would not
    /// know what was consented to.
    pub(crate) fn open(folder: &Path) -> Result<Self, LedgerError> {
        Self::is_there(folder)?;
        let path = folder.join(FILE);
        let failed = |source| LedgerError::Store {
            path: path.clone(),
            source,
        };
        let database = store::open(&path, &store::builder(CACHE)).map_err(failed)?;
        let ledger = Self { path, database };
        let read = || -> Result<String, Error> {
            let meta = ledger.database.begin_read()?.open_table(META)?;
            let found = meta.get("format")?;
            Ok(found.map_or_else(String::new, |found| found.value().to_owned()))
        };
        let found = ledger.at(read())?;
        match found.as_str() {
            FORMAT => Ok(ledger),
            "1" | "2" => ledger.at(ledger.migrate(&found)).map(|()| ledger),
            _ => Err(LedgerError::Format {
                path: ledger.path,
                found,
                expected: FORMAT,
            }),
        }
    }

    /// Format 1 had no sums, no noise, and one version for all pages. No countersignature of its time counts any more, so no page has a version
    /// that an earlier state of it could follow. Format 2 had no ciphertexts but those in its sums.
    fn migrate(&self, found: &str) -> Result<(), Error> {
        let changes = self.database.begin_write()?;
        if found == "1" {
            changes.open_table(PAGES)?;
            changes.open_table(SUMS)?;
            changes.open_table(GIVEN)?;
            changes.open_table(BOUNDS)?.remove("roster version")?;
        }
        ciphertexts::fill(&changes)?;
        changes.open_table(META)?.insert("format", FORMAT)?;
        Ok(changes.commit()?)
    }

    fn at<T>(&self, done: Result<T, Error>) -> Result<T, LedgerError> {
        done.map_err(|error| LedgerError::Store {
            path: self.path.clone(),
            source: Fault::from(error),
        })
    }

    /// The first window that is answered for: what was consented to in earlier ones is forgotten.
    pub(crate) fn first_window(&self) -> Result<WindowStart, LedgerError> {
        self.bound(FIRST)
    }

    /// The newest window that was consented to.
    pub(crate) fn newest_window(&self) -> Result<WindowStart, LedgerError> {
        self.bound(NEWEST)
    }

    fn bound(&self, name: &str) -> Result<WindowStart, LedgerError> {
        let read = || -> Result<_, Error> {
            let bounds = self.database.begin_read()?.open_table(BOUNDS)?;
            let bound = bounds.get(name)?.map_or(0, |bound| bound.value());
            Ok(WindowStart(bound))
        };
        self.at(read())
    }

    /// What was consented to of a feeder's window.
    pub(crate) fn window(
        &self,
        feeder: &FeederId,
        window: WindowStart,
    ) -> Result<Vec<Consented>, LedgerError> {
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(CONSENTS)?;
            let key = |content| (window.0, feeder.as_str(), content);
            let rows = table.range(key(&[0; 32])..=key(&[0xff; 32]))?;
            rows.map(|row| {
                let (key, row) = row?;
                let content = Digest(*key.value().2);
                let (epoch, is_part, subject, terms, set) = row.value();
                Ok(Consented {
                    content,
                    epoch: KeyEpoch(epoch),
                    is_part,
                    subject: Digest(*subject),
                    terms: Digest(*terms),
                    set: ContributorSet::from_bytes(set)
                        .map_err(|error| Error::Corrupted(error.to_string()))?,
                })
            })
            .collect()
        };
        self.at(read())
    }

    /// Writes down what is consented to, and what that gives away. Only when this returns may the consent leave.
    pub(crate) fn consent(&mut self, entered: &Entered<'_>, keep: Keep) -> Result<(), LedgerError> {
        let write = || -> Result<(), Error> {
            let changes = self.database.begin_write()?;
            {
                let mut table = changes.open_table(CONSENTS)?;
                for (feeder, share) in &entered.shares {
                    let key = (entered.window.0, feeder.as_str(), &share.content.0);
                    let row = (
                        share.epoch.0,
                        share.is_part,
                        &share.subject.0,
                        &share.terms.0,
                        share.set.as_bytes(),
                    );
                    table.insert(key, row)?;
                    if let Some(charge) = &entered.charge {
                        charge.write(&changes, feeder, entered.window)?;
                    }
                }
                let mut sums = changes.open_table(SUMS)?;
                sums::keep(&mut sums, entered)?;
                ciphertexts::keep(&changes, entered)?;
                let mut bounds = changes.open_table(BOUNDS)?;
                let [first, before] = [FIRST, NEWEST]
                    .map(|name| Ok::<_, Error>(bounds.get(name)?.map_or(0, |bound| bound.value())));
                let (known, before) = (first?, before?);
                let newest = before.max(entered.window.0);
                let first = newest.saturating_sub(keep.consents_s).max(known);
                bounds.insert(NEWEST, newest)?;
                if first > known {
                    bounds.insert(FIRST, first)?;
                    table.retain_in(..(first, "", &[0; 32]), |_, _| false)?;
                    ciphertexts::forget(&changes, first)?;
                    if let Some(charge) = &entered.charge {
                        Self::forget_given(&changes, charge.starts(first), charge.starts(known))?;
                    }
                }
                if newest > before {
                    sums::forget(&mut sums, newest.saturating_sub(keep.sums_s))?;
                }
            }
            failpoint::hit("holder.before_consent");
            changes.commit()?;
            failpoint::hit("holder.after_consent");
            Ok(())
        };
        let written = write();
        self.at(written)
    }

    /// Whether this holder consented to anything under these terms in a window from `from` on. What was forgotten counts.
    pub(crate) fn has_consented_from(
        &self,
        terms: &Digest,
        from: WindowStart,
    ) -> Result<bool, LedgerError> {
        if self.first_window()? > from {
            return Ok(true);
        }
        let read = || -> Result<_, Error> {
            let table = self.database.begin_read()?.open_table(CONSENTS)?;
            for row in table.range((from.0, "", &[0; 32])..)? {
                if row?.1.value().3 == &terms.0 {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        self.at(read())
    }
}

fn feeder_id(text: &str) -> Result<FeederId, Error> {
    let parsed = text.parse();
    parsed.map_err(|error: wire::IdError| Error::Corrupted(error.to_string()))
}

#[cfg(test)]
mod tests;
