use wire::{AnswerBody, Reason};

use super::*;
use crate::testing::World;

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
