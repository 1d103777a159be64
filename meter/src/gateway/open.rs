//! What a gateway begins with.

use std::collections::BTreeMap;
use std::path::Path;

use service::config::Settings;
use wire::{FeederId, MeterId};

use super::Gateway;
use crate::MeterError;
use crate::file_mark::FileMark;
use crate::fleet::Fleet;
use crate::journal::Held;
use crate::notices::Notice;
use crate::outbox::Limits;
use crate::pacing;

impl Gateway {
    /// Says whether a replayed file has changed since the last run, and remembers it for the next.
    pub(super) fn look_at_file(&mut self, folder: &Path) {
        let Some(path) = &self.settings.meter.replay else {
            return;
        };
        if let Some(said) = FileMark::change(path, folder) {
            tracing::warn!("{said}");
            self.notices.say(Notice::File, Some(said));
        }
        if let Err(error) = FileMark::remember(path, folder) {
            tracing::debug!(%error, "the replayed file is not remembered");
        }
    }
}

/// How much may wait in the outbox.
pub(super) fn limits(settings: &Settings, meters: usize) -> Result<Limits, MeterError> {
    let capacity = settings.meter.outbox_max_reports;
    if capacity < meters {
        return Err(MeterError::Outbox { capacity, meters });
    }
    Ok(Limits {
        capacity,
        meters,
        pace: pacing::Limits::of(&settings.meter),
    })
}

pub(super) fn feeders(fleet: &Fleet) -> BTreeMap<FeederId, usize> {
    let members = fleet.members.iter().take(fleet.meters()).enumerate();
    members
        .map(|(meter, member)| (member.feeder.clone(), meter))
        .collect()
}

/// The meters, each with its feeder, that an earlier process left something of.
pub(super) fn places(held: &Held) -> Vec<(FeederId, MeterId)> {
    let batches = held.batches.iter().map(|(place, _)| place);
    let sealed = held.sealed.iter().map(|(place, ..)| place);
    let kept = held.kept.iter().map(|(place, _)| place);
    let waiting = batches
        .chain(sealed)
        .chain(kept)
        .map(|place| (place.feeder.clone(), place.meter.clone()));
    let filling = held
        .fleet
        .iter()
        .filter(|_| !held.filling.is_empty())
        .cloned();
    waiting.chain(filling).collect()
}
