//! The CPU cost of one report in analytics: decode, verify, fold. DESIGN's budget is 60 µs.

use std::hint::black_box;

use analytics::admit::Admission;
use analytics::engine::Incoming;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use packed::{ADDITIVE, Accumulator};
use service::config::Settings;
use service::roster::Roster;
use wire::{
    EpochPlan, FeederPlan, KeyEpoch, Plan, PlanVersion, Report, RosterEntry, RosterPage, Sequence,
    SigningKey, Topics, UnixMillis, Watts, WindowStart,
};

/// Reports from as many meters: 27 MB, more than the caches hold.
const REPORTS: usize = 1_000;
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const WINDOW: WindowStart = WindowStart(1_699_992_000);

struct World {
    settings: Settings,
    topics: Topics,
    plan: Plan,
    roster: Roster,
    incoming: Vec<Incoming>,
}

fn world() -> World {
    let settings = Settings::defaults();
    let topics = Topics::new(&settings.deployment.root).expect("the default root");
    let plan = Plan {
        deployment: settings.deployment.id.clone(),
        version: PlanVersion(1),
        interval_s: 3600,
        batch: 1,
        layout: "profile".into(),
        profile: "additive".into(),
        min_meters: 15,
        feeders: vec![FeederPlan {
            feeder: "feeder-1".parse().expect("an id"),
            reference_wh: 1 << 16,
            since: PlanVersion(1),
            first_window: WindowStart(0),
        }],
        epochs: vec![EpochPlan {
            epoch: KeyEpoch(1),
            fingerprint: [1; 32],
            first_window: WindowStart(0),
            key_len: 1,
        }],
        analytics: Vec::new(),
    };
    let (mut entries, mut incoming) = (Vec::new(), Vec::new());
    for index in 0..REPORTS {
        let key = SigningKey::generate();
        let report = Report {
            plan_version: PlanVersion(1),
            epoch: KeyEpoch(1),
            feeder: "feeder-1".parse().expect("an id"),
            meter: format!("meter-{index:06}").parse().expect("an id"),
            gateway: "gateway-1".parse().expect("an id"),
            window: WINDOW,
            sequence: Sequence(1),
            sealed_at: NOW,
            clamped: 0,
            missing: 0,
        };
        let words: Vec<u64> = (0..ADDITIVE.words() as u64)
            .map(|word| (word * 0x9e37_79b9_7f4a_7c15 + index as u64) % ADDITIVE.moduli[0])
            .collect();
        let limbs = packed::pack(&ADDITIVE, &words).expect("words below the modulus");
        let topic = topics.report(&report.feeder, &report.meter);
        let (payload, _) = wire::seal(&report, Some(&limbs), &settings.deployment.id, &topic, &key);
        entries.push(RosterEntry {
            meter: report.meter,
            feeder: report.feeder,
            gateway: report.gateway,
            capacity_w: Watts(14_490),
            key: key.verifying_key(),
        });
        incoming.push(Incoming {
            topic,
            payload: Bytes::from(payload),
        });
    }
    let page = RosterPage {
        version: 1,
        page: 0,
        pages: 1,
        entries,
    };
    World {
        settings,
        topics,
        plan,
        roster: Roster::from_pages([page]).expect("a roster"),
        incoming,
    }
}

fn reports(criterion: &mut Criterion) {
    let world = world();
    let admission = Admission::new(
        &world.settings,
        &world.topics,
        &world.plan,
        &world.roster,
        NOW,
    )
    .expect("a plan");
    let mut group = criterion.benchmark_group("analytics");
    group
        .throughput(Throughput::Elements(REPORTS as u64))
        .sample_size(20);
    group.bench_function("decode + verify", |bencher| {
        bencher.iter(|| {
            for message in &world.incoming {
                black_box(admission.admit(&message.topic, &message.payload).is_ok());
            }
        });
    });
    group.bench_function("decode + verify + fold", |bencher| {
        bencher.iter_batched_ref(
            || Accumulator::new(&ADDITIVE),
            |sum| {
                for message in &world.incoming {
                    let admitted = admission
                        .admit(&message.topic, &message.payload)
                        .expect("a good report");
                    sum.add(&admitted.limbs).expect("a good ciphertext");
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, reports);
criterion_main!(benches);
