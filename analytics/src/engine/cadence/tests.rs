//! Whatever the due times, a report is answered once, and not before it is in the store.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use service::trust::{HeldPlan, Roster};
use wire::{
    CapacityClass, MaskKey, MeterId, Receipt, RosterEntry, RosterPage, SigningKey, Status, Topic,
    Unverified, Watts,
};

use super::*;
use crate::admit::{Address, Admitted};
use crate::assignment::tests::plan_for;
use crate::engine::shards::tests::identity;
use crate::store::{MemoryStore, StoreFormat};
use crate::windows::tests::{contribution, digest, grid, limbs, report, rules, store_format};

const FEEDERS: [&str; 2] = ["feeder-1", "feeder-2"];
const SECOND: Duration = Duration::from_secs(1);

fn engine(every: Duration) -> Engine<MemoryStore> {
    let mut held = HeldPlan::new(plan_for(&FEEDERS), Vec::new()).unwrap();
    let StoreFormat { shape, .. } = store_format();
    (held.shape, held.grid) = (shape, grid());
    let mut engine = Engine::start(identity(), &held, rules(), MemoryStore::default()).unwrap();
    engine.write_sums_every(every);
    engine
}

fn admitted(feeder: &str, meter: u32) -> Admitted {
    let mut report = report(meter, 0);
    report.feeder = feeder.parse().unwrap();
    let limbs = limbs(1);
    let contribution = contribution(&report, &limbs, digest(meter));
    let (number, profile, max_meters) = (
        contribution.number,
        contribution.profile,
        contribution.max_meters,
    );
    Admitted {
        address: Address {
            feeder: report.feeder.clone(),
            gateway: report.gateway.clone(),
            meter: report.meter.clone(),
            window: report.window,
            digest: digest(meter),
        },
        limbs: limbs.into(),
        report,
        number,
        profile,
        max_meters,
        billed: None,
    }
}

/// What the receipts among the effects say, by meter.
fn answers(effects: &Effects) -> Vec<(MeterId, Status)> {
    let mut answers = Vec::new();
    for message in &effects.outgoing {
        if let Some(Topic::Receipt { .. }) = identity().topics.parse(&message.topic) {
            let payload = &message.payload;
            let receipt: Unverified<Receipt> = wire::decode(payload, payload.len()).unwrap();
            let entries = receipt.claimed().entries.iter();
            answers.extend(entries.map(|entry| (entry.meter.clone(), entry.status)));
        }
    }
    answers
}

fn is_stored(engine: &mut Engine<MemoryStore>, feeder: &str, meter: u32) -> bool {
    let report = report(meter, 0);
    let feeder = feeder.parse().unwrap();
    let stored = (engine.store).contributor(&feeder, report.window, &report.meter, &digest(meter));
    stored.unwrap().is_some()
}

proptest! {
    #[test]
    fn a_report_is_answered_once_when_it_is_stored_and_waits_no_longer_than_it_may(
        steps in prop::collection::vec((0_u32..24, 0_u64..800, any::<bool>()), 1..60),
        every_ms in prop::sample::select(vec![0_u64, 500, 3_000]),
    ) {
        let every = Duration::from_millis(every_ms);
        let mut engine = engine(every);
        let mut now = Duration::ZERO;
        // When each was folded, and those that were answered.
        let mut folded: BTreeMap<u32, Duration> = BTreeMap::new();
        let mut answered = BTreeSet::new();
        for (meter, after_ms, commits) in steps {
            now += Duration::from_millis(after_ms);
            engine.has_run_for(now);
            let feeder = |meter: u32| FEEDERS[meter as usize % FEEDERS.len()];
            engine.fold(vec![Ok(admitted(feeder(meter), meter))], 0).unwrap();
            folded.entry(meter).or_insert(now);
            if !commits {
                continue;
            }
            for (meter, status) in answers(&engine.commit_due().unwrap()) {
                if status == Status::Folded {
                    prop_assert!(answered.insert(meter), "twice");
                } else {
                    prop_assert!(answered.contains(&meter), "{status:?} before it is folded");
                }
            }
            for (meter, since) in &folded {
                let is_answered = answered.contains(&report(*meter, 0).meter);
                prop_assert!(is_answered || now - *since < every, "it waits for too long");
                let is_stored = is_stored(&mut engine, feeder(*meter), *meter);
                prop_assert_eq!(is_stored, is_answered);
            }
        }
        let last = answers(&engine.commit().unwrap());
        let last = last.into_iter().filter(|(_, status)| *status == Status::Folded);
        let waited = last.count();
        prop_assert_eq!(answered.len() + waited, folded.len());
        prop_assert_eq!(engine.unanswered(), 0);
    }
}

fn roster(meters: u32) -> Roster {
    let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
    let entry = |meter: u32| {
        let report = report(meter, 0);
        RosterEntry {
            meter: report.meter,
            feeder: report.feeder,
            number: meter,
            gateway: report.gateway,
            capacity: CapacityClass::of(Watts(10_000)).unwrap(),
            key,
            mask_key: MaskKey([9; 32]),
            billing: false,
        }
    };
    let page = RosterPage {
        version: 1,
        page: 0,
        pages: 1,
        entries: (1..=meters).map(entry).collect(),
        countersignatures: Vec::new(),
    };
    Roster::from_pages([page]).unwrap()
}

#[test]
fn a_sum_that_has_all_its_meters_is_released_without_waiting() {
    let mut engine = engine(3 * SECOND);
    let roster = roster(4);
    for meter in 1..=4 {
        let feeder = FEEDERS[0];
        engine.fold(vec![Ok(admitted(feeder, meter))], 0).unwrap();
        engine.close(&roster, 0, false).unwrap();
        let effects = engine.commit_due().unwrap();
        let is_last = meter == 4;
        assert_eq!(answers(&effects).len(), if is_last { 4 } else { 0 });
        assert_eq!(effects.outgoing.is_empty(), !is_last);
        assert_eq!(is_stored(&mut engine, feeder, 1), is_last);
    }
    assert_eq!(engine.awaited().len(), 1);
}

#[test]
fn a_feeder_that_is_given_up_or_let_go_does_not_wait() {
    let mut engine = engine(3 * SECOND);
    engine.fold(vec![Ok(admitted(FEEDERS[0], 1))], 0).unwrap();
    assert!(engine.commit_due().unwrap().outgoing.is_empty());
    assert_eq!(engine.unanswered(), 1);
    engine.let_go(&[wire::Shard(0)]);
    assert_eq!(engine.unanswered(), 0);
    assert!(engine.commit().unwrap().is_empty());
    assert!(!is_stored(&mut engine, FEEDERS[0], 1));
    engine.leaving = std::sync::Arc::new([FEEDERS[1].parse().unwrap()].into());
    // None is opened of it any more: this one was.
    engine.cadence.folded(&FEEDERS[1].parse().unwrap());
    engine.commit_due().unwrap();
    assert!(!engine.windows.waits(&FEEDERS[1].parse().unwrap()));
}

/// The store may have what a failed commit wrote, and may only be given that again, or more.
#[test]
fn after_a_commit_that_failed_nothing_waits() {
    let mut engine = engine(3 * SECOND);
    engine.fold(vec![Ok(admitted(FEEDERS[0], 1))], 0).unwrap();
    engine.cadence.begin();
    assert_eq!(answers(&engine.commit_due().unwrap()).len(), 1);
    engine.fold(vec![Ok(admitted(FEEDERS[0], 2))], 0).unwrap();
    assert!(answers(&engine.commit_due().unwrap()).is_empty());
}
