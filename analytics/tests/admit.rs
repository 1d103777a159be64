//! Every bad report is refused for its own reason, answered only where the answer cannot harm, and stops nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use analytics::engine::{Engine, Event, Identity, Rules};
use analytics::store::MemoryStore;
use analytics::{Admission, AssignedPlan, Incoming, Verifier};
use bytes::Bytes;
use packed::{ADDITIVE, ADDITIVE_SMALL, Profile, RING};
use service::config::Settings;
use service::trust::{HeldPlan, Roster};
use wire::{
    AnalyticsEntry, Digest, EpochPlan, GatewayId, KeyEpoch, MeterId, Plan, PlanVersion, Reason,
    Receipt, Report, RosterEntry, RosterPage, Salt, SigningKey, Status, Topics, UnixMillis,
    Unverified, VerifyingKey, WindowStart,
};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const HOUR: u64 = 3600;
/// A window that ended an hour ago.
const WINDOW: WindowStart = WindowStart(1_700_000_000 / HOUR * HOUR - 2 * HOUR);

struct World {
    settings: Settings,
    topics: Topics,
    plan: Plan,
    roster: Roster,
    meter: SigningKey,
    analytics: SigningKey,
}

fn plan(settings: &Settings) -> Plan {
    let mut plan = common::plan(settings, SigningKey::from_bytes(&[2; 32]).verifying_key());
    plan.version = PlanVersion(5);
    plan.feeders[0].since = PlanVersion(2);
    plan.epochs.push(EpochPlan {
        epoch: KeyEpoch(2),
        fingerprint: [2; 32],
        first_window: WindowStart(WINDOW.0 + HOUR),
        ..plan.epochs[0].clone()
    });
    plan
}

fn world() -> World {
    let meter = SigningKey::from_bytes(&[1; 32]);
    let settings = Settings::defaults();
    let entry = |number, feeder: &str| RosterEntry {
        feeder: feeder.parse().unwrap(),
        ..common::entry(number, meter.verifying_key())
    };
    let page = RosterPage {
        version: 1,
        page: 0,
        pages: 1,
        entries: vec![entry(1, "feeder-1"), entry(2, "feeder-2")],
        countersignatures: Vec::new(),
    };
    World {
        topics: Topics::new(&settings.deployment.root).unwrap(),
        plan: plan(&settings),
        settings,
        roster: Roster::from_pages([page]).unwrap(),
        meter,
        analytics: SigningKey::from_bytes(&[2; 32]),
    }
}

fn held(plan: &Plan) -> Arc<HeldPlan> {
    Arc::new(HeldPlan::new(plan.clone(), Vec::new()).unwrap())
}

/// The plan as it concerns `analytics-1`.
fn assigned(plan: &Plan) -> AssignedPlan {
    AssignedPlan::new(held(plan), "analytics-1".parse().unwrap())
}

fn report() -> Report {
    Report {
        plan_version: PlanVersion(2),
        epoch: KeyEpoch(1),
        feeder: "feeder-1".parse().unwrap(),
        meter: "meter-1".parse().unwrap(),
        gateway: "gateway-1".parse().unwrap(),
        window: WINDOW,
        salt: Salt([1; 8]),
        sealed_at: NOW,
    }
}

/// The coefficients of a report of one interval.
fn coefficients() -> usize {
    let shape = packed::layout::Shape::new(packed::layout::Layout::Profile, 1);
    shape.unwrap().coefficients()
}

/// A ciphertext of a profile, all of whose residues are `residue`.
fn limbs_of(profile: &Profile, residue: u64) -> Vec<u8> {
    let (c0, c1) = (vec![residue; coefficients()], vec![residue; RING.dimension]);
    let mut limbs = Vec::new();
    packed::report::pack(profile, &c0, &c1, &mut limbs).unwrap();
    limbs
}

fn limbs(number: u64) -> Vec<u8> {
    limbs_of(&ADDITIVE, number << 8)
}

