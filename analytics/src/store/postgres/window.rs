//! Who is in the window that was looked at last: reports that come again come one after the other.

use std::collections::{BTreeMap, HashMap};

use wire::{FeederId, MeterId, Part, WindowStart};

use super::blocks::{Contributors, Seat};
use super::fault::corrupt;
use super::{PostgresStore, read};
use crate::store::fit::nobody;
use crate::store::{MemberRow, Short, StoreError};

/// A window as it was read. Nothing changes it before the next commit.
#[derive(Debug)]
pub(super) struct Looked {
    feeder: FeederId,
    window: WindowStart,
    pub(super) contributors: Contributors,
    /// Of all meters of the feeder that have one, if there are members.
    pub(super) seats: HashMap<MeterId, Seat>,
}

impl Looked {
    /// The members of its sums.
    pub(super) fn members(&self) -> Result<Vec<MemberRow>, String> {
        let names: BTreeMap<_, _> = self
            .seats
            .iter()
            .map(|(meter, seat)| (*seat, meter))
            .collect();
        let parts = self.contributors.members.iter();
        let members = parts.flat_map(|(part, members)| members.iter().map(move |it| (*part, it)));
        let row = |(part, (seat, digest)): (Part, (&Seat, &Short))| {
            let meter = names.get(seat).map(|name| (*name).clone());
            Ok(MemberRow {
                part,
                meter: meter.ok_or_else(|| nobody(&self.feeder, seat))?,
                digest: *digest,
            })
        };
        members.map(row).collect()
    }
}

impl PostgresStore {
    /// A window, read if it is not the one that was read last.
    pub(super) fn look_at(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
    ) -> Result<&Looked, StoreError> {
        let is_it = |looked: &Looked| (&looked.feeder, looked.window) == (feeder, window);
        let looked = match self.looked.take().filter(is_it) {
            Some(looked) => looked,
            None => self.read_window(feeder, window)?,
        };
        Ok(self.looked.insert(looked))
    }

    fn read_window(
        &mut self,
        feeder: &FeederId,
        window: WindowStart,
    ) -> Result<Looked, StoreError> {
        let place = self.place();
        let damaged = |problem| corrupt(&place, problem);
        let mut contributors = Contributors::default();
        let key = (feeder.as_str(), window.0.cast_signed());
        for row in self.rows(read::CONTRIBUTORS, &[&key.0, &key.1])? {
            let block = row.try_get(0).map_err(|error| damaged(error.to_string()))?;
            contributors.read(block).map_err(damaged)?;
        }
        let mut seats = HashMap::new();
        if !contributors.members.is_empty() {
            for row in self.rows(read::SEATS, &[&key.0])? {
                let (meter, seat) = read::seat(&row).map_err(damaged)?;
                seats.insert(meter, seat);
            }
        }
        Ok(Looked {
            feeder: feeder.clone(),
            window,
            contributors,
            seats,
        })
    }
}
