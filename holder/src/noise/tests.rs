use privacy::Guarantee;
use wire::{AnswerBody, Ask, FeederId, NoiseTerms, PrivacyUnit, Step};

use super::*;
use crate::answers::Outgoing;
use crate::setup::noise_terms;
use crate::testing::{FEEDERS, LENGTH, WINDOW, World};

const METERS: u32 = 8;

/// A scale of 100 quanta of Laplace noise: readings up to 49 Wh, ε 1.
fn noise(change: impl FnOnce(&mut NoiseTerms)) -> Option<NoiseTerms> {
    let guarantee = Guarantee {
        unit: PrivacyUnit::Interval,
        epsilon: 1.0.try_into().unwrap(),
        delta: None,
    };
    let mut noise = NoiseTerms {
        clip_w: 49,
        ..noise_terms(&guarantee, &service::Settings::defaults().publish)
    };
    change(&mut noise);
    Some(noise)
}

fn refusal(world: &World, answers: &[Outgoing], holder: usize) -> Option<Reason> {
    let opened = answers
        .iter()
        .filter(|(topic, _)| topic.ends_with("answer"))
        .map(|answer| world.opened(answer, holder).body);
    opened.into_iter().find_map(|body| match body {
        AnswerBody::Refused(reason) => Some(reason),
        AnswerBody::Masks { .. } => None,
    })
}

fn ask_consent(world: &mut World, holder: usize, sum: &Sum) -> Option<Reason> {
    let question = world.ask(Step::Consent, sum);
    let answers = world.holders[holder].answer(&question).unwrap();
    refusal(world, &answers, holder)
}

/// The noise in the energies of a sum that a holder put under each of its streams, in quanta, and its masks of clamped readings.
fn shares(world: &mut World, sum: &Sum, holder: usize) -> Vec<(usize, Vec<i64>, Vec<u64>)> {
    let consents = world.consents(sum, &[0, 1, 2]);
    let question = Ask {
        consents,
        ..world.ask_for_streams(Step::Payload, sum, holder)
    };
    let answers = world.holders[holder].answer(&question).unwrap();
    let held = world.holders[holder].held.clone().unwrap();
    let encoding = held.encoding(held.plan.feeder(&sum.feeder, sum.window).unwrap());
    let shares = answers.iter().map(|answer| {
        let AnswerBody::Masks { streams, words } = world.opened(answer, holder).body else {
            panic!("refused")
        };
        let stream = streams.trailing_zeros() as usize;
        let masks = world.masks_of(sum, stream);
        let presence = encoding.shape.presence();
        assert_eq!(words[presence.clone()], masks[presence], "counts are exact");
        let quanta = encoding.shape.values().map(|k| {
            let added = RING.centre((masks[k] + RING.modulus - words[k]) % RING.modulus);
            let unit = 1 << encoding.quantum_bits();
            assert_eq!(added % unit, 0, "whole quanta");
            added / unit
        });
        (
            stream,
            quanta.collect(),
            words[encoding.shape.clamped()].to_vec(),
        )
    });
    shares.collect()
}

#[test]
fn every_holder_of_a_stream_gives_the_same_share_over_restarts_too_and_each_stream_has_its_own() {
    let mut world = World::noisy((2, 3, 4), METERS, noise(|_| {}));
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2, 3]);
    let mut known: Vec<Option<Vec<i64>>> = vec![None; 4];
    for holder in 0..4 {
        for (stream, quanta, clamped) in shares(&mut world, &sum, holder) {
            assert!(clamped.iter().all(|word| *word == 0), "their masks stay on");
            let before = known[stream].get_or_insert_with(|| quanta.clone());
            assert_eq!(*before, quanta, "holder {holder}, stream {stream}");
        }
        let before = shares(&mut world, &sum, holder);
        world.restart(holder);
        assert_eq!(shares(&mut world, &sum, holder), before);
    }
    for (stream, quanta) in known.iter().enumerate() {
        assert!(quanta.iter().flatten().any(|quanta| *quanta != 0));
        assert!(!known[..stream].contains(quanta), "stream {stream}");
    }
    // Another window, and the rest of the area, have noise of their own.
    let next = world.sum(FEEDERS[0], 1, &[0, 1, 2, 3]);
    let rest = world.rest(2, [&[4, 5], &[0]]);
    for other in [next, rest] {
        for (stream, quanta, _) in shares(&mut world, &other, 0) {
            assert_ne!(known[stream], Some(quanta));
        }
    }
}

