//! What is wrong with what holders agree on, are asked and answer.

use ciborium::{Value, cbor};
use wire::{
    Acceptance, Ask, AuditDemand, Card, Closing, Consent, Countersignature, Deal, DealtKey, Group,
    HolderAnswer, HolderSet, IdError, MaskKey, NoiseTerms, Plan, Proposal, RosterPage, Terms,
    WindowStart, WireError as E,
};

use crate::common::holders::{agreements, with_holders};
use crate::common::{self, Sample};
use crate::vector::*;

fn order(field: &'static str, index: usize) -> E {
    E::OutOfOrder { field, index }
}

/// More than a signed part has.
fn long() -> Value {
    Value::Bytes(vec![0; 513])
}

fn oversize(len: usize, max: usize) -> E {
    E::Oversize { len, max }
}

pub(crate) fn bad_terms() -> Vec<Bad> {
    let terms = |what, expected, change: fn(&mut Terms)| message::<Terms>(what, expected, change);
    vec![
        terms("a holder alone", range("terms.holders", 1, 2, 5), |terms| {
            terms.holders.truncate(1);
        }),
        terms(
            "one that has all",
            range("terms.threshold", 1, 2, 3),
            |terms| {
                terms.threshold = 1;
            },
        ),
        terms(
            "four of three",
            range("terms.threshold", 4, 2, 3),
            |terms| {
                terms.threshold = 4;
            },
        ),
        terms(
            "fewer consents than answers",
            range("terms.consents", 2, 3, 3),
            |terms| {
                (terms.threshold, terms.consents) = (3, 2);
            },
        ),
        terms("holders that descend", order("terms.holders", 1), |terms| {
            terms.holders.reverse();
        }),
        terms("one key for two", E::TermsKeyTwice, |terms| {
            terms.holders[1].key = terms.holders[0].key;
        }),
        terms("one key for two streams", E::TermsKeyTwice, |terms| {
            terms.streams[1].key = terms.streams[0].key;
        }),
        terms("a stream that is missing", E::TermsStreams, |terms| {
            terms.streams.pop();
        }),
        terms("a stream that all have", E::TermsStreams, |terms| {
            terms.streams[0].absent = HolderSet::of([]);
        }),
        terms("the first after something", E::TermsChain, |terms| {
            terms.previous = Some(terms.digest());
        }),
        terms("the second after nothing", E::TermsChain, |terms| {
            terms.generation = 2
        }),
        inner::<Terms>(
            "a place that there is not",
            &[9, 0, 0],
            int(32),
            range("terms.stream_absent", 32, 0, 31),
        ),
        message::<Proposal>("a holder alone", range("terms.holders", 1, 2, 5), |it| {
            it.cards.truncate(1);
        }),
    ]
}

/// Of holders that add noise.
pub(crate) fn bad_noise() -> Vec<Bad> {
    let noise = |what, expected, change: fn(&mut NoiseTerms)| {
        message::<Terms>(what, expected, |terms| {
            change(terms.noise.insert(common::holders::noise()));
        })
    };
    vec![
        message::<Terms>("noise that two sums tell", E::NoiseWeak, |terms| {
            terms.consents = 2;
            terms.noise = Some(common::holders::noise());
        }),
        noise("a δ without its ρ", E::NoiseRho, |noise| {
            noise.rho_trillionths = 0;
        }),
        noise("a ρ without its δ", E::NoiseRho, |noise| {
            noise.delta_quadrillionths = 0;
        }),
        noise("feeders that descend", order("noise.feeders", 1), |noise| {
            noise.feeders = ["feeder-2", "feeder-1"].map(common::id).into();
        }),
        noise(
            "an ε that promises nothing",
            range("noise.epsilon", 100_000_001, 1_000, 100_000_000),
            |noise| noise.epsilon_millionths = 100_000_001,
        ),
        noise(
            "a budget of nothing",
            range("noise.budget", 0, 1, 4_294_967_295_000_000),
            |noise| noise.budget_millionths = 0,
        ),
        noise(
            "a period of no second",
            range("noise.period_s", 0, 1, 4_294_967_295),
            |noise| noise.period_s = 0,
        ),
        noise(
            "noise of 33 feeders",
            E::TooMany {
                field: "noise.feeders",
                max: 32,
                found: 33,
            },
            |noise| noise.feeders = (10..43).map(|n| common::id(&format!("f-{n}"))).collect(),
        ),
        inner::<Proposal>(
            "noise of five fields",
            &[6],
            Value::Array(vec![int(0); 5]),
            wrong_length("noise", 8, 5),
        ),
    ]
}

