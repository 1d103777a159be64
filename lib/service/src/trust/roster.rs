//! The roster a process trusts: who is enrolled, on which feeder, with which key.

mod cache;
mod keeper;
mod page;
mod scope;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use wire::{
    CapacityClass, ContributorSet, FeederId, GatewayId, MaskKey, MeterId, RosterPage, VerifyingKey,
};

pub use keeper::RosterKeeper;
use page::Page;
pub(crate) use scope::CACHES;
pub use scope::RosterScope;

/// A complete roster. With a million meters it takes about 100 MB: pages are packed, shared with the version before
/// where they did not change, and found through a table of positions.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    version: u64,
    pages: Vec<Arc<Page>>,
    /// Where each meter is, by the keyed hash of its id.
    index: HashTable<Place>,
    hash: RandomState,
    /// How many meters are on each feeder, and their numbers.
    enrolled: HashMap<FeederId, (u32, ContributorSet)>,
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
    /// Its id.
    pub meter: &'a str,
    /// Its feeder.
    pub feeder: &'a FeederId,
    /// Its number on the feeder.
    pub number: u32,
    /// Its gateway.
    pub gateway: &'a GatewayId,
    /// The class of its declared capacity.
    pub capacity: CapacityClass,
    /// Its verifying key.
    pub key: &'a VerifyingKey,
    /// The key that its masks are agreed with.
    pub mask_key: &'a MaskKey,
    /// Whether the energy of its tariff bands may be opened.
    pub billing: bool,
}

/// An id or a number that two entries have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrolledTwice {
    /// A meter is enrolled twice.
    #[error("meter {meter} is enrolled twice")]
    Meter {
        /// The meter's id.
        meter: String,
    },
    /// Two meters of a feeder have one number.
    #[error("meters {} and {} of feeder {feeder} both have number {number}", meters[0], meters[1])]
    Number {
        /// The feeder.
        feeder: FeederId,
        /// The number.
        number: u32,
        /// The ids of both meters.
        meters: [String; 2],
    },
}

impl Roster {
    /// A roster of these pages, whose versions are taken to be the same.
    ///
    /// # Errors
    /// If a meter is in it twice, or two meters of a feeder have one number.
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
            pages,
            ..Self::default()
        };
        roster.index_ids()?;
        roster.count_meters()?;
        Ok(roster)
    }

    fn index_ids(&mut self) -> Result<(), EnrolledTwice> {
        let (pages, hasher) = (&self.pages, &self.hash);
        let id = |place: &Place| -> &str { pages[place.page()].id(place.position()) };
        let hash = |place: &Place| hasher.hash_one(id(place));
        self.index = HashTable::with_capacity(pages.iter().map(|page| page.len()).sum());
        for place in places(pages) {
            let same = |known: &Place| id(known) == id(&place);
            match self.index.entry(hash(&place), same, hash) {
                Slot::Vacant(slot) => drop(slot.insert(place)),
                Slot::Occupied(_) => {
                    let meter = id(&place).to_owned();
                    return Err(EnrolledTwice::Meter { meter });
                }
            }
        }
        Ok(())
    }

    fn count_meters(&mut self) -> Result<(), EnrolledTwice> {
        let mut feeders: HashMap<&FeederId, Vec<(u32, Place)>> = HashMap::new();
        for place in places(&self.pages) {
            let entry = self.at(place);
            let numbers = feeders.entry(entry.feeder).or_default();
            numbers.push((entry.number, place));
        }
        let counted = feeders.into_iter().map(|(feeder, mut numbers)| {
            numbers.sort_unstable_by_key(|(number, place)| (*number, place.0));
            let twice = numbers
                .array_windows()
                .find(|[one, other]| one.0 == other.0);
            if let Some(&[one, other]) = twice {
                return Err(EnrolledTwice::Number {
                    feeder: feeder.clone(),
                    number: one.0,
                    meters: [one, other].map(|(_, place)| self.at(place).meter.to_owned()),
                });
            }
            // A roster has at most 64 × 16,384 meters, and no number is out of range: decoding has checked them.
            let count = numbers.len() as u32;
            let set = ContributorSet::from_numbers(numbers.into_iter().map(|(number, _)| number));
            Ok((feeder.clone(), (count, set.unwrap_or_default())))
        });
        self.enrolled = counted.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn at(&self, place: Place) -> EnrolledMeter<'_> {
        self.pages[place.page()].entry(place.position())
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
        Some(self.at(*place))
    }

    /// Meters enrolled on a feeder.
    pub fn enrolled(&self, feeder: &FeederId) -> u32 {
        self.enrolled.get(feeder).map_or(0, |(count, _)| *count)
    }

    /// Whether a meter of the feeder has this number.
    pub fn has_number(&self, feeder: &FeederId, number: u32) -> bool {
        let numbers = self.enrolled.get(feeder);
        numbers.is_some_and(|(_, numbers)| numbers.contains(number))
    }

    /// Feeders with the number of meters enrolled on each, in no order.
    pub fn feeders(&self) -> impl Iterator<Item = (&FeederId, u32)> {
        self.enrolled
            .iter()
            .map(|(feeder, (count, _))| (feeder, *count))
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

/// Every place of these pages, in order.
fn places(pages: &[Arc<Page>]) -> impl Iterator<Item = Place> {
    let pages = pages.iter().enumerate();
    pages.flat_map(|(number, page)| (0..page.len()).map(move |at| Place::new(number, at)))
}
