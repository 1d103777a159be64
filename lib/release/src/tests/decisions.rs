//! What the rules say, and why.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::{Answer, Decision, Dominance, Kind, Level, Rules, Withheld};

type Numbers = BTreeSet<u32>;

fn set(numbers: Range<u32>) -> Numbers {
    numbers.collect()
}

fn of_feeder(set: &Numbers) -> Answer<'_, Numbers> {
    Answer {
        level: Level::Feeder,
        kind: Kind(0),
        set,
    }
}

fn of_area(set: &Numbers) -> Answer<'_, Numbers> {
    Answer {
        level: Level::Area,
        ..of_feeder(set)
    }
}

fn judge(asked: &Answer<'_, Numbers>, opened: &[Answer<'_, Numbers>]) -> Decision {
    Rules::new(15).judge(asked, false, opened, |_| 1)
}

fn withheld(reason: Withheld) -> Decision {
    Decision::Withhold(reason)
}

#[test]
fn a_group_below_the_minimum_is_withheld() {
    let (few, enough) = (set(0..14), set(0..15));
    let too_few = withheld(Withheld::TooFew {
        found: 14,
        least: 15,
    });
    assert_eq!(judge(&of_feeder(&few), &[]), too_few);
    assert_eq!(judge(&of_feeder(&enough), &[]), Decision::Release);
    let nobody = withheld(Withheld::TooFew { found: 0, least: 1 });
    assert_eq!(Rules::new(0).size(0, false), nobody);
}

#[test]
fn parts_of_a_feeder_have_no_meter_in_common() {
    let first = set(0..40);
    for (numbers, expected) in [
        (39..60, withheld(Withheld::Overlaps)),
        (0..20, withheld(Withheld::Overlaps)),
        (0..80, withheld(Withheld::Overlaps)),
        (0..40, withheld(Withheld::Known)),
        (40..60, Decision::Release),
    ] {
        let second = set(numbers);
        assert_eq!(judge(&of_feeder(&second), &[of_feeder(&first)]), expected);
    }
}

/// Two feeders are released, the third has eight meters and is withheld: the total of all three would give it.
#[test]
fn an_area_is_withheld_if_it_would_give_a_feeder_that_is_too_small() {
    let feeders = [set(0..20), set(20..40)];
    let released = [of_feeder(&feeders[0]), of_feeder(&feeders[1])];
    let difference = withheld(Withheld::Difference { rest: 8, least: 15 });
    let area = set(0..48);
    assert_eq!(judge(&of_area(&area), &released), difference);
    assert_eq!(judge(&of_area(&area), &released[..1]), Decision::Release);
    // And the other way round.
    let opened = [of_area(&area), released[0]];
    assert_eq!(judge(&released[1], &opened), difference);
    let area = set(0..55);
    assert_eq!(judge(&of_area(&area), &released), Decision::Release);
}

#[test]
fn what_the_answers_give_already_is_not_opened_again() {
    let (one, other, both) = (set(0..20), set(20..40), set(0..40));
    let known = withheld(Withheld::Known);
    let released = [of_feeder(&one), of_feeder(&other)];
    assert_eq!(judge(&of_area(&both), &released), known);
    let opened = [of_feeder(&one), of_area(&both)];
    assert_eq!(judge(&of_feeder(&other), &opened), known);
    // Another kind of answer is another number.
    let histogram = Answer {
        kind: Kind(1),
        ..of_feeder(&one)
    };
    assert_eq!(judge(&histogram, &released), Decision::Release);
}

#[test]
fn late_reports_are_in_no_sum_unless_they_are_many() {
    let rules = |supplement_min_meters| Rules {
        supplement_min_meters,
        ..Rules::new(15)
    };
    let late = |least| withheld(Withheld::Late { least });
    assert_eq!(rules(0).size(1_000, true), late(0));
    assert_eq!(rules(150).size(149, true), late(150));
    assert_eq!(rules(150).size(150, true), Decision::Release);
    assert_eq!(rules(0).size(15, false), Decision::Release);
}

#[test]
fn the_15_15_rule_withholds_what_one_large_customer_dominates() {
    let rules = Rules {
        dominance: Dominance {
            largest: 1,
            share: 0.15,
        },
        ..Rules::new(15)
    };
    let judge = |numbers, capacity_of: fn(u32) -> u64| {
        rules.judge(&of_feeder(&set(numbers)), false, &[], capacity_of)
    };
    assert_eq!(judge(0..15, |_| 10_000), Decision::Release);
    let large = |number| if number == 0 { 50_000 } else { 10_000 };
    assert_eq!(judge(0..20, large), withheld(Withheld::Dominated));
    assert_eq!(judge(0..30, large), Decision::Release);
    // What is left of an area is a group, too.
    let (one, area) = (set(20..60), set(0..60));
    let opened = [of_feeder(&one)];
    let judged = rules.judge(&of_area(&area), false, &opened, large);
    assert_eq!(judged, withheld(Withheld::Dominated));
}

#[test]
fn an_interval_is_shown_if_nobody_or_enough_had_a_reading_in_each_rest() {
    let rules = Rules::new(15);
    assert!(rules.shows(&[0]) && rules.shows(&[15, 0]) && rules.shows(&[]));
    assert!(!rules.shows(&[1]) && !rules.shows(&[14]) && !rules.shows(&[20, 3]));
}

#[test]
fn a_reason_is_a_sentence() {
    let reason = Rules::new(15).size(20, true).released().unwrap_err();
    assert_eq!(
        reason.to_string(),
        "its reports came late, and late reports are in no sum"
    );
}
