//! Who is enrolled, as this holder knows it: by pages that it countersigned itself, or that enough holders did.
//!
//! A meter has one feeder, number and pair of keys, and a number one meter, for good. Who has left stays: reports of earlier windows
//! still count, and that a set has a meter says nothing that its masks do not prove.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use service::trust::{Member, Members};
use wire::{FeederId, MeterId, Reason, RosterEntry, RosterPage};

use crate::ledger::{Ledger, LedgerError};

/// The most numbers of all feeders together: four times those of a roster, for whoever has left. A page that would take more would
/// take the memory of the holder.
const MAX_PLACES: usize = 4 << 20;

/// The meters that this holder knows.
#[derive(Debug, Default)]
pub(crate) struct OwnRoster {
    feeders: HashMap<FeederId, Members>,
    /// Where each meter is.
    places: HashMap<MeterId, (FeederId, u32)>,
    /// Who is in each page now; who left is in none.
    present: BTreeMap<u16, BTreeSet<MeterId>>,
    /// The newest version of each page that was taken or countersigned: no earlier state of it is taken any more.
    versions: BTreeMap<u16, u64>,
}

/// What a page would change.
#[derive(Debug)]
pub(crate) struct Change {
    version: u64,
    page: u16,
    /// Those that are new.
    new: Vec<(FeederId, u32, Member)>,
    /// Those of whom something other than number and keys has changed.
    changed: Vec<(FeederId, u32, Member)>,
    /// Known ones that are in the page again, or in another than before.
    back: Vec<MeterId>,
    /// Those that were in the page and are not any more.
    left: Vec<MeterId>,
}

impl Change {
    /// Whether every meter of the page is known as it says, and none has left it.
    pub(crate) fn is_known(&self) -> bool {
        let meters = self.back.len() + self.left.len();
        self.new.is_empty() && self.changed.is_empty() && meters == 0
    }

    /// The meters that are new in it, and those that are different.
    pub(crate) fn members(&self) -> [&[(FeederId, u32, Member)]; 2] {
        [&self.new, &self.changed]
    }

    /// The meters that are back, and those that left.
    pub(crate) fn moved(&self) -> [&[MeterId]; 2] {
        [&self.back, &self.left]
    }
}

impl OwnRoster {
    /// What the ledger has.
    pub(crate) fn open(ledger: &Ledger) -> Result<Self, LedgerError> {
        let mut roster = Self::default();
        ledger.members(|feeder, number, member| {
            roster.insert(feeder, number, member);
        })?;
        roster.versions = ledger.page_versions()?;
        ledger.present(|page, meter| {
            roster.present.entry(page).or_default().insert(meter);
        })?;
        Ok(roster)
    }

    /// The meters of a feeder.
    ///
    /// # Errors
    /// No page that has some was countersigned so far.
    pub(crate) fn members(&self, feeder: &FeederId) -> Result<&Members, Reason> {
        self.feeders.get(feeder).ok_or(Reason::NotCountersigned)
    }

    /// A meter's feeder, and its number there.
    ///
    /// # Errors
    /// It is not known.
    pub(crate) fn place(&self, meter: &MeterId) -> Result<(&FeederId, u32), Reason> {
        let (feeder, number) = self.places.get(meter).ok_or(Reason::UnknownMeter)?;
        Ok((feeder, *number))
    }

    /// The feeders.
    pub(crate) fn feeders(&self) -> impl Iterator<Item = &FeederId> {
        self.feeders.keys()
    }

