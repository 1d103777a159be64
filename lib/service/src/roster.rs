//! The roster a process trusts: who is enrolled, on which feeder, with which key.

mod keeper;

use std::collections::HashMap;

use wire::{FeederId, GatewayId, MeterId, RosterEntry, RosterPage};

pub use keeper::RosterKeeper;

/// A complete roster. With a million meters it takes about 150 MB: entries are kept sorted in one
/// block, and ids of feeders and gateways are shared.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    version: u64,
    /// Ascending by meter, without doubles.
    entries: Vec<RosterEntry>,
    enrolled: HashMap<FeederId, u32>,
}

/// A meter that is enrolled twice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("meter {meter} is enrolled twice")]
pub struct EnrolledTwice {
    /// The meter.
    pub meter: MeterId,
}

impl Roster {
    /// A roster of these pages, whose versions are taken to be the same.
    ///
    /// # Errors
    /// If a meter is in it twice.
    pub fn from_pages(pages: impl IntoIterator<Item = RosterPage>) -> Result<Self, EnrolledTwice> {
        let mut roster = Self::default();
        let mut feeders: HashMap<FeederId, FeederId> = HashMap::new();
        let mut gateways: HashMap<GatewayId, GatewayId> = HashMap::new();
        for page in pages {
            roster.version = page.version;
            roster.entries.reserve_exact(page.entries.len());
            for mut entry in page.entries {
                entry.feeder = shared(&mut feeders, entry.feeder);
                entry.gateway = shared(&mut gateways, entry.gateway);
                *roster.enrolled.entry(entry.feeder.clone()).or_default() += 1;
                roster.entries.push(entry);
            }
        }
        roster
            .entries
            .sort_unstable_by(|a, b| a.meter.cmp(&b.meter));
        let twice = roster
            .entries
            .windows(2)
            .find(|pair| pair[0].meter == pair[1].meter);
        match twice {
            Some(pair) => Err(EnrolledTwice {
                meter: pair[0].meter.clone(),
            }),
            None => Ok(roster),
        }
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The entry of a meter.
    pub fn meter(&self, meter: &MeterId) -> Option<&RosterEntry> {
        let found = self
            .entries
            .binary_search_by(|entry| entry.meter.cmp(meter));
        self.entries.get(found.ok()?)
    }

    /// Meters enrolled on a feeder.
    pub fn enrolled(&self, feeder: &FeederId) -> u32 {
        self.enrolled.get(feeder).copied().unwrap_or(0)
    }

    /// Feeders with the number of meters enrolled on each, in no order.
    pub fn feeders(&self) -> impl Iterator<Item = (&FeederId, u32)> {
        self.enrolled.iter().map(|(feeder, count)| (feeder, *count))
    }

    /// All entries, ascending by meter.
    pub fn entries(&self) -> &[RosterEntry] {
        &self.entries
    }

    /// Meters enrolled.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is enrolled.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The first id that was equal to this one: decoding gives each entry a copy of its own.
fn shared<T: Clone + Eq + std::hash::Hash>(known: &mut HashMap<T, T>, id: T) -> T {
    known.entry(id.clone()).or_insert(id).clone()
}
