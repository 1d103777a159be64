mod contradicts;
mod quorum;
mod refused;

use wire::{AnswerBody, Reason};

use super::*;
use crate::testing::{FEEDERS, World};

const METERS: u32 = 8;

fn refused(world: &World, answers: &[Outgoing], holder: usize) -> Option<Reason> {
    let [answer] = answers else { return None };
    match wire::decode::<HolderAnswer>(&answer.1, 1 << 15) {
        Err(_) => None,
        Ok(_) => match world.opened(answer, holder).body {
            AnswerBody::Refused(reason) => Some(reason),
            AnswerBody::Masks { .. } => None,
        },
    }
}

fn ask(world: &mut World, holder: usize, ask: &Ask) -> Vec<Outgoing> {
    world.holders[holder].answer(ask).unwrap()
}

fn ask_consent(world: &mut World, holder: usize, sum: &Sum) -> Option<Reason> {
    let question = world.ask(Step::Consent, sum);
    let answers = ask(world, holder, &question);
    refused(world, &answers, holder)
}

#[test]
fn with_enough_consents_each_holder_gives_the_masks_that_meters_added_for_its_streams() {
    let mut world = World::new((2, 3, 4), METERS);
    let sum = world.rest(0, [&[0, 1, 5], &[2, 3]]);
    let consents = world.consents(&sum, &[0, 2, 3]);
    assert_eq!(consents.len(), 3);
    for holder in 0..4 {
        for step in [Step::Checks, Step::Payload] {
            let question = Ask {
                consents: match step {
                    Step::Payload => consents.clone(),
                    _ => Vec::new(),
                },
                ..world.ask_for_streams(step, &sum, holder)
            };
            let answers = ask(&mut world, holder, &question);
            let streams: Vec<_> = world.terms.streams_of(holder).collect();
            assert_eq!(answers.len(), streams.len());
            for (answer, stream) in answers.iter().zip(streams) {
                let AnswerBody::Masks { streams, words } = world.opened(answer, holder).body else {
                    panic!("refused")
                };
                assert_eq!(streams, 1 << stream);
                let all = world.masks_of(&sum, stream);
                let held = world.holders[holder].held.clone().unwrap();
                let checks = held.shape.checks();
                let expected = match step {
                    Step::Checks => &all[checks],
                    _ => &all[..checks.start],
                };
                assert_eq!(words, expected);
                assert!(answer.1.len() < 2_048);
            }
            world.restart(holder);
            assert_eq!(
                ask(&mut world, holder, &question),
                answers,
                "after a restart"
            );
        }
    }
}

#[test]
fn a_payload_takes_consents_of_enough_holders_to_the_same_sum_of_the_same_meters() {
    let mut world = World::new((2, 3, 4), METERS);
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2, 3]);
    let other = world.sum(FEEDERS[0], 1, &[0, 1, 2, 3]);
    let consents = world.consents(&sum, &[0, 1, 2]);
    let others = world.consents(&other, &[0, 1, 2]);
    let question = world.ask_for_streams(Step::Payload, &sum, 3);
    let mut garbled = consents[2].to_vec();
    *garbled.last_mut().unwrap() ^= 1;
    for (what, given) in [
        ("none", vec![]),
        ("too few", consents[..2].to_vec()),
        (
            "one twice",
            vec![
                consents[0].clone(),
                consents[1].clone(),
                consents[1].clone(),
            ],
        ),
        (
            "of another sum",
            vec![consents[0].clone(), consents[1].clone(), others[2].clone()],
        ),
        (
            "forged",
            vec![consents[0].clone(), consents[1].clone(), garbled.into()],
        ),
        (
            "no consent",
            vec![consents[0].clone(), consents[1].clone(), vec![0xf6].into()],
        ),
    ] {
        let question = Ask {
            consents: given,
            ..question.clone()
        };
        let answers = ask(&mut world, 3, &question);
        assert_eq!(
            refused(&world, &answers, 3),
            Some(Reason::NotConsented),
            "{what}"
        );
    }
    // It did not consent to this one before, and does now: another sum of its meters is refused.
    let question = Ask {
        consents,
        ..question
    };
    let answers = ask(&mut world, 3, &question);
    assert_eq!(answers.len(), 3);
    let second = world.sum(FEEDERS[0], 0, &[3, 4, 5]);
    assert_eq!(
        ask_consent(&mut world, 3, &second),
        Some(Reason::ConsentedOtherwise)
    );
}

#[test]
fn a_holder_that_consented_otherwise_gives_no_payload_whatever_the_others_say() {
    let mut world = World::new((2, 3, 4), METERS);
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2, 3]);
    let without = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    assert_eq!(ask_consent(&mut world, 3, &without), None);
    let consents = world.consents(&sum, &[0, 1, 2]);
    let question = Ask {
        consents,
        ..world.ask_for_streams(Step::Payload, &sum, 3)
    };
    world.restart(3);
    let answers = ask(&mut world, 3, &question);
    assert_eq!(
        refused(&world, &answers, 3),
        Some(Reason::ConsentedOtherwise)
    );
}

#[test]
fn checks_are_answered_for_any_sum_of_known_meters_and_write_nothing_down() {
    let mut world = World::new((2, 3, 3), METERS);
    for numbers in [&[0, 1, 2, 3][..], &[0, 1], &[1]] {
        let sum = world.sum(FEEDERS[0], 0, numbers);
        let question = world.ask_for_streams(Step::Checks, &sum, 0);
        let answers = ask(&mut world, 0, &question);
        assert_eq!(answers.len(), 2);
    }
    let sum = world.sum(FEEDERS[0], 0, &[5, 6, 7]);
    assert_eq!(ask_consent(&mut world, 0, &sum), None);
}

#[test]
fn a_sum_of_an_epoch_that_has_left_the_plan_is_answered_over_a_restart_too() {
    let mut world = World::new((2, 3, 3), METERS);
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    let question = world.ask_for_streams(Step::Checks, &sum, 0);
    let before = ask(&mut world, 0, &question);
    world.plan.epochs[0].epoch = KeyEpoch(2);
    world.plan.epochs[0].fingerprint = [8; 32];
    world.plan.epochs[0].first_window.0 = sum.window.0 + 14_400;
    for _ in 0..2 {
        world.restart(0);
        assert_eq!(ask(&mut world, 0, &question), before);
    }
}