/// No holder knows the noise: it lacks a stream, whose share is as good as any.
#[test]
fn whoever_lacks_a_stream_cannot_say_its_share() {
    let mut world = World::noisy((2, 3, 4), METERS, noise(|_| {}));
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2, 3]);
    for holder in 0..4 {
        let own = shares(&mut world, &sum, holder);
        assert_eq!(own.len(), 3);
        let lacks: Vec<_> = (0..4)
            .filter(|stream| own.iter().all(|(known, ..)| known != stream))
            .collect();
        let absent = world.terms.streams[lacks[0]].absent;
        assert!(lacks.len() == 1 && absent.contains(holder));
        let question = Ask {
            groups: vec![wire::Group {
                holder: holder as u8,
                streams: 1 << lacks[0],
            }],
            consents: world.consents(&sum, &[0, 1, 2]),
            ..world.ask(Step::Payload, &sum)
        };
        let answers = world.holders[holder].answer(&question).unwrap();
        assert_eq!(
            refusal(&world, &answers, holder),
            Some(Reason::UnknownTerms)
        );
    }
}

#[test]
fn the_masks_of_zero_checks_and_of_feeders_that_are_not_named_have_no_noise() {
    let named: FeederId = FEEDERS[1].parse().unwrap();
    let mut world = World::noisy(
        (2, 3, 4),
        METERS,
        noise(|noise| noise.feeders = vec![named]),
    );
    let exact = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    let consents = world.consents(&exact, &[0, 1, 2]);
    let question = Ask {
        consents,
        ..world.ask_for_streams(Step::Payload, &exact, 0)
    };
    let answers = world.holders[0].answer(&question).unwrap();
    for answer in &answers {
        let AnswerBody::Masks { streams, words } = world.opened(answer, 0).body else {
            panic!("refused")
        };
        let masks = world.masks_of(&exact, streams.trailing_zeros() as usize);
        assert_eq!(words, masks[..words.len()]);
    }
    let noisy = world.sum(FEEDERS[1], 0, &[0, 1, 2]);
    let question = world.ask_for_streams(Step::Checks, &noisy, 0);
    let answers = world.holders[0].answer(&question).unwrap();
    for answer in &answers {
        let AnswerBody::Masks { streams, words } = world.opened(answer, 0).body else {
            panic!("refused")
        };
        let masks = world.masks_of(&noisy, streams.trailing_zeros() as usize);
        assert_eq!(words, masks[masks.len() - words.len()..]);
    }
    assert!(
        shares(&mut world, &noisy, 0)
            .iter()
            .any(|(_, quanta, _)| quanta.iter().any(|quanta| *quanta != 0))
    );
}