impl World {
    /// The report on the topic it names, sealed with the meter's key.
    fn sealed(&self, report: &Report, limbs: &[u8]) -> Incoming {
        let topic = self
            .topics
            .report(wire::Shard(0), &report.feeder, &report.meter);
        let (payload, _) = wire::seal(
            report,
            Some(limbs),
            &self.settings.deployment.id,
            &topic,
            &self.meter,
        );
        Incoming {
            topic,
            payload: payload.into(),
        }
    }

    fn engine(&self) -> Engine<MemoryStore> {
        self.engine_with(10)
    }

    fn engine_with(&self, max_open: usize) -> Engine<MemoryStore> {
        let identity = Identity {
            deployment: self.settings.deployment.id.clone(),
            id: "analytics-1".parse().unwrap(),
            key: self.analytics.clone(),
            topics: self.topics.clone(),
            receipt_entries: 100,
            first_wait_ms: 5_000,
        };
        let rules = Rules {
            release: release::Rules {
                supplement_min_meters: 15,
                ..release::Rules::new(15)
            },
            grace_s: HOUR,
            idle_limit_ms: 1000,
            retention_s: 24 * HOUR,
            max_open,
            max_feeders: 10,
            max_small: 100,
            max_hot: 10,
            fingerprint_bits: 32,
        };
        Engine::start(identity, &held(&self.plan), rules, MemoryStore::default()).unwrap()
    }

    /// What the gateway is told of each of `incoming`, in order; `None` where it is told nothing.
    fn answers(&self, incoming: &[Incoming]) -> Vec<Option<Status>> {
        let mut engine = self.engine();
        let assigned = assigned(&self.plan);
        let admission = Admission::new(&self.settings, &self.topics, &assigned, &self.roster, NOW);
        incoming
            .iter()
            .map(|message| {
                engine
                    .fold(
                        Verifier::new(1, 0).verify(&admission, std::slice::from_ref(message)),
                        0,
                    )
                    .unwrap();
                let outgoing = engine.commit().unwrap().outgoing;
                assert!(outgoing.len() <= 1);
                outgoing
                    .first()
                    .map(|message| self.open(message.topic.as_str(), &message.payload))
            })
            .collect()
    }

    fn open(&self, topic: &str, payload: &Bytes) -> Status {
        let unverified: Unverified<Receipt> = wire::decode_shared(payload, 1 << 20).unwrap();
        let key: VerifyingKey = self.analytics.verifying_key();
        let receipt = unverified
            .verify(&self.settings.deployment.id, topic, &key)
            .unwrap()
            .message;
        assert_eq!(receipt.gateway, "gateway-1".parse::<GatewayId>().unwrap());
        assert_eq!(receipt.entries.len(), 1);
        receipt.entries[0].status
    }

    /// The reason a message is refused for, and whether its gateway is told.
    fn refusal(&self, incoming: &Incoming) -> (Reason, bool) {
        let assigned = assigned(&self.plan);
        let admission = Admission::new(&self.settings, &self.topics, &assigned, &self.roster, NOW);
        let refusal = admission
            .admit(&incoming.topic, &incoming.payload)
            .expect_err("it is refused");
        assert!(!refusal.detail.is_empty());
        (refusal.reason, refusal.address.is_some())
    }

    fn refused(&self, report: &Report) -> (Reason, bool) {
        self.refusal(&self.sealed(report, &limbs(1)))
    }
}

#[test]
fn a_good_report_is_folded_and_its_repetition_is_a_duplicate() {
    let world = world();
    let good = world.sealed(&report(), &limbs(1));
    assert_eq!(
        world.answers(&[good.clone(), good]),
        [Some(Status::Folded), Some(Status::Duplicate)]
    );
}

#[test]
fn what_does_not_say_what_the_roster_says_is_refused() {
    let world = world();
    let unknown = Report {
        meter: "meter-9".parse().unwrap(),
        ..report()
    };
    assert_eq!(world.refused(&unknown), (Reason::UnknownMeter, false));
    let elsewhere = Report {
        meter: "meter-2".parse().unwrap(),
        ..report()
    };
    assert_eq!(world.refused(&elsewhere), (Reason::WrongFeeder, true));
    let other_gateway = Report {
        gateway: "gateway-2".parse().unwrap(),
        ..report()
    };
    assert_eq!(world.refused(&other_gateway), (Reason::WrongGateway, true));
}

