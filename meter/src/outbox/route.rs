//! Which reports go where, and what moves when that changes.

use std::collections::{BTreeMap, HashSet};

use super::Outbox;
use super::lane::{Destination, Key, Lane};

impl Outbox {
    /// Says where the reports of each meter go, by index; `None`: there is none yet.
    pub(crate) fn route(&mut self, destinations: &[Option<Destination>]) {
        let counted = self.limits.meters.min(destinations.len());
        // The lane without a destination is the first in order, too.
        let mut meters = BTreeMap::from([(&None, 0)]);
        for (index, to) in destinations.iter().enumerate() {
            *meters.entry(to).or_default() += usize::from(index < counted);
        }
        let pace = &self.limits.pace;
        let lane = |(to, meters): (&Option<Destination>, usize)| {
            let mut lane = Lane::new(to.clone(), &pace.share_of(meters, counted));
            lane.meters = meters;
            lane
        };
        let lanes: Vec<Lane> = meters.into_iter().map(lane).collect();
        let mut old_lanes = std::mem::replace(&mut self.lanes, lanes);
        // Where each lane is now; `None`: nothing goes to its destination any more.
        let mut stays = vec![None; old_lanes.len()];
        for (new, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(old) = old_lanes.iter().position(|old| old.to == lane.to) {
                let meters = lane.meters;
                std::mem::swap(lane, &mut old_lanes[old]);
                lane.set_limits(&pace.share_of(meters, counted));
                lane.meters = meters;
                stays[old] = Some(new);
            }
        }
        let position = |to: &Option<Destination>| self.lanes.iter().position(|lane| lane.to == *to);
        let routes = destinations.iter().map(|to| position(to).unwrap_or(0));
        let old_routes = std::mem::replace(&mut self.routes, routes.collect());
        let old_lane = |key: &Key| stays[old_routes.get(key.0).copied().unwrap_or(0)];
        let mut moved: Vec<(Key, Option<usize>)> = (self.reports.keys())
            .map(|key| (*key, old_lane(key)))
            .filter(|(key, old)| *old != Some(self.lane_of(*key)))
            .collect();
        moved.sort_unstable_by_key(|((meter, window), _)| (*window, *meter));
        self.move_reports(&moved);
    }

    /// Moves reports from the lanes they were in, if those are still there, to the ones they belong to now.
    fn move_reports(&mut self, moved: &[(Key, Option<usize>)]) {
        let keys: HashSet<Key> = moved.iter().map(|(key, _)| *key).collect();
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            if moved.iter().any(|(_, old)| *old == Some(index)) {
                lane.to_seal.retain(|key| !keys.contains(key));
                lane.ready.retain(|key| !keys.contains(key));
            }
        }
        for (key, old) in moved {
            let new = self.lane_of(*key);
            let Some(report) = self.reports.get_mut(key) else {
                continue;
            };
            let sealing = usize::from(report.sealing);
            let sealed = usize::from(report.sealed.is_some());
            if let Some(old) = old {
                let lane = &mut self.lanes[*old];
                lane.pace.release(key);
                lane.held -= 1;
                lane.sealing -= sealing;
                lane.sealed -= sealed;
            }
            let lane = &mut self.lanes[new];
            lane.held += 1;
            lane.sealing += sealing;
            lane.sealed += sealed;
            if report.sealed.is_some() && report.due_ms.is_none() {
                report.ready = true;
                lane.ready.push_back(*key);
            } else if !report.sealing && report.due_ms.is_none() {
                lane.to_seal.push_back(*key);
            }
        }
    }
}
