//! The processor time of one report in analytics, on one core and by part: decode, verify, fold. DESIGN's budget is 60 µs.

use std::hint::black_box;
use std::time::Duration;

use analytics::engine::{Engine, Identity};
use analytics::store::MemoryStore;
use analytics::windows::Rules;
use analytics::{Admission, AssignedPlan, Incoming, TOGETHER, verify};
use bytes::Bytes;
use packed::{ADDITIVE, Accumulator};
use rustix::time::{ClockId, clock_gettime};
use service::config::Settings;
use service::trust::Roster;
use wire::{
    Awaiting, Digest, EpochPlan, FeederPlan, GatewayId, KeyEpoch, MeterId, Plan, PlanVersion,
    Receipt, ReceiptEntry, Report, RosterEntry, RosterPage, Sequence, SigningKey, Status, Topic,
    Topics, UnixMillis, Unverified, VerifyingKey, Watts, WindowStart,
};

/// Reports from as many meters: 27 MB, more than the caches hold.
const REPORTS: usize = 1_024;
const ROUNDS: usize = 15;
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const WINDOW: WindowStart = WindowStart(1_699_992_000);

struct World {
    settings: Settings,
    topics: Topics,
    plan: Plan,
    roster: Roster,
    incoming: Vec<Incoming>,
}

impl World {
    fn meter(&self, message: &Incoming) -> MeterId {
        match self.topics.parse(&message.topic) {
            Some(Topic::Report { meter, .. }) => meter,
            _ => unreachable!("all of them came on topics of reports"),
        }
    }

    fn decode(&self, message: &Incoming) -> Unverified<Report> {
        let max = self.settings.mqtt.max_packet_bytes;
        wire::decode_shared(&message.payload, max).expect("a report")
    }

    fn key(&self, report: &Unverified<Report>) -> &VerifyingKey {
        let meter = &report.claimed().meter;
        self.roster.meter(meter).expect("an enrolled meter").key
    }

    fn engine(&self) -> Engine<MemoryStore> {
        let identity = Identity {
            deployment: self.settings.deployment.id.clone(),
            id: self.settings.analytics.id.clone(),
            key: SigningKey::from_bytes(&[2; 32]),
            topics: self.topics.clone(),
            receipt_entries: 256,
        };
        let rules = Rules {
            min_meters: 15,
            grace_s: 3600,
            idle_limit_ms: 30_000,
            retention_s: 7 * 86_400,
            max_open: 10,
            max_feeders: 10,
            max_hot: 10,
            fingerprint_bits: 32,
        };
        Engine::start(identity, &self.plan, rules, MemoryStore::default()).expect("an empty store")
    }
}

fn plan(settings: &Settings) -> Plan {
    Plan {
        deployment: settings.deployment.id.clone(),
        version: PlanVersion(1),
        interval_s: 3600,
        batch: 1,
        layout: "profile".parse().expect("a name"),
        profile: "additive".parse().expect("a name"),
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
        analytics: vec![wire::AnalyticsEntry {
            id: settings.analytics.id.clone(),
            key: SigningKey::from_bytes(&[2; 32]).verifying_key(),
            feeders: Vec::new(),
        }],
    }
}

fn world() -> World {
    let settings = Settings::defaults();
    let topics = Topics::new(&settings.deployment.root).expect("the default root");
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
        plan: plan(&settings),
        settings,
        topics,
        roster: Roster::from_pages([page]).expect("a roster"),
        incoming,
    }
}

/// Processor time of this thread.
fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// A part of the work, done for all reports.
type Part<'a> = (String, Box<dyn Fn() + 'a>);

fn part<'a>(name: impl Into<String>, work: impl Fn() + 'a) -> Part<'a> {
    (name.into(), Box::new(work))
}

fn parts<'a>(world: &'a World, admission: &'a Admission<'a>) -> Vec<Part<'a>> {
    let mut parts = before_signatures(world);
    parts.extend(signatures(world));
    parts.push(part("fold", || fold(world)));
    parts.push(part("receipts, 256 to a message", || receipts(world)));
    let engine = |alone: bool| {
        move || {
            let mut engine = world.engine();
            let verdicts = match alone {
                true => (world.incoming.iter())
                    .map(|message| admission.admit(&message.topic, &message.payload))
                    .collect(),
                false => verify(admission, &world.incoming, 1),
            };
            engine.fold(verdicts, 0).expect("a store in memory");
            black_box(engine);
        }
    };
    parts.push(part("all of it, signatures alone", engine(true)));
    let together = format!("all of it, {TOGETHER} signatures together");
    parts.push(part(together, engine(false)));
    parts
}

