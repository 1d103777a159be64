//! Samples of what holders of mask keys agree on, are asked and answer.

use bytes::Bytes;
use wire::{
    Acceptance, Agreement, AnswerBody, Ask, AuditDemand, Card, Closing, Consent, Countersignature,
    Deal, DealtKey, Digest, Group, HolderAnswer, HolderEntry, HolderSet, MaskKey, Message,
    NoiseTerms, Plan, PrivacyUnit, Proposal, RosterPage, SigningKey, Step, Stream, Terms, Topic,
    UnixMillis, WindowStart,
};

use super::{Sample, deployment, digest, id, topics};

const NAMES: [&str; 3] = ["association", "regulator", "utility"];

/// When the second agreement begins.
const LATER: WindowStart = WindowStart(1_749_945_600);

fn holder_key(place: usize) -> SigningKey {
    SigningKey::from_bytes(&[place as u8 + 60; 32])
}

fn signed<M: Message>(message: &M, place: usize) -> Bytes {
    let key = holder_key(place);
    let (signed, _) = wire::sign(message, None, &deployment(), Agreement::TOPIC, &key);
    signed.into()
}

fn streams(first: u8) -> Vec<Stream> {
    let of = |place| Stream {
        absent: HolderSet::of([place]),
        key: MaskKey([first + place as u8; 32]),
    };
    (0..3).map(of).collect()
}

/// The sample, and the terms that follow them.
fn terms() -> [Terms; 2] {
    let first = Terms::sample();
    let second = Terms {
        generation: 2,
        from: LATER,
        previous: Some(first.digest()),
        streams: streams(30),
        ..first.clone()
    };
    [first, second]
}

fn accepted(terms: &Terms) -> Vec<Bytes> {
    let accept = |place| {
        let acceptance = Acceptance {
            terms: terms.digest(),
            holder: id(NAMES[place]),
        };
        signed(&acceptance, place)
    };
    (0..3).map(accept).collect()
}

/// An agreement of two of three, and the one that follows it.
pub(crate) fn agreements() -> Vec<Agreement> {
    let [first, second] = terms();
    let closed = |place: usize| {
        let closing = Closing {
            terms: second.digest(),
            previous: first.digest(),
            from: second.from,
            holder: id(NAMES[place]),
        };
        signed(&closing, place)
    };
    let closings = (0..3).map(closed).collect();
    vec![
        Agreement {
            acceptances: accepted(&first),
            closings: vec![],
            terms: first,
        },
        Agreement {
            acceptances: accepted(&second),
            closings,
            terms: second,
        },
    ]
}

/// Gaussian noise, δ 10⁻⁹, in the totals of one feeder, whose meters enter at most 5 kW.
pub(crate) fn noise() -> NoiseTerms {
    NoiseTerms {
        unit: PrivacyUnit::HouseholdDay,
        epsilon_millionths: 1_000_000,
        delta_quadrillionths: 1_000_000,
        rho_trillionths: 11_771_046_353,
        clip_w: 5_000,
        budget_millionths: 30_000_000,
        period_s: 2_592_000,
        feeders: vec![id("feeder-1")],
    }
}

/// The sample, of holders that add noise.
fn with_noise() -> Terms {
    Terms {
        noise: Some(noise()),
        ..Terms::sample()
    }
}

/// The sample, with holders that add noise.
pub(crate) fn of_noise() -> Plan {
    let terms = with_noise();
    let agreement = Agreement {
        acceptances: accepted(&terms),
        closings: vec![],
        terms,
    };
    Plan {
        holders: vec![agreement],
        ..Plan::sample()
    }
}

/// The sample, with holders.
pub(crate) fn with_holders() -> Plan {
    Plan {
        holders: agreements(),
        ..Plan::sample()
    }
}

/// The sample, countersigned by two holders.
pub(crate) fn countersigned() -> RosterPage {
    let page = RosterPage::sample();
    let countersign = |place| {
        let countersignature = Countersignature {
            holder: id(NAMES[place]),
            entries: page.entries_digest(),
            ..Countersignature::sample()
        };
        signed(&countersignature, place)
    };
    RosterPage {
        countersignatures: (0..2).map(countersign).collect(),
        ..page.clone()
    }
}

impl Sample for Terms {
    fn sample() -> Self {
        let holder = |place: usize| HolderEntry {
            id: id(NAMES[place]),
            key: holder_key(place).verifying_key(),
        };
        Self {
            deployment: deployment(),
            generation: 1,
            from: WindowStart(0),
            previous: None,
            threshold: 2,
            consents: 3,
            noise: None,
            holders: (0..3).map(holder).collect(),
            streams: streams(20),
        }
    }