pub(crate) fn bad_holders() -> Vec<Bad> {
    let dealt = |absent| DealtKey {
        absent: HolderSet::of([absent]),
        key: MaskKey([9; 32]),
        wrapped: vec![],
    };
    vec![
        message::<Deal>("a stream dealt twice", order("deal.keys", 1), |deal| {
            deal.keys = vec![dealt(1), dealt(1)];
        }),
        message::<Deal>(
            "a key wrapped twice for one",
            order("deal.wrapped", 1),
            |deal| {
                deal.keys[0].wrapped[1].0 = 0;
            },
        ),
        field::<Card>(
            "an exchange key that is none",
            4,
            Value::Bytes(vec![0; 32]),
            E::BadMaskKey {
                field: "card.exchange_key",
            },
        ),
        field::<Acceptance>(
            "a digest of 31 bytes",
            1,
            Value::Bytes(vec![0; 31]),
            wrong_length("acceptance.terms", 32, 31),
        ),
        field::<Closing>(
            "closed in the year 10000",
            3,
            Value::Integer((wire::MAX_UNIX_SECONDS + 1).into()),
            range(
                "closing.from",
                i128::from(wire::MAX_UNIX_SECONDS) + 1,
                0,
                wire::MAX_UNIX_SECONDS.into(),
            ),
        ),
        field::<Ask>(
            "a fourth step",
            1,
            int(3),
            E::UnknownCode {
                field: "ask.step",
                value: 3,
            },
        ),
        message::<Ask>("one group twice", order("ask.groups", 1), |ask| {
            ask.groups = vec![
                Group {
                    holder: 0,
                    streams: 1
                };
                2
            ];
        }),
        inner::<Ask>(
            "no streams",
            &[4, 0, 1],
            int(0),
            range("ask.streams", 0, 1, 65_535),
        ),
        inner::<HolderAnswer>(
            "half a word",
            &[4, 1],
            Value::Bytes(vec![0; 12]),
            wrong_length("answer.words", 8, 12),
        ),
        inner::<HolderAnswer>(
            "more words than coefficients",
            &[4, 1],
            Value::Bytes(vec![0; 8 * 2_049]),
            wrong_length("answer.words", 8 * 2_048, 8 * 2_049),
        ),
        field::<HolderAnswer>(
            "refused for no reason",
            4,
            int(0),
            E::UnknownCode {
                field: "answer.reason",
                value: 0,
            },
        ),
        field::<Consent>(
            "a holder without a name",
            1,
            text(""),
            E::BadId {
                field: "consent.holder",
                source: IdError::Empty,
            },
        ),
        message::<AuditDemand>(
            "a demand of nothing",
            E::Empty {
                field: "audit_demand.meters",
            },
            |demand| demand.meters.clear(),
        ),
        message::<AuditDemand>(
            "a meter that is demanded twice",
            E::OutOfOrder {
                field: "audit_demand.meters",
                index: 1,
            },
            |demand| demand.meters[1] = demand.meters[0].clone(),
        ),
        field::<Countersignature>(
            "page 65,536",
            3,
            int(65_536),
            range("countersignature.page", 65_536, 0, 65_535),
        ),
        message::<Plan>("agreements that descend", E::HoldersChain, |plan| {
            *plan = with_holders();
            plan.holders.reverse();
        }),
        message::<Plan>(
            "an agreement without the one before",
            E::HoldersChain,
            |plan| {
                *plan = with_holders();
                plan.holders[1].terms.previous =
                    Some(Terms::sample().digest()).map(|mut digest| {
                        digest.0[0] ^= 1;
                        digest
                    });
            },
        ),
        message::<Plan>("two agreements of one window", E::HoldersChain, |plan| {
            *plan = with_holders();
            plan.holders[1].terms.from = WindowStart(0);
        }),
        field::<Plan>(
            "an agreement that is none",
            13,
            cbor!([1]).unwrap(),
            wrong_type("plan.holders", "a byte string", "an unsigned integer"),
        ),
        field::<Plan>(
            "an agreement and a byte",
            13,
            Value::Array(vec![Value::Bytes(
                [agreements()[0].to_bytes(), vec![0]].concat(),
            )]),
            E::Trailing {
                field: "agreement",
                count: 1,
            },
        ),
    ]
}

/// Of a length that nothing of the kind has.
pub(crate) fn long_parts() -> Vec<Bad> {
    vec![
        inner::<Proposal>("a long card", &[7, 0], long(), oversize(513, 512)),
        inner::<Deal>(
            "a wrapped key of 257 bytes",
            &[3, 0, 2, 0, 1],
            Value::Bytes(vec![0; 257]),
            oversize(257, 256),
        ),
        inner::<Ask>("a long consent", &[5, 0], long(), oversize(513, 512)),
        field::<RosterPage>(
            "a long countersignature",
            5,
            Value::Array(vec![long()]),
            oversize(513, 512),
        ),
    ]
}
