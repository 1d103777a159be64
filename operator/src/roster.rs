//! The roster book: every enrolled meter, in pages that are kept on disk as the very messages that are published.
//!
//! Meters are appended to the last page, so enrolling changes one page and not all. The version is one number for the
//! whole roster; a page carries the version of its own last change.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use wire::{DeploymentId, FeederId, MeterId, RosterEntry, RosterPage, Topics, Watts};

use crate::disk::{self, DiskError};
use crate::keyring::Keyring;

/// The largest stored page that is read.
const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;

/// Why there is no roster.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// A page cannot be read or written.
    #[error(transparent)]
    File(#[from] DiskError),
    /// A stored page is damaged or signed by another key.
    #[error("the stored roster page {path} cannot be used: {source}. Restore it from a backup", path = path.display())]
    Stored {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: wire::WireError,
    },
    /// A stored page is gone.
    #[error("the roster has {pages} pages, but {path} is missing: restore it from a backup", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// Pages the stored roster says it has.
        pages: u16,
    },
}

/// Every meter of the deployment.
pub struct RosterBook {
    dir: PathBuf,
    deployment: DeploymentId,
    topics: Topics,
    version: u64,
    pages: Vec<Page>,
    /// Page and position of each meter.
    places: HashMap<MeterId, (u16, usize)>,
    on_feeder: HashMap<FeederId, u32>,
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
    pub fn open(
        dir: &Path,
        deployment: DeploymentId,
        topics: Topics,
        keyring: &Keyring,
    ) -> Result<Self, RosterError> {
        let mut book = Self {
            dir: dir.join("roster"),
            deployment,
            topics,
            version: 0,
            pages: Vec::new(),
            places: HashMap::new(),
            on_feeder: HashMap::new(),
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
            let message = book.read(&path, page, keyring)?;
            pages = pages.max(message.pages);
            book.adopt(message);
            page += 1;
        }
        Ok(book)
    }

    fn path(&self, page: u16) -> PathBuf {
        self.dir.join(format!("page-{page}.bin"))
    }

    fn read(&self, path: &Path, page: u16, keyring: &Keyring) -> Result<RosterPage, RosterError> {
        let bytes = disk::read(path, MAX_PAGE_BYTES)?;
        let stored = |source| RosterError::Stored {
            path: path.to_owned(),
            source,
        };
        let unverified = wire::decode::<RosterPage>(&bytes, MAX_PAGE_BYTES).map_err(stored)?;
        let topic = self.topics.roster(page);
        Ok(unverified
            .verify(&self.deployment, &topic, &keyring.verifying())
            .map_err(stored)?
            .message)
    }

    fn adopt(&mut self, message: RosterPage) {
        let page = message.page;
        self.version = self.version.max(message.version);
        for (position, entry) in message.entries.iter().enumerate() {
            self.places.insert(entry.meter.clone(), (page, position));
            *self.on_feeder.entry(entry.feeder.clone()).or_default() += 1;
        }
        self.pages.push(Page {
            message,
            unsaved: false,
        });
    }

    /// The entry of a meter.
    pub fn get(&self, meter: &MeterId) -> Option<&RosterEntry> {
        let &(page, position) = self.places.get(meter)?;
        self.pages
            .get(usize::from(page))?
            .message
            .entries
            .get(position)
    }

    /// Adds a meter that is not in the roster yet. `false` if the roster is full.
    pub fn add(&mut self, entry: RosterEntry) -> bool {
        debug_assert!(!self.places.contains_key(&entry.meter));
        let full = self
            .pages
            .last()
            .is_none_or(|page| page.message.entries.len() >= self.page_limit);
        if full && !self.add_page() {
            return false;
        }
        let page = self.page_count() - 1;
        self.touch(page);
        let entries = &mut self.pages[usize::from(page)].message.entries;
        self.places
            .insert(entry.meter.clone(), (page, entries.len()));
        *self.on_feeder.entry(entry.feeder.clone()).or_default() += 1;
        entries.push(entry);
        true
    }

