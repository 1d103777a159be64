//! Small worlds. An adversary asks for any sets of their meters in any order, keeps every answer, and wins if some combination of
//! its answers is about a group that the rules forbid.

use std::collections::{BTreeSet, HashSet};

use super::adversary::Knowledge;
use crate::{Answer, Decision, Dominance, Kind, Level, Rule, Rules};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Request {
    area: bool,
    kind: u8,
    /// The meters, as bits.
    set: u32,
    /// Whether meter 0's report is the second that it sealed, with another reading.
    resealed: bool,
    late: bool,
}

struct World {
    rules: Rules,
    /// Feeders, as bits of their meters.
    feeders: Vec<u32>,
    kinds: u8,
    /// Declared capacities; of as many meters is the world.
    capacities: Vec<u64>,
    /// The meters that had a reading.
    present: u32,
    /// Meters whose readings the adversary knows, and which report late on purpose.
    colluders: u32,
    /// Meters that come late, among them the colluders.
    late: u32,
    can_reseal: bool,
}

impl World {
    fn of(meters: usize, rules: Rules) -> Self {
        let all = (1 << meters) - 1;
        let half = (1 << (meters / 2)) - 1;
        Self {
            rules,
            feeders: vec![half, all & !half],
            kinds: 1,
            capacities: vec![1; meters],
            present: all,
            colluders: 0,
            late: 0,
            can_reseal: false,
        }
    }

    fn requests(&self) -> Vec<Request> {
        let mut requests = Vec::new();
        for set in 1..1_u32 << self.capacities.len() {
            let in_feeder = self.feeders.iter().any(|feeder| set & !feeder == 0);
            let punctual = set & self.late == 0;
            if !punctual && set & !self.late != 0 {
                continue;
            }
            for kind in 0..self.kinds {
                for resealed in [false, true] {
                    for area in [false, true] {
                        if resealed && !(self.can_reseal && set & 1 == 1) || !area && !in_feeder {
                            continue;
                        }
                        requests.push(Request {
                            area,
                            kind,
                            set,
                            resealed,
                            late: !punctual,
                        });
                    }
                }
            }
        }
        requests
    }

    fn allows(&self, asked: &Request, given: &BTreeSet<Request>) -> bool {
        let sets: Vec<BTreeSet<u32>> = given.iter().map(|given| members(given.set)).collect();
        let opened = given.iter().zip(&sets);
        let opened: Vec<_> = opened.map(|(given, set)| answer(given, set)).collect();
        let capacity_of = |meter: u32| self.capacities[meter as usize];
        let set = members(asked.set);
        let decision = self
            .rules
            .judge(&answer(asked, &set), asked.late, &opened, capacity_of);
        decision == Decision::Release && self.shows(asked, given)
    }

    /// Whether the interval may be shown, as whoever opened the sum decides by the number of readings in it.
    fn shows(&self, asked: &Request, given: &BTreeSet<Request>) -> bool {
        let rest = |whole: &Request, others: &[Request]| {
            let inside = others.iter().filter(|other| other.set & !whole.set == 0);
            let inside = inside.fold(0, |inside, other| inside | other.set);
            (whole.set & self.present & !inside).count_ones()
        };
        let others: Vec<Request> = given.iter().copied().collect();
        let mut rests = vec![rest(asked, &others)];
        for (index, around) in others.iter().enumerate() {
            if asked.set & !around.set == 0 {
                let mut inside = others.clone();
                inside[index] = *asked;
                rests.push(rest(around, &inside));
            }
        }
        self.rules.shows(&rests)
    }

    fn knowledge(&self, given: &BTreeSet<Request>) -> Knowledge {
        let meters = self.capacities.len();
        // For each kind, a number of each meter, and meter 0's second one.
        let width = meters + 1;
        let column = |kind: u8, meter: usize| usize::from(kind) * width + meter;
        let wide = width * usize::from(self.kinds);
        let has = |set: u32, meter: usize| set & self.present & !self.colluders & (1 << meter) != 0;
        let rows = given.iter().map(|given| {
            let mut row = vec![0; wide];
            for meter in (0..meters).filter(|meter| has(given.set, *meter)) {
                let second = meter == 0 && given.resealed;
                row[column(given.kind, if second { meters } else { meter })] = 1;
            }
            row
        });
        let columns = (0..meters).map(|meter| {
            let second = (meter == 0).then_some(meters);
            let own = [meter].into_iter().chain(second);
            let kinds = 0..self.kinds;
            own.flat_map(|own| kinds.clone().map(move |kind| column(kind, own)))
                .collect()
        });
        Knowledge {
            rows: rows.collect(),
            columns: columns.collect(),
        }
    }