#[test]
fn what_the_plan_does_not_have_is_refused() {
    let world = world();
    let no_feeder = Report {
        meter: "meter-2".parse().unwrap(),
        feeder: "feeder-2".parse().unwrap(),
        ..report()
    };
    assert_eq!(world.refused(&no_feeder), (Reason::UnknownFeeder, true));
    for (epoch, reason) in [(2, Reason::WrongEpoch), (3, Reason::UnknownEpoch)] {
        let report = Report {
            epoch: KeyEpoch(epoch),
            ..report()
        };
        assert_eq!(world.refused(&report), (reason, true));
    }
    // A gateway ahead of us is right; it is told nothing, and sends again.
    for (version, expected) in [
        (1, (Reason::OutdatedConfig, true)),
        (6, (Reason::UnknownPlan, false)),
    ] {
        let report = Report {
            plan_version: PlanVersion(version),
            ..report()
        };
        assert_eq!(world.refused(&report), expected);
    }
}

/// A catch-all sees every report. What another service owns is neither folded nor answered: its owner does that.
#[test]
fn a_report_of_another_services_feeder_is_refused_in_silence() {
    let mut world = world();
    let good = world.sealed(&report(), &limbs(1));
    world.plan.analytics.push(AnalyticsEntry {
        id: "analytics-2".parse().unwrap(),
        key: world.meter.verifying_key(),
        feeders: vec!["feeder-1".parse().unwrap()],
    });
    assert_eq!(world.refused(&report()), (Reason::UnknownAnalytics, false));
    assert_eq!(world.answers(&[good]), [None]);
    // Nor is what nobody owns, between two services.
    world.plan.analytics.truncate(1);
    world.plan.analytics[0].feeders = vec!["feeder-2".parse().unwrap()];
    assert_eq!(world.refused(&report()), (Reason::UnknownAnalytics, false));
}

/// Verifying is a stage of its own: the plan may change between it and the fold.
#[test]
fn a_report_admitted_before_its_feeder_was_handed_over_is_not_folded_after() {
    let mut world = world();
    let good = world.sealed(&report(), &limbs(1));
    let before = assigned(&world.plan);
    let admission = Admission::new(&world.settings, &world.topics, &before, &world.roster, NOW);
    let verdicts = Verifier::new(1, 0).verify(&admission, std::slice::from_ref(&good));
    assert!(verdicts[0].is_ok());
    world.plan.analytics[0].feeders = vec!["feeder-2".parse().unwrap()];
    let mut engine = world.engine();
    engine.use_plan(Arc::new(assigned(&world.plan)), Arc::default());
    engine.fold(verdicts, 0).unwrap();
    let effects = engine.commit().unwrap();
    assert_eq!(effects.outgoing, [], "the owner answers");
    let refused = Event::Rejected(Reason::UnknownAnalytics);
    assert_eq!(effects.events, [refused]);
}

#[test]
fn what_is_at_no_time_of_the_plan_is_refused() {
    let world = world();
    for window in [WINDOW.0 + 1, WINDOW.0 + HOUR / 2] {
        let report = Report {
            window: WindowStart(window),
            ..report()
        };
        assert_eq!(world.refused(&report), (Reason::MisalignedWindow, true));
    }
    let future = Report {
        window: WindowStart(WINDOW.0 + 3 * HOUR),
        epoch: KeyEpoch(2),
        ..report()
    };
    assert_eq!(world.refused(&future), (Reason::ReportTooEarly, true));
    let far_future = Report {
        window: WindowStart(u64::MAX / HOUR * HOUR),
        epoch: KeyEpoch(2),
        ..report()
    };
    // Beyond any calendar: the format itself has no such time.
    assert_eq!(world.refused(&far_future), (Reason::InvalidMessage, false));
    let sealed_tomorrow = Report {
        sealed_at: UnixMillis(NOW.0 + 86_400_000),
        ..report()
    };
    assert_eq!(
        world.refused(&sealed_tomorrow),
        (Reason::ReportTooEarly, true)
    );
}