    /// Changes the declared capacity of a meter in the roster.
    pub fn set_capacity(&mut self, meter: &MeterId, capacity_w: Watts) {
        if let Some(&(page, position)) = self.places.get(meter) {
            self.touch(page);
            self.pages[usize::from(page)].message.entries[position].capacity_w = capacity_w;
        }
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

    /// Marks a page as changed and gives it the roster's next version, which all changes up to the next save share.
    fn touch(&mut self, page: u16) {
        if !self.pages.iter().any(|page| page.unsaved) {
            self.version += 1;
        }
        let page = &mut self.pages[usize::from(page)];
        page.unsaved = true;
        page.message.version = self.version;
    }

    /// Meters in the roster.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether no meter is enrolled.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Meters enrolled on a feeder.
    pub fn on_feeder(&self, feeder: &FeederId) -> u32 {
        self.on_feeder.get(feeder).copied().unwrap_or(0)
    }

    /// The most meters on one feeder.
    pub fn largest_feeder(&self) -> u32 {
        self.on_feeder.values().copied().max().unwrap_or(0)
    }

    /// The page a meter is on.
    pub fn page_of(&self, meter: &MeterId) -> Option<u16> {
        self.places.get(meter).map(|&(page, _)| page)
    }

    /// Pages of the roster.
    pub fn page_count(&self) -> u16 {
        self.pages.len() as u16
    }

    /// Pages changed since the last save.
    pub fn unsaved(&self) -> Vec<u16> {
        self.pages
            .iter()
            .filter(|page| page.unsaved)
            .map(|page| page.message.page)
            .collect()
    }

    /// The topic of a page and the page, signed. The same page gives the same bytes.
    pub fn sealed(&self, page: u16, keyring: &Keyring) -> Option<(String, Bytes)> {
        let message = &self.pages.get(usize::from(page))?.message;
        let topic = self.topics.roster(page);
        let (bytes, _) = wire::seal(message, None, &self.deployment, &topic, keyring.signing());
        Some((topic, bytes.into()))
    }

    /// Makes all changes durable.
    ///
    /// # Errors
    /// A page cannot be written; it stays unsaved.
    pub fn save(&mut self, keyring: &Keyring) -> Result<(), RosterError> {
        let pages = self.page_count();
        for page in self.unsaved() {
            self.pages[usize::from(page)].message.pages = pages;
            if let Some((_, bytes)) = self.sealed(page, keyring) {
                disk::replace(&self.path(page), &bytes)?;
                self.pages[usize::from(page)].unsaved = false;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{GatewayId, SigningKey};

    fn open(dir: &Path) -> Result<(RosterBook, Keyring), RosterError> {
        let keyring = Keyring::open(dir, &packed::ADDITIVE).unwrap();
        let topics = Topics::new("cipherwatt/v1").unwrap();
        let mut book = RosterBook::open(
            dir,
            DeploymentId::try_from("dev").unwrap(),
            topics,
            &keyring,
        )?;
        book.page_limit = 3;
        Ok((book, keyring))
    }

    fn entry(number: usize) -> RosterEntry {
        RosterEntry {
            meter: MeterId::try_from(format!("meter-{number}").as_str()).unwrap(),
            feeder: FeederId::try_from(if number.is_multiple_of(2) {
                "even"
            } else {
                "odd"
            })
            .unwrap(),
            gateway: GatewayId::try_from("gateway-1").unwrap(),
            capacity_w: Watts(7_000),
            key: SigningKey::from_bytes(&[number as u8; 32]).verifying_key(),
        }
    }

    #[test]
    fn pages_fill_change_alone_and_survive() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, keyring) = open(dir.path()).unwrap();
        for number in 0..7 {
            assert!(book.add(entry(number)));
        }
        assert_eq!(
            (book.page_count(), book.unsaved(), book.version),
            (3, vec![0, 1, 2], 1)
        );
        book.save(&keyring).unwrap();
        book.add(entry(7));
        assert_eq!(book.unsaved(), [2]);
        book.save(&keyring).unwrap();
        book.set_capacity(&entry(1).meter, Watts(9_000));
        assert_eq!((book.unsaved(), book.version), (vec![0], 3));
        book.save(&keyring).unwrap();

        let (again, keyring) = open(dir.path()).unwrap();
        assert_eq!((again.len(), again.version), (8, 3));
        assert_eq!(again.on_feeder(&entry(0).feeder), 4);
        for number in 0..8 {
            let mut expected = entry(number);
            if number == 1 {
                expected.capacity_w = Watts(9_000);
            }
            assert_eq!(again.get(&expected.meter), Some(&expected));
        }
        for page in 0..3 {
            assert_eq!(again.sealed(page, &keyring), book.sealed(page, &keyring));
        }
    }

    #[test]
    fn a_missing_or_exchanged_page_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, keyring) = open(dir.path()).unwrap();
        for number in 0..7 {
            book.add(entry(number));
        }
        book.save(&keyring).unwrap();
        let page = |number: u16| dir.path().join("roster").join(format!("page-{number}.bin"));
        std::fs::copy(page(0), page(1)).unwrap();
        assert!(matches!(open(dir.path()), Err(RosterError::Stored { .. })));
        std::fs::remove_file(page(1)).unwrap();
        assert!(matches!(open(dir.path()), Err(RosterError::Missing { .. })));
    }

    #[test]
    fn a_full_roster_takes_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let (mut book, _) = open(dir.path()).unwrap();
        book.page_limit = 1;
        for number in 0..usize::from(wire::MAX_ROSTER_PAGES) {
            assert!(book.add(entry(number)));
        }
        assert!(!book.add(entry(100)));
        assert_eq!(book.len(), usize::from(wire::MAX_ROSTER_PAGES));
    }
}
