//! Arbitrary messages of holders of mask keys.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use wire::{
    Acceptance, Agreement, AnswerBody, Ask, AuditDemand, Card, Closing, Consent, Countersignature,
    Deal, DealtKey, Group, HolderAnswer, HolderEntry, HolderId, HolderSet, MaskKey, NoiseTerms,
    Plan, PrivacyUnit, Proposal, RosterPage, Step, Stream, Terms,
};

use super::arbitrary::{digest, good_key, name, plan, reason, roster, window};
use super::{common, round_trip};

fn any_mask_key() -> impl Strategy<Value = MaskKey> {
    any::<[u8; 32]>().prop_filter_map("of small order", |bytes| {
        let key = MaskKey(bytes);
        key.check().ok().map(|()| key)
    })
}

/// Something signed: what is in it is looked at later.
fn signed() -> impl Strategy<Value = bytes::Bytes> {
    vec(any::<u8>(), 0..512).prop_map(Into::into)
}

/// How many there are, and two numbers of them that can be asked for.
fn numbers() -> impl Strategy<Value = (usize, u8, u8)> {
    (2..=5u8)
        .prop_flat_map(|n| (Just(n), 2..=n))
        .prop_flat_map(|(n, threshold)| (Just(usize::from(n)), Just(threshold), threshold..=n))
}

/// Noise that holders may agree on, if theirs is a strong agreement.
fn noise() -> impl Strategy<Value = Option<NoiseTerms>> {
    let unit = proptest::sample::select(&[PrivacyUnit::Interval, PrivacyUnit::HouseholdDay][..]);
    let gaussian = proptest::option::of((1..=1_000_000_000_000_u64, 1..=u64::MAX));
    let amounts = (1_000..=100_000_000_u64, any::<u64>(), 1..=1_000_000_000_u64);
    let feeders = btree_set(name::<wire::FeederId>(), 0..=32);
    let noise = (unit, gaussian, amounts, 1..=u64::from(u32::MAX), feeders).prop_map(
        |(unit, gaussian, (epsilon, clip_w, budget), period_s, feeders)| NoiseTerms {
            unit,
            epsilon_millionths: epsilon,
            delta_quadrillionths: gaussian.map_or(0, |(delta, _)| delta),
            rho_trillionths: gaussian.map_or(0, |(_, rho)| rho),
            clip_w,
            budget_millionths: budget,
            period_s,
            feeders: feeders.into_iter().collect(),
        },
    );
    proptest::option::of(noise)
}

fn is_strong(n: usize, threshold: u8, consents: u8) -> bool {
    2 * usize::from(consents) >= n + usize::from(threshold)
}

fn terms() -> impl Strategy<Value = Terms> {
    let chain = proptest::option::of((2..=u32::MAX, digest()));
    let scalars = (name(), window(), chain);
    let holders = |n| btree_map(name::<HolderId>(), good_key(), n..=n);
    let keys = btree_set(any::<[u8; 31]>(), 10..=10);
    (numbers(), scalars, keys)
        .prop_flat_map(move |((n, t, q), scalars, keys)| {
            (
                Just((n, t, q)),
                Just(scalars),
                holders(n),
                Just(keys),
                noise(),
            )
        })
        .prop_map(
            |((n, threshold, consents), (deployment, from, chain), holders, keys, noise)| {
                // An odd byte in front: none is of small order, and none is another.
                let key = |rest: [u8; 31]| {
                    let mut key = [7; 32];
                    key[1..].copy_from_slice(&rest);
                    MaskKey(key)
                };
                let absent = HolderSet::all_of(usize::from(threshold) - 1, n);
                let streams = absent.zip(keys).map(|(absent, rest)| Stream {
                    absent,
                    key: key(rest),
                });
                let holders = holders.into_iter().map(|(id, key)| HolderEntry { id, key });
                Terms {
                    deployment,
                    generation: chain.map_or(1, |(generation, _)| generation),
                    from,
                    previous: chain.map(|(_, digest)| digest),
                    threshold,
                    consents,
                    noise: noise.filter(|_| is_strong(n, threshold, consents)),
                    holders: holders.collect(),
                    streams: streams.collect(),
                }
            },
        )
}

fn proposal() -> impl Strategy<Value = Proposal> {
    let previous = proptest::option::of(terms());
    (
        numbers(),
        (name(), window()),
        previous,
        vec(signed(), 5),
        noise(),
    )
        .prop_map(
            |((n, threshold, consents), (deployment, from), previous, mut cards, noise)| {
                cards.truncate(n);
                Proposal {
                    deployment,
                    from,
                    previous,
                    threshold,
                    consents,
                    noise: noise.filter(|_| is_strong(n, threshold, consents)),
                    cards,
                }
            },
        )
}

