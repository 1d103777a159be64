//! Any questions to holders of whom one fewer than the threshold sign and answer anything.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use wire::{AnswerBody, Ask, Consent, Step, Sum};

use super::super::*;
use crate::testing::{FEEDERS, World};

const MIN_METERS: usize = 3;

/// Meters on each feeder.
const METERS: u32 = 10;

/// A sum to ask for: of one feeder or of both, in one of two windows, of the meters that the bits say.
#[derive(Clone, Debug)]
struct Wanted {
    feeders: u8,
    window: u64,
    meters: [u16; 2],
    is_part: bool,
}

/// A question to the holders that the bits say, and who is killed before it.
#[derive(Clone, Debug)]
struct Question {
    sum: Index,
    step: Step,
    to: u8,
    killed: Option<Index>,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let meters = prop::array::uniform2(1_u16..1 << METERS);
    (0_u8..3, 0_u64..2, meters, any::<bool>()).prop_map(|(feeders, window, meters, is_part)| {
        Wanted {
            feeders,
            window,
            meters,
            is_part,
        }
    })
}

fn question() -> impl Strategy<Value = Question> {
    let steps = [
        Step::Checks,
        Step::Consent,
        Step::Consent,
        Step::Payload,
        Step::Payload,
    ];
    let killed = prop::option::weighted(0.1, any::<Index>());
    (
        any::<Index>(),
        prop::sample::select(steps.to_vec()),
        any::<u8>(),
        killed,
    )
        .prop_map(|(sum, step, to, killed)| Question {
            sum,
            step,
            to,
            killed,
        })
}

impl Wanted {
    fn sum(&self, world: &World) -> Sum {
        let numbers = self.meters.map(|bits| -> Vec<u32> {
            (0..METERS)
                .filter(|number| bits >> number & 1 == 1)
                .collect()
        });
        let mut sum = match self.feeders {
            2 => return world.rest(self.window, [&numbers[0], &numbers[1]]),
            feeder => world.sum(
                FEEDERS[usize::from(feeder)],
                self.window,
                &numbers[usize::from(feeder)],
            ),
        };
        if self.is_part {
            (sum.part, sum.replaces) = (wire::Part(1), Some(wire::Part(0)));
        }
        sum
    }
}

/// The meters of a sum, each with its feeder and the window.
fn meters(sum: &Sum) -> BTreeSet<(String, u32, u64)> {
    let of = |share: wire::ShareRef<'_>| {
        let feeder = share.feeder.to_string();
        let numbers: Vec<_> = share.set.iter().collect();
        numbers
            .into_iter()
            .map(move |number| (feeder.clone(), number, sum.window.0))
    };
    sum.shares().flat_map(of).collect()
}

/// An operator that hands on every consent that it ever got, and holders of whom the first so many belong to it. Gives the sums whose
/// payload an honest holder gave masks of.
struct Played {
    world: World,
    dishonest: usize,
    consents: BTreeMap<Digest, BTreeMap<usize, Bytes>>,
    given: BTreeMap<Digest, Sum>,
}

impl Played {
    fn new(numbers: (u8, u8, usize)) -> Self {
        Self {
            world: World::new(numbers, METERS),
            dishonest: usize::from(numbers.0) - 1,
            consents: BTreeMap::new(),
            given: BTreeMap::new(),
        }
    }

    fn honest(&self) -> Range<usize> {
        self.dishonest..self.world.holders.len()
    }

    fn ask(&mut self, sum: &Sum, step: Step, holder: usize) {
        let ask = match step {
            Step::Consent => self.world.ask(step, sum),
            _ => self.world.ask_for_streams(step, sum, holder),
        };
        let subject = ask.subject();
        self.sign_anything(&ask);
        let consents = self.consents.entry(subject).or_default();
        let ask = Ask {
            consents: match step {
                Step::Payload => consents.values().cloned().collect(),
                _ => Vec::new(),
            },
            ..ask
        };
        for answer in self.world.holders[holder].answer(&ask).unwrap() {
            if let Ok(consent) = wire::decode_shared::<Consent>(&answer.1, 1 << 10) {
                consents.insert(holder, consent.signed_part());
                continue;
            }
            let body = self.world.opened(&answer, holder).body;
            if matches!(body, AnswerBody::Masks { .. }) && step == Step::Payload {
                self.given.insert(subject, sum.clone());
            }
        }
    }

