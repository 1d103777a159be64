use wire::CapacityClass;

use super::*;
use crate::testing::{self, entry};

/// Meter, feeder, number, mask key.
type Row = (&'static str, &'static str, u32, u8);

fn page(version: u64, rows: &[Row]) -> RosterPage {
    let rows = rows.iter();
    let entries =
        rows.map(|(meter, feeder, number, key)| entry(meter, feeder, *number, [*key; 32]));
    testing::page(version, entries)
}

fn compare(roster: &OwnRoster, page: &RosterPage) -> Result<Change, Reason> {
    roster.compare(page, page.version)
}

fn numbers(roster: &OwnRoster, feeder: &str) -> Vec<u32> {
    let members = roster.members(&feeder.parse().unwrap());
    let members = members.unwrap();
    (0..members.next_number())
        .filter(|number| members.get(*number).is_some())
        .collect()
}

#[test]
fn a_number_and_its_keys_are_a_meters_for_good_also_after_it_left_and_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let mut roster = OwnRoster::open(&ledger).unwrap();
    let first = page(
        1,
        &[("m-1", "a", 0, 1), ("m-2", "a", 3, 2), ("m-3", "b", 0, 3)],
    );
    let change = compare(&roster, &first).unwrap();
    let grown = roster.take(change, &mut ledger).unwrap();
    assert_eq!(grown, ["a", "b"].map(|feeder| feeder.parse().unwrap()));
    // Who left is known, and has left.
    let change = compare(&roster, &page(2, &[("m-1", "a", 0, 1)])).unwrap();
    assert_eq!(change.moved()[1].len(), 2);
    roster.take(change, &mut ledger).unwrap();
    let again = compare(&roster, &page(3, &[("m-1", "a", 0, 1), ("m-2", "a", 3, 2)]));
    let back: Vec<_> = again.unwrap().moved()[0].to_vec();
    assert_eq!(back, ["m-2".parse().unwrap()]);
    let check = |roster: &OwnRoster| {
        for (what, row) in [
            ("another meter", ("m-4", "a", 3, 4)),
            ("another key", ("m-2", "a", 3, 9)),
            ("another number", ("m-2", "a", 4, 2)),
            ("another feeder", ("m-2", "b", 1, 2)),
        ] {
            let refused = compare(roster, &page(5, &[row])).unwrap_err();
            assert_eq!(refused, Reason::Conflict, "{what}");
        }
        assert_eq!(numbers(roster, "a"), [0, 3]);
        assert_eq!((roster.len(), roster.numbers()), (3, 5));
    };
    check(&roster);
    check(&OwnRoster::open(&ledger).unwrap());
}

#[test]
fn a_capacity_may_change_and_an_older_page_does_not_take_it_back() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let mut roster = OwnRoster::open(&ledger).unwrap();
    let first = page(1, &[("m-1", "a", 0, 1)]);
    let change = compare(&roster, &first).unwrap();
    roster.take(change, &mut ledger).unwrap();
    let mut larger = page(2, &[("m-1", "a", 0, 1)]);
    larger.entries[0].capacity = CapacityClass::MAX;
    let change = compare(&roster, &larger).unwrap();
    assert!(!change.is_known());
    roster.take(change, &mut ledger).unwrap();
    let again = OwnRoster::open(&ledger).unwrap();
    for roster in [&roster, &again] {
        let members = roster.members(&"a".parse().unwrap()).unwrap();
        assert_eq!(members.get(0).unwrap().capacity, CapacityClass::MAX);
        assert_eq!(compare(roster, &first).unwrap_err(), Reason::LowerVersion);
        assert!(compare(roster, &larger).unwrap().is_known());
    }
}

#[test]
fn numbers_that_would_take_all_memory_are_refused() {
    let roster = OwnRoster::default();
    let feeders: [&str; 5] = ["a", "b", "c", "d", "e"];
    let meters: [&str; 5] = ["m-a", "m-b", "m-c", "m-d", "m-e"];
    let rows = |len: usize| -> Vec<Row> {
        let both = meters.iter().zip(&feeders).take(len);
        both.map(|(meter, feeder)| (*meter, *feeder, wire::MAX_METER_NUMBER, 1))
            .collect()
    };
    assert!(compare(&roster, &page(1, &rows(4))).is_ok());
    assert_eq!(
        compare(&roster, &page(1, &rows(5))).unwrap_err(),
        Reason::Overloaded
    );
}

/// Another page may have changed since: its version says nothing of this one.
#[test]
fn each_page_has_a_version_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let mut roster = OwnRoster::open(&ledger).unwrap();
    let mut second = page(9, &[("m-2", "a", 1, 2)]);
    (second.page, second.pages) = (1, 2);
    let change = compare(&roster, &second).unwrap();
    roster.take(change, &mut ledger).unwrap();
    let change = compare(&roster, &page(5, &[("m-1", "a", 0, 1)])).unwrap();
    roster.take(change, &mut ledger).unwrap();
    // The same once more with a later version: what lay between does not count any more.
    let change = compare(&roster, &page(8, &[("m-1", "a", 0, 1)])).unwrap();
    assert!(change.is_known());
    roster.take(change, &mut ledger).unwrap();
    let between = page(7, &[("m-1", "a", 0, 1), ("m-3", "a", 2, 3)]);
    for roster in [&roster, &OwnRoster::open(&ledger).unwrap()] {
        assert_eq!(compare(roster, &between).unwrap_err(), Reason::LowerVersion);
    }
}