#[test]
fn where_windows_are_local_days_they_begin_at_midnight_there_and_end_at_the_next() {
    let mut world = world();
    (world.plan.batch, world.plan.time_zone) = (25, Some("Europe/Berlin".parse().unwrap()));
    let refused = |window: u64| {
        let report = Report {
            window: WindowStart(window),
            ..report()
        };
        world.refused(&report).0
    };
    // 22:13:20 in UTC, an hour later there: the day is not over.
    let midnight = NOW.0 / 1000 / 86_400 * 86_400;
    assert_eq!(refused(midnight), Reason::MisalignedWindow);
    assert_eq!(refused(midnight - HOUR), Reason::ReportTooEarly);
    // The day before is. The ciphertext is of one interval.
    assert_eq!(refused(midnight - 25 * HOUR), Reason::WrongLength);
}

#[test]
fn what_the_meter_did_not_sign_is_refused_in_silence() {
    let mut world = world();
    let good = world.sealed(&report(), &limbs(1));
    // Signed for another topic.
    let moved = Incoming {
        topic: world.topics.report(
            wire::Shard(0),
            &"feeder-1".parse().unwrap(),
            &"meter-2".parse().unwrap(),
        ),
        payload: good.payload.clone(),
    };
    assert_eq!(world.refusal(&moved), (Reason::WrongTopic, false));
    // Another ciphertext than the one that was signed.
    let mut bytes = good.payload.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let swapped = Incoming {
        payload: bytes.into(),
        ..good.clone()
    };
    assert_eq!(world.refusal(&swapped), (Reason::BadSignature, false));
    // Signed by somebody else: the digest is the genuine report's, so an answer would make the gateway drop it.
    world.meter = SigningKey::from_bytes(&[3; 32]);
    let forged = world.sealed(&report(), &limbs(1));
    assert_eq!(world.refusal(&forged), (Reason::BadSignature, false));
    assert_eq!(
        world.answers(&[forged, swapped, moved, good]),
        [None, None, None, Some(Status::Folded)]
    );
}

#[test]
fn what_is_no_report_is_refused_in_silence() {
    let world = world();
    let good = world.sealed(&report(), &limbs(1));
    let with = |payload: Vec<u8>| Incoming {
        payload: payload.into(),
        ..good.clone()
    };
    let truncated = with(good.payload[..good.payload.len() - 1].to_vec());
    let trailing = with([&good.payload[..], &[0]].concat());
    let oversize = with(vec![0; world.settings.mqtt.max_packet_bytes + 1]);
    let empty = with(Vec::new());
    assert_eq!(world.refusal(&truncated), (Reason::InvalidMessage, false));
    assert_eq!(world.refusal(&trailing), (Reason::InvalidMessage, false));
    assert_eq!(world.refusal(&oversize), (Reason::Oversize, false));
    assert_eq!(world.refusal(&empty), (Reason::InvalidMessage, false));
    assert_eq!(
        world.answers(&[truncated, trailing, oversize, empty, good]),
        [None, None, None, None, Some(Status::Folded)]
    );
}

#[test]
fn a_ciphertext_that_cannot_be_added_is_refused_and_a_good_one_still_counts() {
    let world = world();
    let short = world.sealed(&report(), &limbs(1)[1..]);
    assert_eq!(world.refusal(&short), (Reason::WrongLength, true));
    let other = world.sealed(&report(), &limbs_of(&ADDITIVE_SMALL, 1));
    assert_eq!(world.refusal(&other), (Reason::ProfileMismatch, true));
    // The highest number of as many bits as are packed is above (q − 1) >> t.
    let too_high = vec![0xff; ADDITIVE.packed_len(coefficients())];
    let out_of_range = world.sealed(&report(), &too_high);
    let conflicting = world.sealed(&report(), &limbs(2));
    let good = world.sealed(&report(), &limbs(1));
    assert_eq!(
        world.answers(&[short, other, out_of_range, good, conflicting]),
        [
            Some(Status::Rejected(Reason::WrongLength)),
            Some(Status::Rejected(Reason::ProfileMismatch)),
            Some(Status::Rejected(Reason::LimbOutOfRange)),
            Some(Status::Folded),
            Some(Status::Rejected(Reason::Conflict)),
        ]
    );
}

