//! One page of a roster, packed.

use std::collections::HashMap;
use std::hash::Hash;

use wire::{CapacityClass, FeederId, GatewayId, MaskKey, RosterPage, VerifyingKey};

use super::EnrolledMeter;

/// The entries of a page in columns: 78 bytes a meter and the text of its id. What many meters of a page share is
/// there once, and named by its index; a page has at most 16,384 entries, so 16 bits do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The meters' ids, one after the other.
    ids: Box<str>,
    /// Where each id ends in `ids`.
    ends: Box<[u32]>,
    feeder: Column<FeederId>,
    gateway: Column<GatewayId>,
    numbers: Box<[u32]>,
    capacities: Box<[CapacityClass]>,
    keys: Box<[VerifyingKey]>,
    mask_keys: Box<[MaskKey]>,
    billing: Box<[bool]>,
}

/// A column whose values repeat.
#[derive(Debug, PartialEq, Eq)]
struct Column<T> {
    values: Box<[T]>,
    index: Box<[u16]>,
}

impl Page {
    /// Packs a page. It has no more entries than a message may carry.
    pub(super) fn pack(page: &RosterPage) -> Self {
        let entries = &page.entries;
        let mut ids = String::with_capacity(entries.iter().map(|e| e.meter.as_str().len()).sum());
        let ends = entries.iter().map(|entry| {
            ids.push_str(entry.meter.as_str());
            // At most 16,384 ids of 64 characters.
            ids.len() as u32
        });
        Self {
            ends: ends.collect(),
            ids: ids.into(),
            feeder: Column::of(entries.iter().map(|entry| &entry.feeder)),
            gateway: Column::of(entries.iter().map(|entry| &entry.gateway)),
            numbers: entries.iter().map(|entry| entry.number).collect(),
            capacities: entries.iter().map(|entry| entry.capacity).collect(),
            keys: entries.iter().map(|entry| entry.key).collect(),
            mask_keys: entries.iter().map(|entry| entry.mask_key).collect(),
            billing: entries.iter().map(|entry| entry.billing).collect(),
        }
    }

    /// Entries.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The id of the meter at `position`, which is below [`Page::len`].
    pub(super) fn id(&self, position: usize) -> &str {
        let start = match position {
            0 => 0,
            _ => self.ends[position - 1] as usize,
        };
        &self.ids[start..self.ends[position] as usize]
    }

    /// The entry at `position`, which is below [`Page::len`].
    pub(super) fn entry(&self, position: usize) -> EnrolledMeter<'_> {
        EnrolledMeter {
            meter: self.id(position),
            feeder: self.feeder.at(position),
            number: self.numbers[position],
            gateway: self.gateway.at(position),
            capacity: self.capacities[position],
            key: &self.keys[position],
            mask_key: &self.mask_keys[position],
            billing: self.billing[position],
        }
    }

    /// Bytes of its columns.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.ids.len()
            + size_of_val(&*self.ends)
            + size_of_val(&*self.numbers)
            + size_of_val(&*self.capacities)
            + size_of_val(&*self.keys)
            + size_of_val(&*self.mask_keys)
            + size_of_val(&*self.billing)
            + size_of_val(&*self.feeder.index)
            + size_of_val(&*self.gateway.index)
    }

    /// Whether this is what [`Page::pack`] would make of `page`.
    pub(super) fn is(&self, page: &RosterPage) -> bool {
        self.len() == page.entries.len()
            && page.entries.iter().enumerate().all(|(position, entry)| {
                let mine = self.entry(position);
                self.id(position) == entry.meter.as_str()
                    && *mine.feeder == entry.feeder
                    && *mine.gateway == entry.gateway
                    && mine.number == entry.number
                    && mine.capacity == entry.capacity
                    && *mine.key == entry.key
                    && *mine.mask_key == entry.mask_key
                    && mine.billing == entry.billing
            })
    }
}

impl<T: Clone + Eq + Hash> Column<T> {
    fn of<'a>(cells: impl Iterator<Item = &'a T>) -> Self
    where
        T: 'a,
    {
        let mut known: HashMap<&T, u16> = HashMap::new();
        let mut values = Vec::new();
        let index = cells.map(|cell| {
            *known.entry(cell).or_insert_with(|| {
                values.push(cell.clone());
                (values.len() - 1) as u16
            })
        });
        Self {
            index: index.collect(),
            values: values.into(),
        }
    }

    fn at(&self, position: usize) -> &T {
        &self.values[usize::from(self.index[position])]
    }
}
