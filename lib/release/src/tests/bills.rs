//! Small worlds of two windows and one tariff band. An adversary asks for any totals of any sets and for any bills, in any order,
//! and chooses who reports which window. It wins if it learns of a group with fewer meters without a bill than the minimum anything
//! that the group's bills do not say.

use std::collections::{BTreeSet, HashSet};

use super::adversary::Knowledge;
use crate::{Answer, Decision, Kind, Level, Rule, Rules, Withheld};

const METERS: usize = 4;

/// What was opened: the totals of each window, and whose bills.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Opened {
    totals: [BTreeSet<u32>; 2],
    bills: u32,
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Total { window: usize, set: u32 },
    Bill(u32),
}

fn members(set: u32) -> BTreeSet<u32> {
    (0..METERS as u32)
        .filter(|meter| set >> meter & 1 == 1)
        .collect()
}

impl Opened {
    fn with(&self, asked: Asked) -> Self {
        let mut more = self.clone();
        match asked {
            Asked::Total { window, set } => drop(more.totals[window].insert(set)),
            Asked::Bill(meter) => more.bills |= 1 << meter,
        }
        more
    }

    /// Whether the rules allow all of the totals and bills beside each other, the last of them being `asked`.
    fn is_allowed(&self, rules: &Rules, before: &Self, asked: Asked) -> bool {
        let billed = members(self.bills);
        (0..2).all(|window| {
            let sets: Vec<_> = self.totals[window].iter().copied().map(members).collect();
            let answers: Vec<_> = sets.iter().map(answer).collect();
            let is_judged = match asked {
                Asked::Total { window: of, set } if of == window => {
                    let earlier: Vec<_> =
                        before.totals[window].iter().copied().map(members).collect();
                    let earlier: Vec<_> = earlier.iter().map(answer).collect();
                    let set = members(set);
                    rules.judge(&answer(&set), false, &earlier, |_| 1) == Decision::Release
                }
                _ => true,
            };
            is_judged && rules.beside_bills(&billed, &answers, |_| 1) == Decision::Release
        })
    }

    /// A row for each answer; of each meter a column for each window. A bill is over the windows that its meter reported.
    fn knowledge(&self, reported: [u32; 2]) -> Knowledge {
        let column = |window: usize, meter: usize| window * METERS + meter;
        let totals =
            (0..2).flat_map(|window| self.totals[window].iter().map(move |set| (window, *set)));
        let totals = totals.map(|(window, set)| {
            let mut row = vec![0; 2 * METERS];
            let meters = (0..METERS).filter(|meter| set >> meter & 1 == 1);
            meters.for_each(|meter| row[column(window, meter)] = 1);
            row
        });
        let bills = (0..METERS)
            .filter(|meter| self.bills >> meter & 1 == 1)
            .map(|meter| {
                let mut row = vec![0; 2 * METERS];
                let windows = (0..2).filter(|window| reported[*window] >> meter & 1 == 1);
                windows.for_each(|window| row[column(window, meter)] = 1);
                row
            });
        Knowledge {
            rows: totals.chain(bills).collect(),
            columns: (0..METERS)
                .map(|meter| vec![column(0, meter), column(1, meter)])
                .collect(),
        }
    }

    /// A group of which more is known than its bills say, and of which fewer than `least` meters have no bill.
    fn broken(&self, reported: [u32; 2], least: u32) -> Option<u32> {
        let knowledge = self.knowledge(reported);
        let groups = 1..1_u32 << METERS;
        let mut small = groups.filter(|group| (group & !self.bills).count_ones() < least);
        small.find(|group| {
            knowledge.rank_within(*group) > (group & self.bills).count_ones() as usize
        })
    }
}

fn answer(set: &BTreeSet<u32>) -> Answer<'_, BTreeSet<u32>> {
    Answer {
        level: Level::Area,
        kind: Kind(0),
        set,
    }
}

/// What some sequence of requests gets, and the group that it singles out.
fn found(rules: &Rules) -> Option<u32> {
    let windows = [0b0111, 0b1111, 0b1100, 0b1001];
    let mut reached = 0_u32;
    for reported in windows
        .into_iter()
        .flat_map(|first| windows.map(|second| [first, second]))
    {
        let totals = (0..2).flat_map(|window| {
            let sets = (1..1_u32 << METERS).filter(move |set| set & !reported[window] == 0);
            sets.map(move |set| Asked::Total { window, set })
        });
        let bills = (0..METERS as u32).map(Asked::Bill);
        let asked: Vec<Asked> = totals.chain(bills).collect();
        let mut seen = HashSet::from([Opened::default()]);
        let mut todo = vec![Opened::default()];
        while let Some(opened) = todo.pop() {
            for asked in &asked {
                let more = opened.with(*asked);
                if more == opened
                    || !more.is_allowed(rules, &opened, *asked)
                    || !seen.insert(more.clone())
                {
                    continue;
                }
                if let Some(group) = more.broken(reported, rules.min_meters) {
                    return Some(group);
                }
                reached += 1;
                todo.push(more);
            }
        }
    }
    assert!(reached > 100, "there is nothing to find: {reached}");
    None
}

#[test]
fn no_sequence_of_totals_and_bills_says_more_of_a_small_group_than_its_bills() {
    assert_eq!(found(&Rules::new(2)), None);
    assert_eq!(found(&Rules::new(3)), None);
}

#[test]
fn without_the_rule_on_bills_a_feeder_minus_all_other_bills_is_the_household_that_has_none() {
    assert!(found(&Rules::new(2).without(Rule::Bills)).is_some());
}

/// So it does not do to allow totals of billed meters alone.
#[test]
fn two_totals_of_billed_meters_alone_single_out_one_window_of_a_bill() {
    let opened = Opened {
        totals: [BTreeSet::from([0b0111]), BTreeSet::from([0b1001])],
        bills: 0b1111,
    };
    // Meter 0 has a bill over two windows, the others over one.
    assert_eq!(opened.broken([0b0111, 0b1001], 2), Some(0b0001));
}

#[test]
fn a_bill_leaves_the_minimum_of_each_total_without_one() {
    let rules = Rules::new(3);
    let total = BTreeSet::from_iter(0..6_u32);
    let beside = |billed: &[u32]| {
        let billed = billed.iter().copied().collect();
        rules.beside_bills(&billed, &[answer(&total)], |_| 1)
    };
    assert_eq!(beside(&[0, 1, 2]), Decision::Release);
    assert_eq!(
        beside(&[0, 1, 2, 3]),
        Decision::Withhold(Withheld::FewUnbilled { found: 2, least: 3 })
    );
    // Whoever is in no total is nobody's remainder.
    assert_eq!(beside(&[7, 8, 9]), Decision::Release);
    let dominated = Rules {
        dominance: crate::Dominance {
            largest: 1,
            share: 0.5,
        },
        ..rules
    };
    let billed = BTreeSet::from([0, 1]);
    let capacity = |meter| if meter == 5 { 10 } else { 1 };
    assert_eq!(
        dominated.beside_bills(&billed, &[answer(&total)], capacity),
        Decision::Withhold(Withheld::Dominated)
    );
}

#[test]
fn a_band_has_no_intervals_or_enough() {
    let rules = Rules {
        bill_min_intervals: 20,
        ..Rules::new(3)
    };
    assert_eq!(rules.bill_bands([0, 20, 700]), Decision::Release);
    assert_eq!(
        rules.bill_bands([0, 700, 19]),
        Decision::Withhold(Withheld::FewIntervals {
            found: 19,
            least: 20
        })
    );
}
