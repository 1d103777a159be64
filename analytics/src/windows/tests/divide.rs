//! A part that the operator could not open, and the parts that replace it.

use wire::{ContributorSet, Part, Reason, WindowStart};

use super::{
    FoldResult, HOUR, Held, IDLE_MS, MemoryStore, Stage, Store as _, close_on, fold_on, key,
    windows,
};
use crate::store::Scope;
use crate::windows::{Division, Windows};

/// The three meters of part 1 and the four of part 2, into which the first seven of window 0 are divided.
fn groups() -> ([u32; 3], [u32; 4]) {
    let set = ContributorSet::from_numbers(1..=7).unwrap();
    let groups = set.partition(3, WindowStart(0));
    let [first, second] = [0, 1].map(|group: usize| groups[group].iter().collect::<Vec<_>>());
    (first.try_into().unwrap(), second.try_into().unwrap())
}

fn total(meters: &[u32]) -> u64 {
    meters.iter().map(|meter| u64::from(*meter)).sum()
}

fn commit(store: &mut MemoryStore, windows: &mut Windows) {
    store.commit(&windows.transaction()).unwrap();
    windows.committed();
}

/// Windows whose part 0, of meters 1 to 7, was released and did not open.
fn divided(store: &mut MemoryStore) -> Windows {
    let mut windows = windows();
    for meter in 1..=7 {
        fold_on(store, &mut windows, meter, 0, 0).unwrap();
    }
    close_on(store, &mut windows, 7, 0);
    commit(store, &mut windows);
    assert_eq!(divide(store, &mut windows, 0), Division::Done);
    commit(store, &mut windows);
    windows
}

/// Divides a part of window 0, all of whose meters are in the roster.
fn divide(store: &mut MemoryStore, windows: &mut Windows, part: u16) -> Division {
    windows.divide(&key(0, part), &|_| true, 0, store).unwrap()
}

/// The windows as another process finds them.
fn restarted(store: &mut MemoryStore) -> Windows {
    let mut windows = windows();
    windows.restore(Scope::All, store).unwrap();
    windows
}

#[test]
fn its_reports_come_again_into_disjoint_parts_that_are_due_once_complete() {
    let mut store = MemoryStore::default();
    for restart in [false, true] {
        let store = &mut store;
        let mut windows = divided(store);
        if restart {
            windows = restarted(store);
        }
        let (first, second) = groups();
        let some = first.map(|meter| (meter, 1)).into_iter();
        for (meter, part) in some.chain([(second[0], 2), (second[3], 2), (second[1], 2)]) {
            let again = fold_on(store, &mut windows, meter, 0, 1);
            assert_eq!(again, Ok(FoldResult::Folded(Part(part))), "meter {meter}");
            let twice = fold_on(store, &mut windows, meter, 0, 1);
            assert_eq!(twice, Ok(FoldResult::Duplicate(Part(part))));
        }
        let (closed, held) = close_on(store, &mut windows, 7, 1);
        assert_eq!(
            (closed, held),
            (vec![(key(0, 1), 3, total(&first))], vec![])
        );
        assert_eq!(windows.divisions(), [(key(0, 0), true)]);
        if restart {
            commit(store, &mut windows);
            windows = restarted(store);
        }
        fold_on(store, &mut windows, second[2], 0, 1).unwrap();
        let (closed, _) = close_on(store, &mut windows, 7, 1);
        assert_eq!(closed, [(key(0, 2), 4, total(&second))]);
        // Nothing is awaited any more, which is said once.
        assert_eq!(windows.divisions(), [(key(0, 0), false)]);
        assert_eq!(windows.divisions(), []);
        *store = MemoryStore::default();
    }
}

#[test]
fn one_that_does_not_come_again_in_time_is_left_out_for_good() {
    let store = &mut MemoryStore::default();
    let mut windows = divided(store);
    let (first, second) = groups();
    for meter in first.iter().chain(&second[..3]) {
        fold_on(store, &mut windows, *meter, 0, 1).unwrap();
    }
    assert_eq!(close_on(store, &mut windows, 7, 1).0.len(), 1);
    let (closed, _) = close_on(store, &mut windows, 7, 1 + IDLE_MS);
    assert_eq!(closed, [(key(0, 2), 3, total(&second[..3]))]);
    let late = fold_on(store, &mut windows, second[3], 0, 2 + IDLE_MS);
    assert_eq!(late, Ok(FoldResult::Duplicate(Part(0))));
    assert_eq!(
        windows.end_of(&key(0, 0), store).unwrap(),
        Some(Stage::Divided)
    );
    // What is left of the divided part does not trouble a restart.
    commit(store, &mut windows);
    let windows = restarted(store);
    assert_eq!(
        windows.end_of(&key(0, 0), store).unwrap(),
        Some(Stage::Divided)
    );
}