    fn sign_anything(&mut self, ask: &Ask) {
        for (holder, answers) in self.world.holders[..self.dishonest].iter().enumerate() {
            let Ok(Ok(Some(asked))) = answers.asked(ask) else {
                continue;
            };
            let topic = answers.topics.of(&Topic::Consent {
                holder: answers.id.clone(),
            });
            let (_, bytes) = answers.signed(&asked.consent(&answers.id), topic);
            let signed = wire::decode_shared::<Consent>(&bytes, 1 << 10).unwrap();
            let consents = self.consents.entry(ask.subject()).or_default();
            consents.insert(holder, signed.signed_part());
        }
    }

    /// Two sums of which honest holders gave masks, with a meter of one window in common.
    fn overlapping(&self) -> Option<(&Sum, &Sum)> {
        let given: Vec<&Sum> = self.given.values().collect();
        let mut pairs = given
            .iter()
            .enumerate()
            .flat_map(|(at, first)| given[at + 1..].iter().map(move |second| (*first, *second)));
        pairs.find(|(first, second)| !meters(first).is_disjoint(&meters(second)))
    }
}

fn check(
    numbers: (u8, u8, usize),
    wanted: &[Wanted],
    questions: &[Question],
) -> Result<usize, TestCaseError> {
    let mut played = Played::new(numbers);
    let sums: Vec<Sum> = wanted
        .iter()
        .map(|wanted| wanted.sum(&played.world))
        .collect();
    for question in questions {
        if let Some(killed) = question.killed {
            played.world.restart(killed.index(numbers.2));
        }
        let to = played
            .honest()
            .filter(|holder| question.to >> holder & 1 == 1);
        for holder in to.collect::<Vec<_>>() {
            played.ask(question.sum.get(&sums), question.step, holder);
        }
    }
    prop_assert_eq!(played.overlapping(), None);
    for sum in played.given.values() {
        prop_assert!(meters(sum).len() >= MIN_METERS);
    }
    Ok(played.given.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Disjoint sets of at least the minimum: every combination of them is about at least so many.
    #[test]
    fn whatever_is_asked_no_meter_is_in_two_sums_whose_masks_honest_holders_gave(
        numbers in prop::sample::select(&[(2, 3, 3), (2, 3, 4), (3, 4, 5)][..]),
        wanted in prop::collection::vec(wanted(), 1..6),
        questions in prop::collection::vec(question(), 1..40),
    ) {
        check(numbers, &wanted, &questions)?;
    }
}

/// The same questions in each: with the consents that are safe one of two sums gets its masks, with one fewer both do.
#[test]
fn a_weak_choice_opens_two_sums_with_a_meter_in_common_and_a_safe_one_does_not() {
    for (numbers, both) in [
        ((2, 2, 4), true),
        ((2, 3, 4), false),
        ((3, 3, 5), true),
        ((3, 4, 5), false),
    ] {
        let mut played = Played::new(numbers);
        let first = played.world.sum(FEEDERS[0], 0, &[0, 1, 2, 3]);
        let second = played.world.sum(FEEDERS[0], 0, &[0, 1, 2]);
        let honest: Vec<_> = played.honest().collect();
        let (one, other) = honest.split_at(honest.len() / 2);
        for step in [Step::Consent, Step::Payload] {
            for (sum, holders) in [(&first, one), (&second, other)] {
                for holder in holders {
                    played.ask(sum, step, *holder);
                }
            }
        }
        assert_eq!(played.overlapping().is_some(), both, "{numbers:?}");
    }
}
