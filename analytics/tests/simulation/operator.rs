//! The operator: durably takes the first release of each sum, if it is the sum of the reports it names, and alarms on a
//! different second one. It says of some that they do not open.

use std::collections::{BTreeMap, BTreeSet};

use analytics::store::SumKey;
use bytes::Bytes;
use packed::RING;
use wire::{ContributorSet, Digest, Opened, Reason, Sum, SumReceipt, SumStatus, Unverified};

use crate::world::{
    HANDED_OVER, HOUR, MIN_METERS, START, Seal, Stage, WORLD, feeder, salt, sealed_with, service,
    service_of, slot_of, sum_of, words,
};

/// What the model says of a release that is not the sum of the reports it names: a real one would not open.
pub(crate) const LEDGER: &str = "is not the sum of the reports that it names";

#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) sum: Sum,
    pub(crate) words: Vec<u64>,
    digest: Digest,
    payload: Bytes,
}

/// A release that did not open.
#[derive(Debug)]
pub(crate) struct Failed {
    digest: Digest,
    pub(crate) seals: Vec<Seal>,
    answer: SumStatus,
}

impl Failed {
    /// Whether nothing replaces it.
    pub(crate) fn is_for_good(&self) -> bool {
        self.answer != SumStatus::Divide
    }
}

/// What an operator does with a release that is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes it.
    Well,
    /// It asks to try again.
    Busy,
    /// It says that it does not open.
    Fails,
}

#[derive(Debug, Default)]
pub(crate) struct Operator {
    pub(crate) taken: BTreeMap<SumKey, Taken>,
    pub(crate) failed: BTreeMap<SumKey, Failed>,
    pub(crate) repeats: u64,
    /// The windows of the feeder that was handed over, by number, that the new owner released too.
    pub(crate) collected: BTreeSet<u64>,
}

impl Operator {
    /// Takes a release; the answer is on its way, unless it is of a service that does not add for the feeder.
    pub(crate) fn take(
        &mut self,
        topic: &str,
        payload: &Bytes,
        stage: Stage,
        mood: Mood,
    ) -> Result<Option<SumReceipt>, String> {
        let sum: Unverified<Sum> = wire::decode_shared(payload, payload.len()).unwrap();
        let sender = service_of(&sum.claimed().analytics);
        let handed_over = sum.claimed().feeder == feeder(HANDED_OVER);
        if !stage.counts(usize::from(handed_over), sender) {
            return Ok(None);
        }
        let mut opened: Opened<Sum> = sum
            .verify(
                &WORLD.settings.deployment.id,
                topic,
                &WORLD.analytics[sender].verifying_key(),
            )
            .map_err(|error| error.to_string())?;
        if stage == Stage::Pool {
            opened.message.analytics = service(0);
        }
        self.answer(opened, payload, mood).map(Some)
    }

    /// What becomes of a release of the feeder's service.
    fn answer(
        &mut self,
        opened: Opened<Sum>,
        payload: &Bytes,
        mood: Mood,
    ) -> Result<SumReceipt, String> {
        let (sum, digest) = (opened.message, opened.digest);
        let key = SumKey {
            feeder: sum.feeder.clone(),
            window: sum.window,
            part: sum.part,
        };
        if sum.contributors() < MIN_METERS {
            return Err(format!("{key:?} has only {}", sum.contributors()));
        }
        let seals = named(&sum)?;
        let words = packed::unpack(&RING, words(), &opened.limbs);
        let words = words.map_err(|error| error.to_string())?;
        if words != sum_of(&seals) {
            return Err(format!("{key:?} {LEDGER}: {seals:?}"));
        }
        let epoch = sum.epoch;
        let receipt_of = key.clone();
        let receipt = |status| SumReceipt {
            feeder: receipt_of.feeder,
            epoch,
            window: receipt_of.window,
            part: receipt_of.part,
            digest,
            status,
        };
        let same = self.taken.get(&key);
        let elsewhere = self
            .of_window(&sum)
            .any(|taken| taken.sum.analytics != sum.analytics);
        if elsewhere && same.is_none_or(|first| first.digest != digest) {
            self.collected.insert((sum.window.0 - START) / HOUR);
            return Ok(receipt(SumStatus::Rejected(Reason::BatchCollected)));
        }
        if let Some(first) = same {
            if first.digest != digest || (!elsewhere && first.payload != *payload) {
                return Err(format!("a second, different release of {key:?}"));
            }
            self.repeats += 1;
            return Ok(receipt(SumStatus::Duplicate));
        }
        if let Some(failed) = self.failed.get(&key) {
            return match failed.digest == digest {
                true => Ok(receipt(failed.answer)),
                false => Err(format!(
                    "a second, different release of {key:?}, which failed"
                )),
            };
        }
        self.check_partition(&sum)?;
        Ok(receipt(match mood {
            Mood::Busy => SumStatus::Rejected(Reason::NotReady),
            Mood::Fails => {
                let answer = match sum.replaces {
                    None => SumStatus::Divide,
                    Some(_) => SumStatus::Rejected(Reason::NotOpened),
                };
                let failed = Failed {
                    digest,
                    seals,
                    answer,
                };
                self.failed.insert(key, failed);
                answer
            }
            Mood::Well => {
                let taken = Taken {
                    sum,
                    words,
                    digest,
                    payload: payload.clone(),
                };
                self.taken.insert(key, taken);
                SumStatus::Taken
            }
        }))
    }

    fn of_window<'a>(&'a self, sum: &'a Sum) -> impl Iterator<Item = &'a Taken> {
        let same =
            |taken: &&Taken| (&taken.sum.feeder, taken.sum.window) == (&sum.feeder, sum.window);
        self.taken.values().filter(same)
    }

    /// What replaces a part is made of that part's contributors, and nobody is in two.
    fn check_partition(&self, sum: &Sum) -> Result<(), String> {
        if let Some(other) = self
            .of_window(sum)
            .find(|taken| taken.sum.set.intersects(&sum.set))
        {
            return Err(format!(
                "{sum:?} and {:?} have a meter in common",
                other.sum
            ));
        }
        let Some(replaced) = sum.replaces else {
            return Ok(());
        };
        let replaced = SumKey {
            feeder: sum.feeder.clone(),
            window: sum.window,
            part: replaced,
        };
        let failed = self.failed.get(&replaced);
        let failed = failed.filter(|failed| failed.answer == SumStatus::Divide);
        let failed = failed.ok_or_else(|| format!("{sum:?} replaces a part that opened"))?;
        let numbers = failed.seals.iter().map(|(slot, _, _)| slot.meter as u32);
        match sum
            .set
            .is_subset(&ContributorSet::from_numbers(numbers).unwrap())
        {
            true => Ok(()),
            false => Err(format!("{sum:?} has others than the part it replaces")),
        }
    }
}

/// The reports that a release names, by number and salt.
fn named(sum: &Sum) -> Result<Vec<Seal>, String> {
    let seals = sum.set.iter().zip(&sum.salts).map(|(number, named)| {
        let seal = sealed_with(*named);
        let name = format!(
            "meter-{}-{number}",
            sum.feeder.as_str().trim_start_matches("feeder-")
        );
        let slot = slot_of(&name.parse().unwrap(), sum.window);
        match seal.0 == slot && salt(seal) == *named {
            true => Ok(seal),
            false => Err(format!("{slot:?} has the salt of {seal:?}")),
        }
    });
    seals.collect()
}
