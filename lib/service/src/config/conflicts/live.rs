//! Settings of live readings that do not fit the source, or each other.

use super::{Conflict, pair};
use crate::config::{Settings, SourceKind};

/// What a live source needs or would not use.
pub(super) fn find(settings: &Settings, given: impl Fn(&str) -> bool) -> Vec<Option<Conflict>> {
    let mut found = needed(settings, &given);
    found.extend(unused(settings, &given));
    found
}

fn needed(settings: &Settings, given: impl Fn(&str) -> bool) -> Vec<Option<Conflict>> {
    let meter = &settings.meter;
    let live = meter.source.is_live();
    let subscribed = meter.source == SourceKind::Mqtt;
    vec![
        pair(
            live && meter.meters_file.is_none(),
            "meter.source",
            "meter.meters_file",
            "live readings need to know their meters: name a CSV file with the columns id, feeder and capacity_w",
        ),
        pair(
            meter.source != SourceKind::Lines && given("meter.lines"),
            "meter.lines",
            "meter.source",
            "nobody would read them: set meter.source = \"lines\", or leave it out",
        ),
        pair(
            subscribed && meter.feed.address.is_empty(),
            "meter.source",
            "meter.feed.address",
            "readings come from a broker: give its address, such as 127.0.0.1:1884",
        ),
        pair(
            subscribed && meter.feed.mappings.is_empty(),
            "meter.source",
            "meter.feed.mappings",
            "say what its messages mean, such as meter.feed.mappings = [\"tasmota-sml\"]; docs/live.md has all",
        ),
        pair(
            live && meter.live_grace < meter.live_tolerance,
            "meter.live_grace",
            "meter.live_tolerance",
            "reads that are near enough would come too late: expected no less than `meter.live_tolerance`",
        ),
    ]
}

/// Settings that another source than theirs would not use.
fn unused(settings: &Settings, given: impl Fn(&str) -> bool) -> Vec<Option<Conflict>> {
    let live = settings.meter.source.is_live();
    let subscribed = settings.meter.source == SourceKind::Mqtt;
    let only = |keys: &[&'static str], with: bool, mend: &'static str| -> Vec<Option<Conflict>> {
        let conflict = |key: &&'static str| pair(!with && given(key), key, "meter.source", mend);
        keys.iter().map(conflict).collect()
    };
    let mut found = only(
        &[
            "meter.meters_file",
            "meter.live_grace",
            "meter.live_tolerance",
            "meter.live_ahead",
        ],
        live,
        "it is about live readings: set meter.source = \"lines\" or \"mqtt\", or leave it out",
    );
    found.extend(only(
        &[
            "meter.feed.address",
            "meter.feed.user",
            "meter.feed.password_file",
            "meter.feed.ca_file",
            "meter.feed.certificate_file",
            "meter.feed.key_file",
            "meter.feed.server_name",
            "meter.feed.mappings",
        ],
        subscribed,
        "nobody would subscribe there: set meter.source = \"mqtt\", or leave it out",
    ));
    found.extend(only(
        &[
            "meter.feeders",
            "meter.speed",
            "meter.start",
            "meter.duration",
        ],
        !live,
        "live readings have the clock's time and the feeders of meter.meters_file: leave it out",
    ));
    found
}