    fn topic(&self) -> String {
        Agreement::TOPIC.to_owned()
    }
}

impl Sample for Proposal {
    fn sample() -> Self {
        let card = |place: usize| {
            let card = Card {
                holder: id(NAMES[place]),
                key: holder_key(place).verifying_key(),
                ..Card::sample()
            };
            signed(&card, place)
        };
        Self {
            deployment: deployment(),
            from: LATER,
            previous: Some(Terms::sample()),
            threshold: 2,
            consents: 3,
            noise: None,
            cards: (0..3).map(card).collect(),
        }
    }

    fn topic(&self) -> String {
        Agreement::TOPIC.to_owned()
    }
}

impl Sample for Card {
    fn sample() -> Self {
        Self {
            deployment: deployment(),
            holder: id(NAMES[0]),
            key: holder_key(0).verifying_key(),
            exchange_key: MaskKey([40; 32]),
        }
    }

    fn topic(&self) -> String {
        Agreement::TOPIC.to_owned()
    }
}

impl Sample for Deal {
    fn sample() -> Self {
        let dealt = |absent, others: [u8; 2]| DealtKey {
            absent: HolderSet::of([absent]),
            key: MaskKey([absent as u8 + 20; 32]),
            wrapped: others.map(|place| (place, vec![place; 80].into())).into(),
        };
        Self {
            proposal: Proposal::sample().digest(),
            holder: id(NAMES[0]),
            keys: vec![dealt(1, [0, 2]), dealt(2, [0, 1])],
        }
    }

    fn topic(&self) -> String {
        Agreement::TOPIC.to_owned()
    }
}

impl Sample for Acceptance {
    fn sample() -> Self {
        Self {
            terms: digest(0x71),
            holder: id(NAMES[0]),
        }
    }

    fn topic(&self) -> String {
        Agreement::TOPIC.to_owned()
    }
}

impl Sample for Closing {
    fn sample() -> Self {
        Self {
            terms: digest(0x71),
            previous: digest(0x70),
            from: LATER,
            holder: id(NAMES[0]),
        }
    }

    fn topic(&self) -> String {
        Agreement::TOPIC.to_owned()
    }
}

impl Sample for Ask {
    fn sample() -> Self {
        let group = |holder, streams| Group { holder, streams };
        Self {
            step: Step::Payload,
            feeder: id("feeder-1"),
            sum: vec![1; 40].into(),
            groups: vec![group(0, 6), group(1, 1), group(1, 4)],
            consents: (0..2)
                .map(|place| signed(&Consent::sample(), place))
                .collect(),
        }
    }

    fn topic(&self) -> String {
        topics().of(&Topic::Ask)
    }
}

impl Sample for HolderAnswer {
    fn sample() -> Self {
        Self {
            holder: id(NAMES[0]),
            subject: Digest::of(&[1; 40]),
            step: Step::Payload,
            body: AnswerBody::Masks {
                streams: 6,
                words: vec![1, 1 << 49, 0],
            },
        }
    }

    fn topic(&self) -> String {
        let holder = self.holder.clone();
        topics().of(&Topic::HolderAnswer { holder })
    }
}

impl Sample for Consent {
    fn sample() -> Self {
        Self {
            holder: id(NAMES[0]),
            terms: digest(0x71),
            subject: Digest::of(&[1; 40]),
            members: digest(0x72),
        }
    }

    fn topic(&self) -> String {
        let holder = self.holder.clone();
        topics().of(&Topic::Consent { holder })
    }
}

impl Sample for Countersignature {
    fn sample() -> Self {
        Self {
            holder: id(NAMES[0]),
            terms: digest(0x71),
            page: 1,
            version: 4,
            entries: RosterPage::sample().entries_digest(),
        }
    }

    fn topic(&self) -> String {
        let holder = self.holder.clone();
        topics().of(&Topic::Countersignature { holder })
    }
}

impl Sample for AuditDemand {
    fn sample() -> Self {
        Self {
            holder: id(NAMES[0]),
            terms: digest(0x71),
            issued_at: UnixMillis(1_749_945_600_123),
            feeder: id("feeder-1"),
            window: LATER,
            meters: vec![id("meter-1"), id("meter-2")],
        }
    }

    fn topic(&self) -> String {
        topics().audit_demand(&id("gateway-1"))
    }
}
