//! The roster's pages on disk, and as they are published.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use wire::{DeploymentId, RosterPage, Topics, VerifyingKey};

use super::own::OwnRosters;
use super::{Page, RosterBook};
use crate::disk;
use crate::keys::keyring::Keyring;
use crate::plan::error::RosterError;

/// The largest stored page that is read.
const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;

impl RosterBook {
    /// Opens the pages stored under `dir`; there may be none.
    ///
    /// # Errors
    /// A page cannot be read, is damaged, missing, or not signed by this operator.
    pub(crate) fn open(
        dir: &Path,
        deployment: DeploymentId,
        topics: Topics,
        operator: &VerifyingKey,
    ) -> Result<Self, RosterError> {
        let mut book = Self {
            dir: dir.join("roster"),
            deployment,
            topics,
            version: 0,
            has_changed: false,
            pages: Vec::new(),
            places: HashMap::new(),
            own: OwnRosters::default(),
            members: HashMap::new(),
            page_limit: wire::MAX_ROSTER_ENTRIES,
        };
        let last = (0..wire::MAX_ROSTER_PAGES)
            .rev()
            .find(|&page| book.path(page).exists());
        let mut pages = last.map_or(0, |last| last + 1);
        let mut page = 0;
        while page < pages {
            let path = book.path(page);
            if !path.exists() {
                return Err(RosterError::Missing { path, pages });
            }
            let message = book.read(&path, page, operator)?;
            pages = pages.max(message.pages);
            book.adopt(message, &path)?;
            page += 1;
        }
        book.know_gateways();
        Ok(book)
    }

    fn path(&self, page: u16) -> PathBuf {
        self.dir.join(format!("page-{page}.bin"))
    }

    fn read(
        &self,
        path: &Path,
        page: u16,
        operator: &VerifyingKey,
    ) -> Result<RosterPage, RosterError> {
        let bytes = disk::read(path, MAX_PAGE_BYTES)?;
        let stored = |cause| RosterError::Stored {
            path: path.to_owned(),
            cause,
        };
        let unverified = wire::decode::<RosterPage>(&bytes, MAX_PAGE_BYTES).map_err(stored)?;
        let topic = self.topics.roster(page);
        Ok(unverified
            .verify(&self.deployment, &topic, operator)
            .map_err(stored)?
            .message)
    }

    fn adopt(&mut self, message: RosterPage, path: &Path) -> Result<(), RosterError> {
        let page = message.page;
        self.version = self.version.max(message.version);
        for (position, entry) in message.entries.iter().enumerate() {
            if !self.insert_member(entry) {
                return Err(RosterError::NumberTwice {
                    path: path.to_owned(),
                    meter: entry.meter.clone(),
                    feeder: entry.feeder.clone(),
                });
            }
            self.places.insert(entry.meter.clone(), (page, position));
        }
        self.pages.push(Page {
            changed: message.version,
            message,
            unsaved: false,
            agreed: None,
        });
        Ok(())
    }

    /// Pages changed since the last save.
    pub(super) fn unsaved(&self) -> Vec<u16> {
        self.pages
            .iter()
            .filter(|page| page.unsaved)
            .map(|page| page.message.page)
            .collect()
    }

    /// The topic of a page and the page with the roster's version, signed. The same roster gives the same bytes.
    pub(crate) fn sealed(&mut self, page: u16, keyring: &Keyring) -> Option<(String, Bytes)> {
        self.sealed_for(page, (self.topics.roster(page), self.version), keyring)
    }

    /// A page for this topic with this version, signed: its topic and bytes.
    pub(super) fn sealed_for(
        &mut self,
        page: u16,
        (topic, version): (String, u64),
        keyring: &Keyring,
    ) -> Option<(String, Bytes)> {
        let pages = self.page_count();
        let message = &mut self.pages.get_mut(usize::from(page))?.message;
        (message.version, message.pages) = (version, pages);
        let (bytes, _) = wire::seal(message, None, &self.deployment, &topic, keyring.signing());
        Some((topic, bytes.into()))
    }

    /// Makes all changes durable.
    ///
    /// # Errors
    /// A page cannot be written; it stays unsaved.
    pub(crate) fn save(&mut self, keyring: &Keyring) -> Result<(), RosterError> {
        for page in self.unsaved() {
            let place = (
                self.topics.roster(page),
                self.pages[usize::from(page)].changed,
            );
            if let Some((_, bytes)) = self.sealed_for(page, place, keyring) {
                disk::replace(&self.path(page), &bytes)?;
                self.pages[usize::from(page)].unsaved = false;
            }
        }
        self.has_changed = false;
        Ok(())
    }
}
