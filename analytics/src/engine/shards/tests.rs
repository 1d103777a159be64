//! What becomes of shards that are not held, or not any more.

use std::sync::Arc;

use service::config::Settings;
use service::telemetry;
use service::trust::HeldPlan;
use wire::{Part, SigningKey, Topics, UnixMillis};

use super::*;
use crate::assignment::AssignedPlan;
use crate::assignment::tests::plan_for;
use crate::engine::{Event, Identity};
use crate::store::{BillKey, MemoryStore, SumKey};
use crate::trace::Folded;
use crate::windows::tests::{digest, report, rules};

const SHARDS: u16 = 2;
const FEEDERS: [&str; 2] = ["feeder-1", "feeder-2"];

fn shard(feeder: &str) -> Shard {
    Shard::of(feeder, SHARDS)
}

/// One of a pool, which holds the shard of the first feeder.
pub(crate) fn engine() -> Engine<MemoryStore> {
    let settings = Settings::defaults();
    let mut plan = plan_for(&FEEDERS);
    plan.shards = SHARDS;
    let held = Arc::new(HeldPlan::new(plan, Vec::new()).unwrap());
    let id: wire::AnalyticsId = "one".parse().unwrap();
    let identity = Identity {
        deployment: settings.deployment.id.clone(),
        id: id.clone(),
        key: SigningKey::from_bytes(&[1; 32]),
        topics: Topics::new(&settings.deployment.root).unwrap(),
        receipt_entries: 100,
        first_wait_ms: 5_000,
    };
    let mut engine = Engine::sharing(identity, &held, rules(), MemoryStore::default());
    engine.use_plan(Arc::new(AssignedPlan::new(held, id)), Arc::default());
    let lease = Lease {
        shard: shard(FEEDERS[0]),
        fence: Fence(1),
    };
    assert!(engine.hold(&[lease]).unwrap());
    engine
}

/// A group of a bill that is to go.
fn group(feeder: &str) -> BillKey {
    let report = report(1, 0);
    BillKey {
        feeder: feeder.parse().unwrap(),
        period: report.window,
        meter: report.meter,
        epoch: report.epoch,
        plan_version: report.plan_version,
        bands: BillKey::named(&[0]),
    }
}

#[test]
fn what_is_of_a_shard_that_is_not_held_is_dropped_and_nobody_was_fenced() {
    telemetry::install_metrics();
    assert_ne!(shard(FEEDERS[0]), shard(FEEDERS[1]));
    let mut engine = engine();
    engine.drop_bill(&[group(FEEDERS[1])]);
    engine.commit().unwrap();
    assert!(engine.holds(shard(FEEDERS[0])) && !engine.holds(shard(FEEDERS[1])));
    let text = telemetry::render_metrics();
    let fenced = "cipherwatt_analytics_shards_fenced_total";
    let counted = text.lines().find(|line| line.starts_with(fenced));
    assert!(
        counted.is_none_or(|line| line.ends_with(" 0")),
        "{counted:?}"
    );
}

#[test]
fn nothing_is_said_of_reports_whose_shard_was_lost_before_their_commit() {
    let mut engine = engine();
    for feeder in FEEDERS {
        let ready = &mut engine.ready;
        ready.sealed_at.push((shard(feeder), UnixMillis(1)));
        let feeder: FeederId = feeder.parse().unwrap();
        let window = report(1, 0).window;
        ready.folded.push(Folded {
            feeder: feeder.clone(),
            window,
            digest: digest(1),
        });
        ready.events.push(Event::Settled(SumKey {
            feeder,
            window,
            part: Part(0),
        }));
    }
    engine.let_go(&[shard(FEEDERS[0])]);
    let [(kept, _)] = engine.ready.sealed_at[..] else {
        panic!("{:?}", engine.ready.sealed_at);
    };
    assert_eq!(kept, shard(FEEDERS[1]));
    let folded = engine.ready.folded.iter();
    let folded: Vec<_> = folded.map(|folded| folded.feeder.as_str()).collect();
    assert_eq!(folded, [FEEDERS[1]]);
    assert_eq!(engine.ready.events.len(), 1);
}