fn before_signatures(world: &World) -> Vec<Part<'_>> {
    vec![
        part("decode", || {
            for message in &world.incoming {
                black_box(world.decode(message));
            }
        }),
        part("topic and roster", || {
            for message in &world.incoming {
                black_box(world.topics.parse(&message.topic));
                black_box(world.roster.meter(&world.meter(message)));
            }
        }),
        part("digest", || {
            for message in &world.incoming {
                black_box(Digest::of(&message.payload));
            }
        }),
    ]
}

fn signatures(world: &World) -> Vec<Part<'_>> {
    let deployment = &world.settings.deployment.id;
    let mut parts = vec![part("decode, digest, signature alone", move || {
        for message in &world.incoming {
            let unverified = world.decode(message);
            let key = world.key(&unverified);
            let opened = unverified.verify(deployment, &message.topic, key);
            black_box(opened.expect("a good signature"));
        }
    })];
    for together in [16, 32, 64, 128, 256] {
        let name = format!("decode, digest, {together} signatures together");
        parts.push(part(name, move || {
            for chunk in world.incoming.chunks(together) {
                let awaiting = chunk.iter().map(|message| {
                    let unverified = world.decode(message);
                    Awaiting {
                        key: world.key(&unverified),
                        topic: &message.topic,
                        unverified,
                    }
                });
                let opened = wire::verify_all(awaiting.collect(), deployment);
                assert!(opened.iter().all(Result::is_ok));
                black_box(opened);
            }
        }));
    }
    parts
}

fn fold(world: &World) {
    let mut sum = Accumulator::new(&ADDITIVE);
    let limbs = ADDITIVE.packed_len();
    for message in &world.incoming {
        let (_, limbs) = message.payload.split_at(message.payload.len() - limbs);
        sum.add(limbs).expect("a good ciphertext");
    }
    black_box(sum);
}

fn receipts(world: &World) {
    let key = SigningKey::from_bytes(&[2; 32]);
    let gateway: GatewayId = "gateway-1".parse().expect("an id");
    let topic = world.topics.receipt(&gateway);
    for chunk in world.incoming.chunks(256) {
        let entries = chunk.iter().map(|message| ReceiptEntry {
            meter: world.meter(message),
            window: WINDOW,
            digest: Digest([1; 32]),
            status: Status::Folded,
        });
        let receipt = Receipt {
            analytics: world.settings.analytics.id.clone(),
            gateway: gateway.clone(),
            entries: entries.collect(),
        };
        let deployment = &world.settings.deployment.id;
        black_box(wire::seal(&receipt, None, deployment, &topic, &key));
    }
}

/// Prints the processor time of each part, as the median and the range over rounds in which the parts take turns.
fn main() {
    let world = world();
    let assigned = AssignedPlan::new(world.plan.clone(), world.settings.analytics.id.clone());
    let admission = Admission::new(
        &world.settings,
        &world.topics,
        &assigned,
        &world.roster,
        NOW,
    )
    .expect("a plan");
    let parts = parts(&world, &admission);
    let mut took = vec![Vec::new(); parts.len()];
    for _ in 0..ROUNDS {
        for ((_, part), took) in parts.iter().zip(&mut took) {
            let before = cpu();
            part();
            took.push((cpu() - before).as_secs_f64() * 1e6 / REPORTS as f64);
        }
    }
    println!(
        "processor time a report, µs: median (range) of {ROUNDS} rounds over {REPORTS} reports"
    );
    for ((name, _), mut took) in parts.iter().zip(took) {
        took.sort_by(f64::total_cmp);
        let (least, median, most) = (took[0], took[ROUNDS / 2], took[ROUNDS - 1]);
        println!("{name:42} {median:6.1} ({least:.1} to {most:.1})");
    }
}
