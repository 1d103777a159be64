//! Trees of areas: whatever is asked for, of feeders and of the rests of areas, in whatever order, what is opened is disjoint.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::{Answer, Decision, Kind, Level, Rules};

/// A meter: transformer, feeder under it, number.
type Meter = (usize, usize, u32);
type Meters = BTreeSet<Meter>;

/// A substation: the size of each feeder of each transformer.
type Tree = Vec<Vec<u32>>;

fn feeder(tree: &Tree, transformer: usize, feeder: usize) -> Meters {
    let numbers = 0..tree[transformer][feeder];
    numbers
        .map(|number| (transformer, feeder, number))
        .collect()
}

fn feeders(tree: &Tree) -> Vec<Meters> {
    let of = |transformer: usize| {
        let feeders = 0..tree[transformer].len();
        feeders.map(move |index| feeder(tree, transformer, index))
    };
    (0..tree.len()).flat_map(of).collect()
}

/// What analytics asks for when every feeder is due.
fn honest(tree: &Tree, least: usize) -> Vec<Meters> {
    let (mut asked, small): (Vec<_>, Vec<_>) = feeders(tree)
        .into_iter()
        .partition(|set| set.len() >= least);
    let mut above = Meters::new();
    for transformer in 0..tree.len() {
        let under = small
            .iter()
            .flatten()
            .filter(|meter| meter.0 == transformer);
        let rest: Meters = under.copied().collect();
        match rest.len() >= least {
            true => asked.push(rest),
            false => above.extend(rest),
        }
    }
    asked.extend(Some(above).filter(|rest| rest.len() >= least));
    asked
}

/// What of `asked`, in its order, the rules open.
fn opened(asked: &[Meters], least: u32) -> Vec<Meters> {
    let rules = Rules::new(least);
    let mut opened: Vec<Meters> = Vec::new();
    for set in asked {
        let answer = |set| Answer {
            level: Level::Feeder,
            kind: Kind(0),
            set,
        };
        let before: Vec<_> = opened.iter().map(answer).collect();
        if rules.judge(&answer(set), false, &before, |_| 1) == Decision::Release {
            opened.push(set.clone());
        }
    }
    opened
}

fn trees() -> impl Strategy<Value = Tree> {
    let transformer = proptest::collection::vec(0..9_u32, 1..5);
    proptest::collection::vec(transformer, 1..5)
}

/// Of each meter a random number, by which a dishonest analytics puts it into sums.
fn choices() -> impl Strategy<Value = Vec<Vec<bool>>> {
    let choice = proptest::collection::vec(any::<bool>(), 160);
    proptest::collection::vec(choice, 0..6)
}

proptest! {
    #[test]
    fn what_is_opened_of_a_tree_is_disjoint_and_has_the_minimum_group(
        tree in trees(),
        choices in choices(),
        least in 2..8_u32,
        order in any::<prop::sample::Index>(),
    ) {
        let all: Vec<Meter> = feeders(&tree).into_iter().flatten().collect();
        let chosen = choices.iter().map(|choice| {
            let chosen = all.iter().zip(choice).filter(|(_, is_in)| **is_in);
            chosen.map(|(meter, _)| *meter).collect::<Meters>()
        });
        let mut asked: Vec<Meters> = chosen.collect();
        asked.extend(honest(&tree, least as usize));
        if !asked.is_empty() {
            let first = order.index(asked.len());
            asked.rotate_left(first);
        }
        let opened = opened(&asked, least);
        for (index, set) in opened.iter().enumerate() {
            prop_assert!(set.len() >= least as usize);
            prop_assert!(opened[..index].iter().all(|other| other.is_disjoint(set)));
        }
    }

    /// So the total of an area is a sum of opened ones, and what of it is in none is fewer than the minimum together.
    #[test]
    fn all_that_an_honest_analytics_asks_for_is_opened(tree in trees(), least in 2..8_u32) {
        let asked = honest(&tree, least as usize);
        let opened = opened(&asked, least);
        prop_assert_eq!(&opened, &asked);
        let in_sums: Meters = opened.iter().flatten().copied().collect();
        let all = feeders(&tree).into_iter().flatten();
        let left: Meters = all.filter(|meter| !in_sums.contains(meter)).collect();
        prop_assert!(left.len() < least as usize, "{:?}", left);
        for (transformer, sizes) in tree.iter().enumerate() {
            let under = |set: &Meters| set.iter().all(|meter| meter.0 == transformer);
            let whole: usize = opened.iter().filter(|set| under(set)).map(BTreeSet::len).sum();
            let meters: u32 = sizes.iter().sum();
            prop_assert!(whole <= meters as usize);
        }
    }
}
