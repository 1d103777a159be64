//! What is logged of a sum that was not taken, and of the search for who spoiled it.

use service::telemetry::{Line, LogLimits};
use wire::{FeederId, MeterId, Part, Reason, Sum, WindowStart};

use crate::search::searched::Searched;

pub(super) fn searched(searched: &Searched) {
    let Searched {
        feeder,
        window_start,
        part,
        reports,
        missing,
        openings,
        is_cut_short,
        ..
    } = searched;
    let (window, part) = (window_start.0, part.0);
    if !searched.culprits.is_empty() {
        tracing::error!(
            %feeder, window, part, reports, missing, openings, is_cut_short, meters = named(&searched.culprits),
            "these meters spoil sums: they signed reports that nobody can seal by the rules. They are out of service until a \
             person decides; find out what they, or their gateways, are. `totals.refused.jsonl` names them too"
        );
    }
    for gateway in &searched.gateways {
        tracing::error!(
            %feeder, window, part, %gateway,
            "several meters behind this gateway spoil sums, and its others were not looked at: find out what it is"
        );
    }
    if !searched.together.is_empty() {
        tracing::error!(
            %feeder, window, part, reports, missing, openings, is_cut_short, meters = named(&searched.together),
            "several of these meters spoil sums together, each by too little to be told apart"
        );
    }
    if !searched.silent.is_empty() {
        tracing::warn!(
            %feeder, window, part, meters = named(&searched.silent),
            "these meters, or their gateways, did not send their reports again: one of them may spoil sums, and their readings of this \
             window are in no total"
        );
    }
    if searched.sum_differs {
        tracing::error!(
            %feeder, window, part, reports,
            "analytics released another sum than that of the reports it named: it, or its store, spoils sums"
        );
    } else if *is_cut_short {
        tracing::error!(
            %feeder, window, part,
            "a search ended early: it found as many meters as it may of the refusals that are left. The next sum of these meters \
             that does not open is searched again"
        );
    } else if searched.culprits.is_empty() && searched.together.is_empty() {
        tracing::warn!(
            %feeder, window, part, reports, missing, openings,
            "no report that came spoils the zero checks: the meter did not send it again, or spoils readings alone, and then \
             the part that does not open has it"
        );
    }
}

/// Meters that are named in the log; the record beside the totals names all of them.
const NAMED: usize = 100;

pub(super) fn named(meters: &[MeterId]) -> String {
    let named = meters.iter().take(NAMED).map(MeterId::as_str);
    named.collect::<Vec<_>>().join(" ")
}

pub(super) fn burnt(sum: &Sum, meters: &[MeterId]) {
    tracing::error!(
        feeder = %sum.feeder, window = sum.window.0, part = sum.part.0, replaces = ?sum.replaces.map(|part| part.0),
        contributors = meters.len(), meters = named(meters),
        "a sum did not open, which is final: the readings of these meters in this window are lost, and one of them, its \
         gateway or analytics spoils sums. `totals.refused.jsonl` names all of them"
    );
}

/// Says that a sum was not taken, if it is worth a line.
pub(super) fn rejected(feeder: &FeederId, window: Option<(WindowStart, Part)>, reason: Reason) {
    static LINES: LogLimits = LogLimits::new();
    let Some(Line { count, unlogged }) = LINES.line(reason) else {
        return;
    };
    let (start, part) = window.unzip();
    match reason {
        Reason::Conflict | Reason::AlreadyOpened => tracing::error!(
            %feeder, window = ?start, ?part, %reason, count, unlogged,
            "ALARM: a second, different sum for meters and a window that were in one already: the difference could \
             single meters out. It was not decrypted. Find out why analytics released twice"
        ),
        Reason::KeySpent => tracing::error!(
            %feeder, window = ?start, ?part, %reason, count, unlogged,
            "ALARM: as many sums of this key epoch did not open as operator.max_refusals allows, or as many of this feeder as it may \
             have of them, and more such answers could give the key away: this sum waits until that is raised. Find out who spoils \
             sums first; `operator rotate` gives later windows a new key"
        ),
        _ => {
            tracing::warn!(%feeder, window = ?start, ?part, %reason, count, unlogged, "a sum was rejected");
        }
    }
}
