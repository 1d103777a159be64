//! The roster a process trusts: who is enrolled, on which feeder, with which key.

mod cache;
mod keeper;
mod page;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use wire::{FeederId, GatewayId, MeterId, RosterPage, VerifyingKey, Watts};

pub use keeper::RosterKeeper;
use page::Page;

/// A complete roster. With a million meters it takes about 70 MB: pages are packed, shared with the version before
/// where they did not change, and found through a table of four-byte positions.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    version: u64,
    pages: Vec<Arc<Page>>,
    /// Where each meter is, by the keyed hash of its id.
    index: HashTable<Place>,
    hash: RandomState,
    enrolled: HashMap<FeederId, u32>,
}

/// A meter's place: its page and its position there. A roster has at most 64 pages of 16,384 entries.
#[derive(Debug, Clone, Copy)]
struct Place(u32);

impl Place {
    fn new(page: usize, position: usize) -> Self {
        Self((page as u32) << 16 | position as u32)
    }

    fn page(self) -> usize {
        (self.0 >> 16) as usize
    }

    fn position(self) -> usize {
        (self.0 & 0xffff) as usize
    }
}

/// What the roster has of a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolledMeter<'a> {
    /// Its feeder.
    pub feeder: &'a FeederId,
    /// Its gateway.
    pub gateway: &'a GatewayId,
    /// Its declared capacity.
    pub capacity_w: Watts,
    /// Its verifying key.
    pub key: &'a VerifyingKey,
}

/// A meter that is enrolled twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("meter {meter} is enrolled twice")]
pub struct EnrolledTwice {
    /// The meter's id.
    pub meter: String,
}

impl Roster {
    /// A roster of these pages, whose versions are taken to be the same.
    ///
    /// # Errors
    /// If a meter is in it twice.
    pub fn from_pages(pages: impl IntoIterator<Item = RosterPage>) -> Result<Self, EnrolledTwice> {
        let mut version = 0;
        let pages = pages.into_iter().map(|page| {
            version = page.version;
            Arc::new(Page::pack(&page))
        });
        let pages = pages.collect();
        Self::of(version, pages)
    }

    fn of(version: u64, pages: Vec<Arc<Page>>) -> Result<Self, EnrolledTwice> {
        let mut roster = Self {
            version,
            index: HashTable::with_capacity(pages.iter().map(|page| page.len()).sum()),
            ..Self::default()
        };
        for (number, page) in pages.iter().enumerate() {
            for (feeder, count) in page.feeders() {
                match roster.enrolled.get_mut(feeder) {
                    Some(known) => *known += count,
                    None => drop(roster.enrolled.insert(feeder.clone(), count)),
                }
            }
            let hash = |place: &Place| {
                let page: &Page = &pages[place.page()];
                roster.hash.hash_one(page.id(place.position()))
            };
            for position in 0..page.len() {
                let (place, id) = (Place::new(number, position), page.id(position));
                let same = |known: &Place| pages[known.page()].id(known.position()) == id;
                match roster.index.entry(roster.hash.hash_one(id), same, hash) {
                    Slot::Vacant(slot) => drop(slot.insert(place)),
                    Slot::Occupied(_) => {
                        let meter = id.to_owned();
                        return Err(EnrolledTwice { meter });
                    }
                }
            }
        }
        roster.pages = pages;
        Ok(roster)
    }

    /// Its page of this number, if that has the entries of `page`.
    fn page_like(&self, number: usize, page: &RosterPage) -> Option<Arc<Page>> {
        self.pages.get(number).filter(|own| own.is(page)).cloned()
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What it has of a meter.
    pub fn meter(&self, meter: &MeterId) -> Option<EnrolledMeter<'_>> {
        let id = meter.as_str();
        let place = self.index.find(self.hash.hash_one(id), |place| {
            self.pages[place.page()].id(place.position()) == id
        })?;
        Some(self.pages[place.page()].entry(place.position()))
    }

    /// Meters enrolled on a feeder.
    pub fn enrolled(&self, feeder: &FeederId) -> u32 {
        self.enrolled.get(feeder).copied().unwrap_or(0)
    }

    /// Feeders with the number of meters enrolled on each, in no order.
    pub fn feeders(&self) -> impl Iterator<Item = (&FeederId, u32)> {
        self.enrolled.iter().map(|(feeder, count)| (feeder, *count))
    }

    /// Meters enrolled.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nobody is enrolled.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}