fn deal() -> impl Strategy<Value = Deal> {
    let wrapped = btree_map(any::<u8>(), vec(any::<u8>(), 0..256), 0..5);
    let dealt = btree_map(btree_set(0..5usize, 0..5), (any_mask_key(), wrapped), 0..8);
    (digest(), name(), dealt).prop_map(|(proposal, holder, dealt)| {
        let keys = dealt.into_iter().map(|(absent, (key, wrapped))| DealtKey {
            absent: HolderSet::of(absent),
            key,
            wrapped: wrapped
                .into_iter()
                .map(|(at, it)| (at, it.into()))
                .collect(),
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_by_key(|dealt| dealt.absent);
        Deal {
            proposal,
            holder,
            keys,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    proptest::sample::select(&[Step::Checks, Step::Consent, Step::Payload][..])
}

fn ask() -> impl Strategy<Value = Ask> {
    let groups = btree_set((any::<u8>(), 1..=u16::MAX), 0..=30);
    let sum = vec(any::<u8>(), 0..100);
    (step(), name(), sum, groups, vec(signed(), 0..=5)).prop_map(
        |(step, feeder, sum, groups, consents)| Ask {
            step,
            feeder,
            sum: sum.into(),
            groups: groups
                .into_iter()
                .map(|(holder, streams)| Group { holder, streams })
                .collect(),
            consents,
        },
    )
}

fn answer() -> impl Strategy<Value = HolderAnswer> {
    let masks = (1..=u16::MAX, vec(any::<u64>(), 0..200))
        .prop_map(|(streams, words)| AnswerBody::Masks { streams, words });
    let body = prop_oneof![masks, reason().prop_map(AnswerBody::Refused)];
    (name(), digest(), step(), body).prop_map(|(holder, subject, step, body)| HolderAnswer {
        holder,
        subject,
        step,
        body,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_terms_survive(message in terms()) { round_trip(&message)?; }
    #[test]
    fn every_proposal_survives(message in proposal()) { round_trip(&message)?; }
    #[test]
    fn every_card_survives(names in (name(), name()), key in good_key(), exchange_key in any_mask_key()) {
        let (deployment, holder) = names;
        round_trip(&Card { deployment, holder, key, exchange_key })?;
    }
    #[test]
    fn every_deal_survives(message in deal()) { round_trip(&message)?; }
    #[test]
    fn every_acceptance_survives(holder in name(), terms in digest()) {
        round_trip(&Acceptance { terms, holder })?;
    }
    #[test]
    fn every_closing_survives(holder in name(), terms in digest(), previous in digest(), from in window()) {
        round_trip(&Closing { terms, previous, from, holder })?;
    }
    #[test]
    fn every_ask_survives(message in ask()) { round_trip(&message)?; }
    #[test]
    fn every_answer_survives(message in answer()) { round_trip(&message)?; }
    #[test]
    fn every_consent_survives(holder in name(), terms in digest(), subject in digest(), members in digest()) {
        round_trip(&Consent { holder, terms, subject, members })?;
    }
    #[test]
    fn every_countersignature_survives(holder in name(), terms in digest(), page in any::<u16>(), version in any::<u64>(), entries in digest()) {
        round_trip(&Countersignature { holder, terms, page, version, entries })?;
    }

    #[test]
    fn every_demand_for_reports_survives(
        names in (name(), name()), terms in digest(), issued_at in 0..=wire::MAX_UNIX_SECONDS, window in window(),
        meters in btree_set(name(), 1..=9),
    ) {
        let (holder, feeder) = names;
        let (issued_at, meters) = (wire::UnixMillis(issued_at), meters.into_iter().collect());
        round_trip(&AuditDemand { holder, terms, issued_at, feeder, window, meters })?;
    }

    #[test]
    fn a_plan_and_a_roster_with_holders_survive(
        plan in plan(), page in roster(), countersignatures in vec(signed(), 0..=5),
    ) {
        round_trip(&Plan { holders: common::holders::agreements(), ..plan })?;
        round_trip(&RosterPage { countersignatures, ..page })?;
    }

    #[test]
    fn an_agreement_is_read_back(terms in terms(), acceptances in vec(signed(), 0..=5), closings in vec(signed(), 0..=5)) {
        let agreement = Agreement { terms, acceptances, closings };
        prop_assert_eq!(Agreement::from_bytes(&agreement.to_bytes()), Ok(agreement));
    }

    #[test]
    fn arbitrary_bytes_are_no_agreement(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert!(Agreement::from_bytes(&bytes).is_err());
    }
}