/// ε 1 an interval, four of them in a window: 12 let three windows pass, and each of four holders two thirds of 18 do.
#[test]
fn what_a_feeder_gives_away_is_spent_with_the_consent_once_a_window_and_refused_when_it_is_gone() {
    let budget = |noise: &mut NoiseTerms| {
        noise.budget_millionths = 18_000_000;
        noise.period_s = 35 * LENGTH;
        assert_eq!(
            WINDOW % noise.period_s,
            0,
            "the tests' first window begins one"
        );
    };
    let mut world = World::noisy((2, 3, 4), METERS, noise(budget));
    let sum = |world: &World, index| world.sum(FEEDERS[0], index, &[0, 1, 2]);
    for index in [0, 1, 2] {
        let sum = sum(&world, index);
        assert_eq!(ask_consent(&mut world, 0, &sum), None);
        // The same again, and another part of the window, give nothing more away of a household.
        assert_eq!(ask_consent(&mut world, 0, &sum), None);
        let part = Sum {
            replaces: Some(wire::Part(0)),
            part: wire::Part(1),
            ..world.sum(FEEDERS[0], index, &[3, 4, 5])
        };
        assert_eq!(ask_consent(&mut world, 0, &part), None);
        world.restart(0);
        let left = world.holders[0].budgets.least();
        let expected = 1.0 - (index + 1) as f64 / 3.0;
        assert!(
            (left - expected).abs() < 1e-4,
            "what a restart says: {left}"
        );
    }
    let gone = sum(&world, 3);
    let rest = world.rest(3, [&[6], &[0, 1]]);
    for sum in [&gone, &rest] {
        assert_eq!(ask_consent(&mut world, 0, sum), Some(Reason::BudgetSpent));
    }
    // Another feeder, another holder and another period have their own.
    let other = world.sum(FEEDERS[1], 3, &[0, 1, 2]);
    assert_eq!(ask_consent(&mut world, 0, &other), None);
    assert_eq!(ask_consent(&mut world, 1, &gone), None);
    let next = sum(&world, 35);
    assert_eq!(ask_consent(&mut world, 0, &next), None);
    assert_eq!(ask_consent(&mut world, 0, &gone), Some(Reason::BudgetSpent));
}

/// Twelve of ε are three windows of a feeder, and a period is 35 windows.
#[test]
fn what_is_left_is_that_of_consents_alone_and_of_periods_that_have_not_ended() {
    let budget = |noise: &mut NoiseTerms| {
        (noise.budget_millionths, noise.period_s) = (18_000_000, 35 * LENGTH);
    };
    let mut world = World::noisy((2, 3, 4), METERS, noise(budget));
    let is_left = |world: &World, expected: f64| {
        let left = world.holders[0].budgets.least();
        assert!((left - expected).abs() < 1e-4, "{left}, not {expected}");
    };
    for index in 0..3 {
        let sum = world.sum(FEEDERS[1], index, &[0, 1, 2]);
        assert_eq!(ask_consent(&mut world, 0, &sum), None);
    }
    is_left(&world, 0.0);
    // The other feeder's part of a sum that is refused is not given away.
    let gone = world.rest(3, [&[6], &[0, 1]]);
    assert_eq!(ask_consent(&mut world, 0, &gone), Some(Reason::BudgetSpent));
    assert_eq!(world.holders[0].budgets.len(), 1);
    // The feeder has no sum any more, and another one has one of the next period.
    let next = world.sum(FEEDERS[0], 35, &[0, 1, 2]);
    assert_eq!(ask_consent(&mut world, 0, &next), None);
    is_left(&world, 2.0 / 3.0);
    world.restart(0);
    is_left(&world, 2.0 / 3.0);
}

#[test]
fn what_noise_leaves_nothing_to_read_of_is_refused() {
    let mut world = World::noisy((2, 3, 4), METERS, noise(|noise| noise.clip_w = 0));
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    assert_eq!(ask_consent(&mut world, 0, &sum), None);
    // The profile adds 32,767 references, and 40 scales of ε 0.001 are more.
    let mut world = World::noisy(
        (2, 3, 4),
        METERS,
        noise(|noise| (noise.clip_w, noise.epsilon_millionths) = (0, 1_000)),
    );
    assert_eq!(
        ask_consent(&mut world, 0, &sum),
        Some(Reason::BeyondProfile)
    );
    let day = |noise: &mut NoiseTerms| noise.unit = PrivacyUnit::HouseholdDay;
    let mut world = World::noisy((2, 3, 4), METERS, noise(day));
    assert_eq!(ask_consent(&mut world, 0, &sum), Some(Reason::MinMeters));
}

#[test]
fn quanta_wrap_around_as_the_coefficients_do() {
    let modulus = RING.modulus;
    assert_eq!(less(5, 3, 0), 2);
    assert_eq!(less(5, 3, 4), modulus - 43);
    assert_eq!(less(modulus - 1, -1, 0), 0);
    for most in [i64::MIN, i64::MAX] {
        assert!(less(0, most, 20) < modulus);
    }
}
