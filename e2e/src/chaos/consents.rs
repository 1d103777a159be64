//! What holders of mask keys consented to, as it was on the wire: none may consent to two sums that have a meter in common.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use service::mqtt::Incoming;
use wire::{
    Ask, Consent, ContributorSet, Detached, Digest, FeederId, HolderId, Salt, Sum, WindowStart,
    WireError,
};

/// The meters of one feeder in a sum, with what their masks follow from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Share {
    feeder: FeederId,
    set: ContributorSet,
    salts: Vec<Salt>,
}

/// Questions to the holders, and who consented to what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Consents {
    /// The window and the shares of each sum that holders were asked about, by what answers name it by.
    asked: HashMap<Digest, (WindowStart, Vec<Share>)>,
    given: BTreeMap<HolderId, BTreeSet<Digest>>,
}

/// What they came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Consented {
    /// Sums that holders consented to, over all holders.
    pub(crate) consents: usize,
    /// Pairs of sums with a meter in common that one holder consented to.
    pub(crate) consented_twice: usize,
}

impl Consents {
    pub(crate) fn ask(&mut self, incoming: &Incoming) -> Result<(), WireError> {
        let ask = wire::decode_shared::<Ask>(&incoming.payload, usize::MAX)?;
        let ask = ask.claimed();
        let sum = Detached::<Sum>::decode(&ask.sum)?;
        let sum = sum.claimed();
        let shares = sum.shares().map(|share| Share {
            feeder: share.feeder.clone(),
            set: share.set.clone(),
            salts: share.salts.to_vec(),
        });
        self.asked
            .insert(ask.subject(), (sum.window, shares.collect()));
        Ok(())
    }

    pub(crate) fn consent(&mut self, incoming: &Incoming) -> Result<(), WireError> {
        let consent = wire::decode_shared::<Consent>(&incoming.payload, usize::MAX)?;
        let Consent {
            holder, subject, ..
        } = consent.claimed().clone();
        self.given.entry(holder).or_default().insert(subject);
        Ok(())
    }

    /// What holders consented to, over all of them.
    pub(crate) fn counted(&self) -> Consented {
        let twice = self
            .given
            .values()
            .map(|subjects| self.overlapping(subjects));
        Consented {
            consents: self.given.values().map(BTreeSet::len).sum(),
            consented_twice: twice.sum(),
        }
    }

    fn overlapping(&self, subjects: &BTreeSet<Digest>) -> usize {
        let mut of_window: BTreeMap<(WindowStart, &FeederId), Vec<&Share>> = BTreeMap::new();
        for subject in subjects {
            let Some((window, shares)) = self.asked.get(subject) else {
                continue;
            };
            for share in shares {
                let of = of_window.entry((*window, &share.feeder)).or_default();
                // One sum, signed twice.
                if !of.contains(&share) {
                    of.push(share);
                }
            }
        }
        let pairs = |shares: &Vec<&Share>| {
            let mut pairs = 0;
            for (index, one) in shares.iter().enumerate() {
                let others = shares[index + 1..].iter();
                pairs += others
                    .filter(|other| other.set.intersects(&one.set))
                    .count();
            }
            pairs
        };
        of_window.values().map(pairs).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(numbers: std::ops::Range<u32>, salt: u8) -> Share {
        Share {
            feeder: "feeder-1".parse().unwrap(),
            set: ContributorSet::from_numbers(numbers.clone()).unwrap(),
            salts: numbers.map(|_| Salt([salt; 8])).collect(),
        }
    }

    #[test]
    fn two_sums_with_a_meter_in_common_are_found_and_one_that_was_signed_twice_is_not() {
        let mut consents = Consents::default();
        let sums = [
            (3_600, share(0..4, 1)),
            (3_600, share(4..8, 1)),
            (3_600, share(0..4, 1)),
            (7_200, share(0..4, 1)),
            (3_600, share(3..5, 1)),
            (7_200, share(0..4, 2)),
        ];
        let holder: HolderId = "holder-1".parse().unwrap();
        let mut twice = Vec::new();
        for (index, (window, share)) in sums.into_iter().enumerate() {
            let subject = Digest([index as u8; 32]);
            consents
                .asked
                .insert(subject, (WindowStart(window), vec![share]));
            consents
                .given
                .entry(holder.clone())
                .or_default()
                .insert(subject);
            twice.push(consents.counted().consented_twice);
        }
        assert_eq!(twice, [0, 0, 0, 0, 2, 3]);
        assert_eq!(consents.counted().consents, 6);
    }
}