#[test]
fn a_report_that_does_not_come_again_costs_no_other() {
    let store = &mut MemoryStore::default();
    let mut windows = windows();
    for meter in 1..=10 {
        fold_on(store, &mut windows, meter, 0, 0).unwrap();
    }
    close_on(store, &mut windows, 10, 0);
    commit(store, &mut windows);
    assert_eq!(divide(store, &mut windows, 0), Division::Done);
    let set = ContributorSet::from_numbers(1..=10).unwrap();
    let groups = set.partition(3, WindowStart(0));
    for meter in groups.iter().flat_map(|group| group.iter().skip(1)) {
        fold_on(store, &mut windows, meter, 0, 1).unwrap();
    }
    assert_eq!(close_on(store, &mut windows, 10, 1), (vec![], vec![]));
    let (closed, held) = close_on(store, &mut windows, 10, 1 + IDLE_MS);
    let contributors = closed.iter().map(|(_, contributors, _)| contributors);
    assert_eq!(contributors.sum::<u32>() as usize, 10 - groups.len());
    assert_eq!((closed.len(), held), (groups.len(), vec![]));
}

#[test]
fn a_part_with_too_few_of_them_is_held_and_takes_those_that_come_later() {
    let store = &mut MemoryStore::default();
    let mut windows = divided(store);
    let (first, _) = groups();
    fold_on(store, &mut windows, first[0], 0, 1).unwrap();
    let (_, held) = close_on(store, &mut windows, 7, 1 + IDLE_MS);
    let expected =
        [(key(0, 1), 1), (key(0, 2), 0)].map(|(key, contributors)| Held { key, contributors });
    assert_eq!(held, expected);
    for meter in &first[1..] {
        fold_on(store, &mut windows, *meter, 0, 1 + IDLE_MS).unwrap();
    }
    let (closed, _) = close_on(store, &mut windows, 7, 1 + IDLE_MS);
    assert_eq!(closed, [(key(0, 1), 3, total(&first))]);
}

#[test]
fn nobody_else_comes_into_them() {
    let store = &mut MemoryStore::default();
    let mut windows = divided(store);
    let supplement = fold_on(store, &mut windows, 8, 0, 1);
    assert_eq!(supplement, Ok(FoldResult::Folded(Part(3))));
    fold_on(store, &mut windows, 4, 0, 1).unwrap();
    assert_eq!(fold_on(store, &mut windows, 9, 0, 1), supplement);
    // And a ciphertext that was not in the divided part is a conflict as ever.
    let (report, limbs) = (super::report(5, 0), super::limbs(9));
    let other = super::contribution(&report, &limbs, super::digest(9));
    let refused = windows.fold(&other, 1, store).unwrap();
    assert_eq!(refused, FoldResult::Refused(Reason::Conflict));
}

#[test]
fn a_part_is_divided_once_and_one_of_the_minimum_is_not() {
    let store = &mut MemoryStore::default();
    let mut windows = divided(store);
    let again = divide(store, &mut windows, 0);
    assert_eq!(again, Division::Impossible, "it is divided");
    for meter in groups().0 {
        fold_on(store, &mut windows, meter, 0, 1).unwrap();
    }
    for meter in 1..=3 {
        fold_on(store, &mut windows, meter, HOUR, 1).unwrap();
    }
    let (closed, _) = close_on(store, &mut windows, 3, 1);
    assert_eq!(closed.len(), 2);
    for (key, _, _) in closed {
        let division = windows.divide(&key, &|_| false, 0, store).unwrap();
        assert_eq!(division, Division::Impossible, "{key:?}");
        assert!(windows.settled(&key, Stage::Refused));
    }
}

#[test]
fn what_is_too_small_for_two_parts_is_replaced_by_itself() {
    let store = &mut MemoryStore::default();
    let mut windows = windows();
    for meter in 1..=5 {
        fold_on(store, &mut windows, meter, 0, 0).unwrap();
    }
    close_on(store, &mut windows, 5, 0);
    assert_eq!(divide(store, &mut windows, 0), Division::Done);
    for meter in 1..=5 {
        fold_on(store, &mut windows, meter, 0, 1).unwrap();
    }
    let (closed, _) = close_on(store, &mut windows, 5, 1);
    assert_eq!(closed, [(key(0, 1), 5, total(&[1, 2, 3, 4, 5]))]);
}

/// Of the second part somebody is named: the part is made of the others, also by a process that was started in between.
#[test]
fn a_part_is_made_again_without_whoever_has_left_the_roster() {
    let (_, second) = groups();
    let rest = &second[1..];
    for restart in [false, true] {
        let store = &mut MemoryStore::default();
        let mut windows = divided(store);
        for meter in second {
            fold_on(store, &mut windows, meter, 0, 1).unwrap();
        }
        assert_eq!(close_on(store, &mut windows, 7, 1).0.len(), 1);
        if restart {
            commit(store, &mut windows);
            windows = restarted(store);
        }
        assert_eq!(divide(store, &mut windows, 2), Division::TooEarly);
        let enrolled = |number| number != second[0];
        let division = windows.divide(&key(0, 2), &enrolled, 1, store).unwrap();
        assert_eq!(division, Division::Done);
        if restart {
            commit(store, &mut windows);
            windows = restarted(store);
        }
        assert!(windows.divisions().contains(&(key(0, 2), true)));
        for meter in rest {
            let again = fold_on(store, &mut windows, *meter, 0, 2);
            assert_eq!(again, Ok(FoldResult::Folded(Part(3))));
        }
        let (due, _) = super::due(&mut windows, 9, 7, 2, store).unwrap();
        let [due] = &due[..] else { panic!("{due:?}") };
        let numbers: Vec<u32> = due.members.set.iter().collect();
        assert_eq!(numbers, rest);
        assert_eq!(due.replaces, Some(Part(0)), "what the operator knows of");
    }
}