#[test]
fn windows_beyond_what_one_turn_closes_are_said_to_be_due() {
    let mut world = world();
    world.plan.min_meters = 1;
    let assigned = Arc::new(assigned(&world.plan));
    let (settings, topics) = (&world.settings, &world.topics);
    let admission = Admission::new(settings, topics, &assigned, &world.roster, NOW);
    // A twentieth is for the feeder, whatever others have.
    let mut engine = world.engine_with(4_000);
    engine.use_plan(assigned.clone(), Arc::default());
    // Each is complete: the feeder has one meter.
    let of = |hours_ago| Report {
        window: WindowStart(WINDOW.0 - hours_ago * HOUR),
        ..report()
    };
    let batch: Vec<Incoming> = (0..129)
        .rev()
        .map(|hours_ago| world.sealed(&of(hours_ago), &limbs(1)))
        .collect();
    engine
        .fold(Verifier::new(1, 0).verify(&admission, &batch), 0)
        .unwrap();
    let mut close = |all| {
        let more = engine.close(&world.roster, 0, all).unwrap();
        let events = engine.commit().unwrap().events;
        let released = |event: &&Event| matches!(event, Event::Released(_));
        (more, events.iter().filter(released).count())
    };
    assert_eq!(close(false), (true, 128));
    assert_eq!(close(true), (false, 1));
}

#[test]
fn a_receipt_names_the_digest_of_the_ciphertext() {
    let world = world();
    let mut engine = world.engine();
    let assigned = assigned(&world.plan);
    let admission = Admission::new(
        &world.settings,
        &world.topics,
        &assigned,
        &world.roster,
        NOW,
    );
    let topic = world
        .topics
        .report(wire::Shard(0), &report().feeder, &report().meter);
    let deployment = &world.settings.deployment.id;
    let (payload, digest) =
        wire::seal(&report(), Some(&limbs(1)), deployment, &topic, &world.meter);
    let payload = Bytes::from(payload);
    engine
        .fold(
            Verifier::new(1, 0).verify(&admission, &[Incoming { topic, payload }]),
            0,
        )
        .unwrap();
    let outgoing = engine.commit().unwrap().outgoing;
    let unverified: Unverified<Receipt> =
        wire::decode_shared(&outgoing[0].payload, 1 << 20).unwrap();
    let entry = &unverified.claimed().entries[0];
    assert_eq!(entry.meter, "meter-1".parse::<MeterId>().unwrap());
    assert_eq!((entry.window, entry.digest), (WINDOW, digest));
    assert_ne!(digest, Digest([0; 32]));
}

#[test]
fn what_was_folded_before_a_new_epoch_is_a_duplicate_and_the_rest_is_sealed_again() {
    let world = world();
    let (folded, late) = (
        world.sealed(&report(), &limbs(1)),
        world.sealed(&report(), &limbs(2)),
    );
    let newer = |change: &dyn Fn(&mut Plan)| {
        let mut plan = world.plan.clone();
        plan.version = PlanVersion(6);
        change(&mut plan);
        plan
    };
    // The window's epoch becomes another, or it leaves the plan altogether.
    let moved = newer(&|plan| plan.epochs[1].first_window = WINDOW);
    let gone = newer(&|plan| {
        plan.epochs.remove(0);
    });
    for (plan, reason) in [(moved, Reason::WrongEpoch), (gone, Reason::UnknownEpoch)] {
        let mut engine = world.engine();
        let mut answer = |plan: &Plan, message: &Incoming| {
            let assigned = assigned(plan);
            let admission = Admission::new(
                &world.settings,
                &world.topics,
                &assigned,
                &world.roster,
                NOW,
            );
            engine
                .fold(
                    Verifier::new(1, 0).verify(&admission, std::slice::from_ref(message)),
                    0,
                )
                .unwrap();
            let outgoing = engine.commit().unwrap().outgoing;
            world.open(&outgoing[0].topic, &outgoing[0].payload)
        };
        assert_eq!(answer(&world.plan, &folded), Status::Folded);
        assert_eq!(
            answer(&plan, &folded),
            Status::Duplicate,
            "its receipt was lost, and sealed again it would be a conflict"
        );
        assert_eq!(answer(&plan, &late), Status::Rejected(reason));
    }
}
