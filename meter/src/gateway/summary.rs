//! What a gateway tells: while it runs, and at its end.

use std::collections::BTreeMap;

use wire::{Reason, UnixSeconds, WindowStart};

/// What an observer in the same process may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Every meter is enrolled; readings begin, or go on, at this time.
    Started(UnixSeconds),
    /// The readings of the interval that starts at this time are accepted: the journal has them. The last one of a window is told as [`Event::Window`].
    Interval(UnixSeconds),
    /// A window's readings are in the outbox.
    Window(WindowStart),
    /// So many live readings more are on disk, and wait for their intervals.
    Live(usize),
    /// The source is at its end: nothing more will be read.
    Ended,
}

/// What a gateway did between its start and its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Readings taken: one a meter and interval.
    pub readings: u64,
    /// Readings that entered below zero: more was exported than drawn.
    pub exported: u64,
    /// Readings that were clamped to the declared capacity, or to what noise was agreed for.
    pub clamped: u64,
    /// Intervals without a reading.
    pub missing: u64,
    /// Reports accepted into the outbox.
    pub reports: u64,
    /// Reports an earlier process had accepted and that were taken over from the journal.
    pub resumed: u64,
    /// Reports not made because an earlier run of this gateway had reported the meter's window.
    pub already_reported: u64,
    /// Bytes of the reports sealed, and how many they were.
    pub sealed: (u64, u64),
    /// Reports a receipt called folded.
    pub folded: u64,
    /// Reports a receipt called duplicates: they had been folded before.
    pub duplicates: u64,
    /// Reports sent again because the sums that they were in had failed.
    pub wanted: u64,
    /// Receipts that refused a report, by reason, whether it was lost or sent again.
    pub rejected: BTreeMap<Reason, u64>,
    /// Reports refused for good, or beyond their feeder's reference: their readings are in no sum.
    pub lost: u64,
    /// Reports still without a receipt at the end.
    pub unsettled: u64,
}

impl Summary {
    /// A sentence about the reports whose readings are in no total, if there are any.
    #[must_use]
    pub fn losses(&self) -> Option<String> {
        let all = self.reports + self.resumed;
        let which = match self.lost {
            0 => return None,
            lost if lost == all => "all".to_owned(),
            lost => format!("{lost} of {all}"),
        };
        let reasons = self.rejected.iter();
        let reasons: Vec<String> = reasons
            .map(|(reason, count)| format!("{reason} ({count})"))
            .collect();
        let said = match reasons.is_empty() {
            true => "for reasons given above".to_owned(),
            false => format!("refusals were: {}", reasons.join(", ")),
        };
        Some(format!(
            "{which} reports are in no total, and will not be sent again; {said}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_reports_are_told_with_the_reasons_of_refusals() {
        let mut summary = Summary {
            reports: 48,
            ..Summary::default()
        };
        assert_eq!(summary.losses(), None);
        summary.lost = 48;
        summary.rejected.insert(Reason::Conflict, 48);
        let said = summary.losses().unwrap();
        assert!(said.starts_with("all reports are in no total"), "{said}");
        assert!(said.ends_with("conflict (48)"), "{said}");
        summary.lost = 2;
        assert!(summary.losses().unwrap().starts_with("2 of 48 reports"));
    }
}
