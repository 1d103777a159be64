//! What is not replayed is forgotten as it is read, and nothing that is said of the file differs for it.

use super::*;
use crate::{Gaps, Label, Unit};

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 86_400;
/// 1 January 2024.
const START: u64 = 1_704_067_200;

/// What is done to a row of a file of hours.
#[derive(Debug, Clone, Copy)]
enum Change {
    Drop,
    Repeat,
    Contradict,
    Empty,
    Later,
}

/// A file of two customers.
fn file(hours: u64, interval_s: u64, changes: &[(u64, Change)], newest_first: bool) -> String {
    let mut rows = Vec::new();
    for hour in 0..hours {
        let value = |customer: u64| (hour * (5 + customer)) % 61;
        let row =
            |at: u64, value: u64| format!("{},{value},{}\n", START + at * interval_s, value + 1);
        let change = changes.iter().find(|(place, _)| *place == hour);
        match change.map(|(_, change)| change) {
            Some(Change::Drop) => {}
            Some(Change::Repeat) => rows.extend([row(hour, value(0)), row(hour, value(0))]),
            Some(Change::Contradict) => rows.extend([row(hour, 1), row(hour, 2)]),
            Some(Change::Empty) => rows.push(format!("{},,\n", START + hour * interval_s)),
            // In the place of another row, and after it.
            Some(Change::Later) => rows.extend([row(hour + 1, value(1)), row(hour, value(0))]),
            None => rows.push(row(hour, value(0))),
        }
    }
    if newest_first {
        rows.reverse();
    }
    format!("time,a,b\n{}", rows.concat())
}

/// All that is known of a file, or why it is refused; none where it has to be read again.
fn known(text: &str, options: &ReplayOptions, forget: bool) -> Option<String> {
    let read = Replay::of(text.as_bytes(), Path::new("test.csv"), options, forget);
    match read {
        Err(error) => Some(said(error)),
        Ok(None) => None,
        Ok(Some(mut replay)) => {
            let Some(until) = replay.range().1 else {
                return Some(String::new());
            };
            let interval_s = u64::from(replay.interval_s());
            let times = (replay.range().0.0..until.0).step_by(interval_s as usize);
            let readings: Vec<_> = times.map(|start| at(&mut replay, start)).collect();
            Some(format!(
                "{:?} {:?} {:?} {:?} {readings:?}",
                replay.account(),
                replay.meters(),
                replay.doubts(),
                replay.found()
            ))
        }
    }
}

fn options(days: std::ops::Range<u64>, unit: Unit, label: Label) -> ReplayOptions {
    ReplayOptions {
        unit: Some(unit),
        label: Some(label),
        gaps: Gaps::Missing,
        keep: Some((START + days.start * DAY_S, START + days.end * DAY_S)),
        ..ReplayOptions::default()
    }
}

proptest! {
    #[test]
    fn a_file_of_which_days_are_replayed_is_known_as_well_as_one_that_is_all_in_memory(
        changes in prop::collection::vec(
            (0u64..900, prop::sample::select(vec![
                Change::Drop, Change::Repeat, Change::Contradict, Change::Empty, Change::Later,
            ])),
            0..3,
        ),
        interval_s in prop::sample::select(vec![HOUR_S, 900]),
        day in 0u64..40,
        unit in prop::sample::select(vec![Unit::KWh, Unit::W]),
        label in prop::sample::select(vec![Label::Start, Label::End]),
        newest_first: bool,
    ) {
        let text = file(900, interval_s, &changes, newest_first);
        let options = options(day..day + 2, unit, label);
        if let Some(forgotten) = known(&text, &options, true) {
            prop_assert_eq!(Some(forgotten), known(&text, &options, false));
        }
    }
}

#[test]
fn a_row_that_may_repeat_a_forgotten_one_has_the_file_read_again() {
    let options = options(30..32, Unit::KWh, Label::Start);
    let again = |changes| known(&file(900, HOUR_S, changes, false), &options, true).is_none();
    assert!(!again(&[]));
    assert!(!again(&[(100, Change::Drop), (200, Change::Empty)]));
    // Each run after the one that goes back overlaps what was read.
    let text = file(900, HOUR_S, &[], false) + &format!("{START},0,1\n");
    assert_eq!(known(&text, &options, true), None);
    assert!(known(&text, &options, false).is_some());
    let registers = ReplayOptions {
        values: Some(Values::Register),
        ..options
    };
    assert!(known(&file(60, HOUR_S, &[], false), &registers, true).is_some());
}