    /// How many meters there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// What a page of this version would change, if nothing known speaks against it.
    ///
    /// # Errors
    /// [`Reason::Conflict`]: a number would be another meter's, or a meter would have another number or other keys;
    /// [`Reason::LowerVersion`]: it has news, and is no later than what was taken or countersigned of it.
    pub(crate) fn compare(&self, page: &RosterPage, version: u64) -> Result<Change, Reason> {
        let mut change = Change {
            version,
            page: page.page,
            new: Vec::new(),
            changed: Vec::new(),
            back: Vec::new(),
            left: self.left(page),
        };
        let present = self.present.get(&page.page);
        // Where the numbers of the feeders that grow would end.
        let mut ends: HashMap<&FeederId, u32> = HashMap::new();
        for entry in &page.entries {
            let place = (entry.feeder.clone(), entry.number);
            let known = self.feeders.get(&entry.feeder);
            let at = known.and_then(|members| members.get(entry.number));
            let member = member(entry);
            match (at, self.places.get(&entry.meter)) {
                (Some(at), Some(own)) if *own == place && keys(at) == keys(&member) => {
                    if present.is_none_or(|present| !present.contains(&entry.meter)) {
                        change.back.push(entry.meter.clone());
                    }
                    if (at.capacity, at.billing) != (member.capacity, member.billing) {
                        change.changed.push((place.0, place.1, member));
                    }
                }
                (None, None) => {
                    let end = ends.entry(&entry.feeder).or_default();
                    *end = (*end).max(entry.number + 1);
                    change.new.push((place.0, place.1, member));
                }
                _ => return Err(Reason::Conflict),
            }
        }
        if !change.is_known() && version <= self.version_of(page.page) {
            return Err(Reason::LowerVersion);
        }
        let grown = ends.into_iter().map(|(feeder, end)| {
            let numbers = self.feeders.get(feeder).map_or(0, Members::next_number);
            end.saturating_sub(numbers) as usize
        });
        let grown: usize = grown.sum();
        match grown > 0 && self.numbers() + grown > MAX_PLACES {
            true => Err(Reason::Overloaded),
            false => Ok(change),
        }
    }

    /// Who was in a page and is not in it any more.
    fn left(&self, page: &RosterPage) -> Vec<MeterId> {
        let now: BTreeSet<&MeterId> = page.entries.iter().map(|entry| &entry.meter).collect();
        let before = self.present.get(&page.page).into_iter().flatten();
        before
            .filter(|meter| !now.contains(meter))
            .cloned()
            .collect()
    }

    fn version_of(&self, page: u16) -> u64 {
        self.versions.get(&page).copied().unwrap_or(0)
    }

    /// How many numbers its feeders have.
    pub(crate) fn numbers(&self) -> usize {
        let numbers = self.feeders.values();
        numbers.map(|members| members.next_number() as usize).sum()
    }

    /// Takes what a page changes, durably; the feeders that have new meters.
    pub(crate) fn take(
        &mut self,
        change: Change,
        ledger: &mut Ledger,
    ) -> Result<Vec<FeederId>, LedgerError> {
        if change.is_known() && change.version <= self.version_of(change.page) {
            return Ok(Vec::new());
        }
        let all = change.new.iter().chain(&change.changed);
        let all = all.map(|(feeder, number, member)| (feeder, *number, member));
        let came = change.new.iter().map(|(.., member)| &member.meter);
        let came: Vec<_> = came.chain(&change.back).cloned().collect();
        ledger.enrol(all, change.version, (change.page, &came, &change.left))?;
        self.versions.insert(change.page, change.version);
        let present = self.present.entry(change.page).or_default();
        present.retain(|meter| !change.left.contains(meter));
        present.extend(came);
        for (feeder, number, member) in change.changed {
            if let Some(members) = self.feeders.get_mut(&feeder) {
                members.change(number, member.capacity, member.billing);
            }
        }
        let mut feeders: Vec<_> = change
            .new
            .iter()
            .map(|(feeder, ..)| feeder.clone())
            .collect();
        feeders.sort_unstable();
        feeders.dedup();
        for (feeder, number, member) in change.new {
            self.insert(feeder, number, member);
        }
        Ok(feeders)
    }

    fn insert(&mut self, feeder: FeederId, number: u32, member: Member) {
        let place = (feeder.clone(), number);
        self.places.insert(member.meter.clone(), place);
        let members = self.feeders.entry(feeder).or_default();
        members.insert(number, member);
    }
}

fn member(entry: &RosterEntry) -> Member {
    Member {
        meter: entry.meter.clone(),
        capacity: entry.capacity,
        key: entry.key,
        mask_key: entry.mask_key,
        billing: entry.billing,
        gateway: entry.gateway.clone(),
    }
}

/// What a meter keeps for good.
fn keys(member: &Member) -> (&MeterId, [&[u8; 32]; 2]) {
    let keys = [member.key.as_bytes(), member.mask_key.as_bytes()];
    (&member.meter, keys)
}

#[cfg(test)]
mod tests;