    /// Too few meters, or some of them too large a part.
    fn forbids(&self, group: u32) -> bool {
        let Dominance { largest, share } = self.rules.dominance;
        let mut capacities: Vec<u64> = members(group)
            .iter()
            .map(|m| self.capacities[*m as usize])
            .collect();
        capacities.sort_unstable_by(|a, b| b.cmp(a));
        let total: u64 = capacities.iter().sum();
        let most: u64 = capacities.iter().take(largest as usize).sum();
        // Beyond the colluders there must be as many as there were beyond them in a punctual sum.
        let least = if self.colluders == 0 {
            self.rules.min_meters
        } else {
            2
        };
        group.count_ones() < least || most as f64 > share * total as f64
    }

    /// Every set of answers that some sequence of requests gets; the first of them with which a forbidden group is isolated.
    fn broken(&self) -> Option<(BTreeSet<Request>, u32)> {
        let requests = self.requests();
        let mut seen = HashSet::from([BTreeSet::new()]);
        let mut todo = vec![BTreeSet::new()];
        let mut reached = 0_u32;
        while let Some(given) = todo.pop() {
            let asked = requests.iter().filter(|asked| !given.contains(*asked));
            for asked in asked.filter(|asked| self.allows(asked, &given)) {
                let mut more = given.clone();
                more.insert(*asked);
                if !seen.insert(more.clone()) {
                    continue;
                }
                if let Some(group) = self.knowledge(&more).isolates(|group| self.forbids(group)) {
                    return Some((more, group));
                }
                reached += 1;
                todo.push(more);
            }
        }
        assert!(reached > 5, "the world has nothing to find: {reached}");
        None
    }
}

fn members(set: u32) -> BTreeSet<u32> {
    (0..32).filter(|meter| set >> meter & 1 == 1).collect()
}

fn answer<'a>(request: &Request, set: &'a BTreeSet<u32>) -> Answer<'a, BTreeSet<u32>> {
    Answer {
        level: if request.area {
            Level::Area
        } else {
            Level::Feeder
        },
        kind: Kind(request.kind),
        set,
    }
}

/// Worlds that together need every rule.
fn worlds() -> Vec<World> {
    let dominated = Rules {
        dominance: Dominance {
            largest: 1,
            share: 0.5,
        },
        ..Rules::new(2)
    };
    let supplements = Rules {
        supplement_min_meters: 3,
        ..Rules::new(2)
    };
    let mut worlds = vec![
        World::of(6, Rules::new(3)),
        World::of(6, Rules::new(2)),
        World::of(5, Rules::new(2)),
        World {
            can_reseal: true,
            ..World::of(5, Rules::new(2))
        },
        World {
            kinds: 2,
            ..World::of(4, Rules::new(2))
        },
        World {
            capacities: vec![5, 1, 1, 4, 2],
            ..World::of(5, dominated)
        },
        // One feeder; meters 4 and 5 come late, and 5 colludes.
        World {
            feeders: vec![0b11_1111],
            late: 0b11_0000,
            colluders: 0b10_0000,
            ..World::of(6, Rules::new(2))
        },
        // Late sums of at least three, where two others come late.
        World {
            feeders: vec![0b11_1111],
            late: 0b11_1000,
            colluders: 0b10_0000,
            ..World::of(6, supplements)
        },
    ];
    for absent in [0b1, 0b10_0001, 0b10_1001] {
        worlds.push(World {
            present: 0b11_1111 & !absent,
            ..World::of(6, Rules::new(2))
        });
    }
    worlds
}

#[test]
fn no_sequence_of_requests_isolates_a_forbidden_group() {
    for world in worlds() {
        assert_eq!(world.broken(), None);
    }
}

fn broken_without(rule: Rule) -> bool {
    worlds().into_iter().any(|world| {
        let rules = world.rules.without(rule);
        World { rules, ..world }.broken().is_some()
    })
}

#[test]
fn without_the_minimum_group_somebody_is_isolated() {
    assert!(broken_without(Rule::MinimumGroup));
}

#[test]
fn without_the_rule_on_late_reports_colluders_who_wait_isolate_a_late_household() {
    assert!(broken_without(Rule::Late));
}

#[test]
fn without_the_rule_on_second_releases_a_second_report_isolates_its_meter() {
    assert!(broken_without(Rule::NoSecondRelease));
}

#[test]
fn without_disjoint_sets_somebody_is_isolated() {
    assert!(broken_without(Rule::Disjoint));
}

#[test]
fn without_the_rule_on_differences_a_withheld_feeder_is_isolated_by_its_area() {
    assert!(broken_without(Rule::Differencing));
}

#[test]
fn without_dominance_a_large_meter_is_most_of_a_sum() {
    assert!(broken_without(Rule::Dominance));
}
