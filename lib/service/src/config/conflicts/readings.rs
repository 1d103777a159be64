//! Settings of where readings come from.

use super::{Conflict, pair};
use crate::config::{Settings, SourceKind};

/// About simulated meters.
const SIMULATION: [&str; 5] = [
    "meter.meters",
    "meter.seed",
    "meter.mix.household",
    "meter.mix.business",
    "meter.mix.solar",
];

/// About how a file is read.
const FILE: [&str; 15] = [
    "meter.replay_start",
    "meter.form",
    "meter.unit",
    "meter.values",
    "meter.label",
    "meter.gaps",
    "meter.missing",
    "meter.columns.meter",
    "meter.columns.time",
    "meter.columns.value",
    "meter.columns.skip",
    "meter.columns.keep",
    "meter.separator",
    "meter.decimal",
    "meter.date_order",
];

/// Settings that the configured source of readings needs or would not use.
pub(super) fn find(settings: &Settings, given: impl Fn(&str) -> bool) -> Vec<Option<Conflict>> {
    let meter = &settings.meter;
    let replayed = meter.source == SourceKind::Replay;
    let simulated = meter.source == SourceKind::Simulated;
    let mut found = vec![
        pair(
            replayed && meter.replay.is_none(),
            "meter.source",
            "meter.replay",
            "a replay needs the name of a file in `meter.replay`",
        ),
        pair(
            !replayed && meter.replay.is_some(),
            "meter.replay",
            "meter.source",
            "the file would not be read: set meter.source = \"replay\", or leave meter.replay empty",
        ),
        pair(
            simulated && meter.feeders > meter.meters,
            "meter.feeders",
            "meter.meters",
            "some feeders would have no meter: expected no more than `meter.meters`",
        ),
        pair(
            simulated && meter.outbox_max_reports < meter.meters as usize,
            "meter.outbox_max_reports",
            "meter.meters",
            "the outbox must take a report of every meter: expected no less than `meter.meters`",
        ),
    ];
    found.extend(SIMULATION.map(|key| {
        pair(
            !simulated && given(key),
            key,
            "meter.source",
            "it is about simulated meters, and this source has those of its file: leave it out",
        )
    }));
    found.extend(FILE.map(|key| {
        pair(
            !replayed && given(key),
            key,
            "meter.source",
            "it says how a replayed file is read: set meter.source = \"replay\", or leave it out",
        )
    }));
    found
}
