//! The roster book: every enrolled meter, in signed pages.
//!
//! Meters are added to the last page with room, so enrolling writes one page to disk and not all. The version is one number for
//! the whole roster and every published page carries it, so that a receiver can tell pages of different states apart. A page on
//! disk carries the version of its own last change; the newest of them is the roster's.
//!
//! A gateway is told its own meters only: `own`. The pages on disk: `stored`.

mod countersigned;
mod own;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use wire::{
    CapacityClass, DeploymentId, Digest, FeederId, GatewayId, MeterId, RosterEntry, RosterPage,
    Topics, WindowStart,
};

use self::own::OwnRosters;
use service::trust::{Member, Members};

/// Every meter of the deployment.
pub(crate) struct RosterBook {
    dir: PathBuf,
    deployment: DeploymentId,
    topics: Topics,
    version: u64,
    /// Whether that is of changes since the last save.
    has_changed: bool,
    pages: Vec<Page>,
    places: HashMap<MeterId, Place>,
    own: OwnRosters,
    /// Shared with sums that wait to be opened: a sum is opened with the meters that were there when it came.
    members: HashMap<FeederId, Arc<Members>>,
    page_limit: usize,
}

/// Page and position of a meter.
type Place = (u16, usize);

struct Page {
    message: RosterPage,
    /// The version of its own last change.
    changed: u64,
    unsaved: bool,
    /// The digest of the terms of which enough holders were seen to have countersigned it as it is.
    agreed: Option<Digest>,
}

/// How much there is to publish of a roster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Its pages.
    pub pages: u16,
    /// Gateways, of which each is told its own part.
    pub gateways: usize,
}

impl RosterBook {
    fn insert_member(&mut self, entry: &RosterEntry) -> bool {
        let members = self.members.entry(entry.feeder.clone()).or_default();
        let member = Member {
            meter: entry.meter.clone(),
            capacity: entry.capacity,
            key: entry.key,
            mask_key: entry.mask_key,
            billing: entry.billing,
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
        self.touch(page, &entry.gateway);
        let entries = &mut self.pages[usize::from(page)].message.entries;
        let place = (page, entries.len());
        self.places.insert(entry.meter.clone(), place);
        self.own.insert(&entry.gateway, place);
        entries.push(entry);
        true
    }

    /// Takes a meter out of the pages. What sums of its earlier windows are opened with stays.
    pub(crate) fn remove(&mut self, meter: &MeterId) -> Option<RosterEntry> {
        let place = self.places.remove(meter)?;
        let (page, position) = place;
        let gateway = self.pages[usize::from(page)].message.entries[position]
            .gateway
            .clone();
        self.touch(page, &gateway);
        let entries = &mut self.pages[usize::from(page)].message.entries;
        let removed = entries.swap_remove(position);
        self.own.remove(&gateway, place);
        if let Some(moved) = entries.get(position) {
            self.places.insert(moved.meter.clone(), place);
            self.own.remove(&moved.gateway, (page, entries.len()));
            self.own.insert(&moved.gateway, place);
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
        // Its gateway may not have heard yet that it has left.
        self.own.know(&entry.gateway, self.version);
        self.insert_member(entry);
        self.set_end(&entry.feeder, entry.number, Some(first_without));
    }

    /// Changes the declared capacity of a meter in the roster, and whether it is billed.
    pub(crate) fn change(&mut self, meter: &MeterId, capacity: CapacityClass, billing: bool) {
        if let Some(&(page, position)) = self.places.get(meter) {
            let entry = &mut self.pages[usize::from(page)].message.entries[position];
            (entry.capacity, entry.billing) = (capacity, billing);
            let gateway = entry.gateway.clone();
            if let Some(members) = self.members.get_mut(&entry.feeder) {
                Arc::make_mut(members).change(entry.number, capacity, billing);
            }
            self.touch(page, &gateway);
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
            countersignatures: Vec::new(),
        };
        self.pages.push(Page {
            message,
            changed: 0,
            unsaved: false,
            agreed: None,
        });
        true
    }

    /// Marks a page as changed, and the part of a gateway. All changes up to the next save share the roster's next version.
    fn touch(&mut self, page: u16, gateway: &GatewayId) {
        // A page that is only countersigned is unsaved too, and holders have seen this version of it.
        if !std::mem::replace(&mut self.has_changed, true) {
            self.version += 1;
        }
        let changed = &mut self.pages[usize::from(page)];
        (changed.changed, changed.unsaved, changed.agreed) = (self.version, true, None);
        // They are of what the page had before.
        changed.message.countersignatures.clear();
        self.own.changed(gateway, self.version);
    }

    /// The version of the whole roster.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The meters of each feeder.
    pub(crate) fn feeders(&self) -> impl Iterator<Item = (FeederId, Arc<Members>)> {
        let feeders = self.members.iter();
        feeders.map(|(feeder, members)| (feeder.clone(), members.clone()))
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

    fn page_count(&self) -> u16 {
        self.pages.len() as u16
    }

    /// How much there is to publish.
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            pages: self.page_count(),
            gateways: self.own.len(),
        }
    }

    /// Which gateway's part of the roster this is, for [`RosterBook::sealed_own`]; `None` if nothing is known of it.
    pub(crate) fn own_part(&self, gateway: &GatewayId) -> Option<usize> {
        self.own.position(gateway)
    }

    /// The parts that have changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> Vec<usize> {
        self.own.take_changed()
    }
}
