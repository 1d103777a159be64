//! What each gateway is told of the roster: its own meters, on a topic of its own, so that no gateway has to read who else is
//! enrolled.
//!
//! A part carries the roster's version of its own last change, or that of the operator's start: so only the parts that a
//! change is about are published. It has pages as the roster has, nearly always one.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use wire::{GatewayId, RosterEntry, RosterPage};

use super::{Place, RosterBook};
use crate::keys::keyring::Keyring;

/// The parts of all gateways, in the order in which they became known.
#[derive(Debug, Default)]
pub(super) struct OwnRosters {
    positions: HashMap<GatewayId, usize>,
    parts: Vec<OwnRoster>,
    changed: BTreeSet<usize>,
}

/// The part of one gateway. It stays, empty, when all its meters have left.
#[derive(Debug)]
struct OwnRoster {
    gateway: GatewayId,
    version: u64,
    places: BTreeSet<Place>,
    /// How many pages it had when it was last published.
    pages: u16,
}

impl OwnRosters {
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(super) fn position(&self, gateway: &GatewayId) -> Option<usize> {
        self.positions.get(gateway).copied()
    }

    /// There is a part for this gateway from now on.
    pub(super) fn know(&mut self, gateway: &GatewayId, version: u64) {
        self.part(gateway, version);
    }

    fn part(&mut self, gateway: &GatewayId, version: u64) -> &mut OwnRoster {
        let position = self.position(gateway).unwrap_or_else(|| {
            self.positions.insert(gateway.clone(), self.parts.len());
            self.parts.push(OwnRoster {
                gateway: gateway.clone(),
                version,
                places: BTreeSet::new(),
                pages: 0,
            });
            self.parts.len() - 1
        });
        &mut self.parts[position]
    }

    /// The part changes with this version of the roster.
    pub(super) fn changed(&mut self, gateway: &GatewayId, version: u64) {
        self.part(gateway, version).version = version;
        self.changed.extend(self.position(gateway));
    }

    pub(super) fn insert(&mut self, gateway: &GatewayId, place: Place) {
        if let Some(&position) = self.positions.get(gateway) {
            self.parts[position].places.insert(place);
        }
    }

    pub(super) fn remove(&mut self, gateway: &GatewayId, place: Place) {
        if let Some(&position) = self.positions.get(gateway) {
            self.parts[position].places.remove(&place);
        }
    }

    pub(super) fn take_changed(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }
}

impl RosterBook {
    /// Sorts the entries of the pages that were read by their gateways.
    pub(super) fn know_gateways(&mut self) {
        for page in &self.pages {
            for (position, entry) in page.message.entries.iter().enumerate() {
                self.own.know(&entry.gateway, self.version);
                self.own
                    .insert(&entry.gateway, (page.message.page, position));
            }
        }
    }

    /// The topic and signed bytes of each page of a gateway's part. The same part gives the same bytes. A page that it had
    /// and has no more is cleared by an empty message.
    pub(crate) fn sealed_own(&mut self, part: usize, keyring: &Keyring) -> Vec<(String, Bytes)> {
        let Some(own) = self.own.parts.get_mut(part) else {
            return Vec::new();
        };
        let entry =
            |&(page, position): &Place| &self.pages[usize::from(page)].message.entries[position];
        let mut entries: Vec<&RosterEntry> = own.places.iter().map(entry).collect();
        // Places change when others leave.
        entries.sort_unstable_by_key(|entry| &entry.meter);
        let mut chunks: Vec<&[&RosterEntry]> = entries.chunks(self.page_limit).collect();
        if chunks.is_empty() {
            chunks.push(&[]);
        }
        // A part has no more pages than the roster, or one.
        let pages = chunks.len() as u16;
        let seal = |(page, entries): (u16, &[&RosterEntry])| {
            let message = RosterPage {
                version: own.version,
                page,
                pages,
                entries: entries.iter().copied().cloned().collect(),
                countersignatures: Vec::new(),
            };
            let topic = self.topics.own_roster(&own.gateway, page);
            let (bytes, _) =
                wire::seal(&message, None, &self.deployment, &topic, keyring.signing());
            (topic, bytes.into())
        };
        let mut sealed: Vec<_> = (0..pages).zip(chunks).map(seal).collect();
        let cleared = (pages..own.pages)
            .map(|page| (self.topics.own_roster(&own.gateway, page), Bytes::new()));
        sealed.extend(cleared);
        own.pages = pages;
        sealed
    }
}
