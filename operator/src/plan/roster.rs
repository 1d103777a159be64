//! The roster book: every enrolled meter, in signed pages.
//!
//! Meters are added to the last page with room, so enrolling writes one page to disk and not all. The version is one number for
//! the whole roster and every published page carries it, so that a receiver can tell pages of different states apart. A page on
//! disk carries the version of its own last change; the newest of them is the roster's.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use wire::{
    CapacityClass, DeploymentId, FeederId, MeterId, RosterEntry, RosterPage, Topics, VerifyingKey,
    WindowStart,
};

use super::error::RosterError;
use super::members::{Member, Members};
use crate::disk;
use crate::keys::keyring::Keyring;

/// The largest stored page that is read.
const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;

/// Every meter of the deployment.
pub(crate) struct RosterBook {
    dir: PathBuf,
    deployment: DeploymentId,
    topics: Topics,
    version: u64,
    pages: Vec<Page>,
    /// Page and position of each meter.
    places: HashMap<MeterId, (u16, usize)>,
    /// Shared with sums that wait to be opened: a sum is opened with the meters that were there when it came.
    members: HashMap<FeederId, Arc<Members>>,
    page_limit: usize,
}

struct Page {
    message: RosterPage,
    unsaved: bool,
}

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
            pages: Vec::new(),
            places: HashMap::new(),
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
            message,
            unsaved: false,
        });
        Ok(())
    }

    fn insert_member(&mut self, entry: &RosterEntry) -> bool {
        let members = self.members.entry(entry.feeder.clone()).or_default();
        let member = Member {
            meter: entry.meter.clone(),
            capacity: entry.capacity,
            key: entry.key,
            mask_key: entry.mask_key,
            gateway: entry.gateway.clone(),
        };
        Arc::make_mut(members).insert(entry.number, member)
    }

    /// The entry of a meter.
    pub(crate) fn get(&self, meter: &MeterId) -> Option<&RosterEntry> {
        let &(page, position) = self.places.get(meter)?;
        self.pages
            .get(usize::from(page))?
            .message
            .entries
            .get(position)
    }

    /// Every entry, in no order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &RosterEntry> {
        self.pages.iter().flat_map(|page| &page.message.entries)
    }

    /// Adds a meter that is not in the roster yet, with a number that is free on its feeder. `false` if the roster is full.
    pub(crate) fn add(&mut self, entry: RosterEntry) -> bool {
        self.place(entry.clone()) && self.insert_member(&entry)
    }

    /// Puts a meter that has left back, with the number it had. `false` if the roster is full.
    pub(crate) fn put_back(&mut self, entry: RosterEntry) -> bool {
        let (feeder, number) = (entry.feeder.clone(), entry.number);
        if self.get(&entry.meter).is_none() && !self.place(entry) {
            return false;
        }
        self.set_end(&feeder, number, None);
        true
    }

    fn place(&mut self, entry: RosterEntry) -> bool {
        debug_assert!(!self.places.contains_key(&entry.meter));
        let has_room = |page: &Page| page.message.entries.len() < self.page_limit;
        let page = match self.pages.iter().rposition(has_room) {
            Some(page) => page as u16,
            None if self.add_page() => self.page_count() - 1,
            None => return false,
        };
        self.touch(page);
        let entries = &mut self.pages[usize::from(page)].message.entries;
        self.places
            .insert(entry.meter.clone(), (page, entries.len()));
        entries.push(entry);
        true
    }

    /// Takes a meter out of the pages. What sums of its earlier windows are opened with stays.
    pub(crate) fn remove(&mut self, meter: &MeterId) -> Option<RosterEntry> {
        let (page, position) = self.places.remove(meter)?;
        self.touch(page);
        let entries = &mut self.pages[usize::from(page)].message.entries;
        let removed = entries.swap_remove(position);
        if let Some(moved) = entries.get(position) {
            self.places.insert(moved.meter.clone(), (page, position));
        }
        Some(removed)
    }

    /// From which window on a meter is not counted any more, whether it is in the pages still or not; `None`: it stays.
    pub(crate) fn set_end(
        &mut self,
        feeder: &FeederId,
        number: u32,
        first_without: Option<WindowStart>,
    ) {
        if let Some(members) = self.members.get_mut(feeder) {
            Arc::make_mut(members).set_end(number, first_without);
        }
    }

    /// Remembers a meter that has left: its number is not used again, and sums of its earlier windows still open.
    pub(crate) fn remember(&mut self, entry: &RosterEntry, first_without: WindowStart) {
        self.insert_member(entry);
        self.set_end(&entry.feeder, entry.number, Some(first_without));
    }

    /// Changes the declared capacity of a meter in the roster.
    pub(crate) fn set_capacity(&mut self, meter: &MeterId, capacity: CapacityClass) {
        if let Some(&(page, position)) = self.places.get(meter) {
            self.touch(page);
            self.pages[usize::from(page)].message.entries[position].capacity = capacity;
        }
    }

    /// Whether no meter can be added.
    pub(crate) fn is_full(&self) -> bool {
        let has_room = |page: &Page| page.message.entries.len() < self.page_limit;
        self.page_count() >= wire::MAX_ROSTER_PAGES && !self.pages.iter().any(has_room)
    }

    fn add_page(&mut self) -> bool {
        let page = self.page_count();
        if page >= wire::MAX_ROSTER_PAGES {
            return false;
        }
        let message = RosterPage {
            version: 0,
            page,
            pages: page + 1,
            entries: Vec::new(),
        };
        self.pages.push(Page {
            message,
            unsaved: false,
        });
        true
    }

    /// Marks a page as changed. All changes up to the next save share the roster's next version.
    fn touch(&mut self, page: u16) {
        if !self.is_unsaved() {
            self.version += 1;
        }
        self.pages[usize::from(page)].unsaved = true;
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The meters of a feeder.
    pub(crate) fn members(&self, feeder: &FeederId) -> Arc<Members> {
        self.members.get(feeder).cloned().unwrap_or_default()
    }

    /// Meters enrolled on a feeder.
    pub(crate) fn on_feeder(&self, feeder: &FeederId) -> u32 {
        self.members
            .get(feeder)
            .map_or(0, |members| members.count())
    }

    /// The number of the next meter of a feeder: one more than the highest, so that none is ever used again.
    pub(crate) fn next_number(&self, feeder: &FeederId) -> u32 {
        self.members
            .get(feeder)
            .map_or(0, |members| members.next_number())
    }

    /// The most meters on one feeder.
    pub(crate) fn largest_feeder(&self) -> u32 {
        self.members
            .values()
            .map(|members| members.count())
            .max()
            .unwrap_or(0)
    }

    /// The page a meter is on.
    pub(crate) fn page_of(&self, meter: &MeterId) -> Option<u16> {
        self.places.get(meter).map(|&(page, _)| page)
    }

    pub(crate) fn page_count(&self) -> u16 {
        self.pages.len() as u16
    }

    /// Whether there are changes to save and publish.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.pages.iter().any(|page| page.unsaved)
    }

    /// Pages changed since the last save.
    fn unsaved(&self) -> Vec<u16> {
        self.pages
            .iter()
            .filter(|page| page.unsaved)
            .map(|page| page.message.page)
            .collect()
    }

    /// The topic of a page and the page with the roster's version, signed. The same roster gives the same bytes.
    pub(crate) fn sealed(&mut self, page: u16, keyring: &Keyring) -> Option<(String, Bytes)> {
        let pages = self.page_count();
        let message = &mut self.pages.get_mut(usize::from(page))?.message;
        (message.version, message.pages) = (self.version, pages);
        let topic = self.topics.roster(page);
        let (bytes, _) = wire::seal(message, None, &self.deployment, &topic, keyring.signing());
        Some((topic, bytes.into()))
    }

    /// Makes all changes durable.
    ///
    /// # Errors
    /// A page cannot be written; it stays unsaved.
    pub(crate) fn save(&mut self, keyring: &Keyring) -> Result<(), RosterError> {
        for page in self.unsaved() {
            if let Some((_, bytes)) = self.sealed(page, keyring) {
                disk::replace(&self.path(page), &bytes)?;
                self.pages[usize::from(page)].unsaved = false;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
