//! The memory of analytics: the real engine on its file, with the roster, and every meter's report of every window folded.
//!
//! `cargo bench -p analytics --bench memory -- [--feeders 1000] [--meters 1000] [--windows 2] [--commit 4096]`, the meters
//! being those of each feeder. It prints what the kernel counts as resident now and at the peak (VmRSS, VmHWM) after each
//! step, and then starts another process on the file. The target is 256 MB, at these defaults.
//!
//! Reports are verified and folded as they are in the service, in lots of 512; those of a commit are of all feeders in turn,
//! which makes it rewrite as many sums as it can. They are sealed here too, with keys made of the meters' numbers: the
//! time it prints includes that, the memory hardly.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use analytics::engine::{Engine, Identity, Rules};
use analytics::store::FileStore;
use analytics::{Admission, AssignedPlan, Incoming, Verifier};
use bytes::Bytes;
use clap::Parser;
use packed::layout::{Layout, Shape};
use packed::{ADDITIVE, RING};
use service::config::Settings;
use service::trust::{HeldPlan, Roster};
use wire::{
    CapacityClass, Digest, EpochPlan, FeederId, FeederPlan, KeyEpoch, MaskKey, Plan, PlanVersion,
    Report, RosterEntry, RosterPage, Salt, SigningKey, Topics, UnixMillis, Watts, WindowStart,
};

const LOT: u64 = 512;
const PAGE: u64 = 16_384;
const POOL: u64 = 16;
const START: u64 = 1_699_992_000;
const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

#[derive(Debug, Clone, Parser)]
struct Options {
    /// Feeders.
    #[arg(long, default_value_t = 1_000)]
    feeders: u64,
    /// Meters on each feeder.
    #[arg(long, default_value_t = 1_000)]
    meters: u64,
    /// Windows that stay open on each feeder.
    #[arg(long, default_value_t = 2)]
    windows: u64,
    /// Reports in a commit.
    #[arg(long, default_value_t = 4_096)]
    commit: u64,
    /// Only start on this store.
    #[arg(long)]
    reopen: Option<std::path::PathBuf>,
    /// What `cargo bench` passes.
    #[arg(long, hide = true)]
    bench: bool,
}

struct World {
    settings: Settings,
    topics: Topics,
    plan: Plan,
    roster: Roster,
    pool: Vec<(Vec<u8>, Digest)>,
    verifier: Verifier,
}

fn key(meter: u64) -> SigningKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&meter.to_le_bytes());
    SigningKey::from_bytes(&seed)
}

fn main() {
    let options = Options::parse();
    let began = Instant::now();
    let world = World::new(&options);
    shown("with the roster", began);
    if let Some(path) = &options.reopen {
        let engine = world.engine(path);
        shown("started again", began);
        drop(engine);
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sums.redb");
    let mut engine = world.engine(&path);
    for window in 0..options.windows {
        world.fold(&mut engine, &options, window);
        shown(&format!("window {} folded", window + 1), began);
    }
    let receipts = world.fold_again(&mut engine, &options);
    shown(&format!("{receipts} duplicates answered"), began);
    drop(engine);
    let length = path.metadata().expect("a file").len();
    println!("store: {:.0} MB", length as f64 / 1e6);
    let program = std::env::current_exe().expect("this program");
    let again = std::process::Command::new(program)
        .args(["--feeders", &options.feeders.to_string()])
        .args(["--meters", &options.meters.to_string()])
        .arg("--reopen")
        .arg(&path)
        .status();
    assert!(again.expect("another process").success());
}

fn shown(what: &str, began: Instant) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let mb = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) * 1024.0 / 1e6
    };
    println!(
        "{what:24} resident {:6.1} MB, at the peak {:6.1} MB, after {:5.1} s",
        mb("VmRSS"),
        mb("VmHWM"),
        began.elapsed().as_secs_f64()
    );
}

fn feeder(index: u64) -> FeederId {
    format!("feeder-{index}").parse().expect("an id")
}

fn plan(settings: &Settings, options: &Options) -> Plan {
    let mut plan = Plan {
        deployment: settings.deployment.id.clone(),
        version: PlanVersion(1),
        valid_until: Some(wire::UnixSeconds(wire::MAX_UNIX_SECONDS)),
        interval_s: 3600,
        batch: 1,
        time_zone: None,
        layout: "profile".parse().expect("a name"),
        histogram_edges_wh: Vec::new(),
        min_meters: 15,
        min_meters_before: Vec::new(),
        tariff: None,
        feeders: (0..options.feeders)
            .map(|index| FeederPlan {
                feeder: feeder(index),
                areas: None,
                profile: "additive".parse().expect("a name"),
                reference_wh: 1 << 16,
                quantum_wh: 1,
                square_unit_wh2: None,
                rating_wh: None,
                max_meters: 32_767,
                since: PlanVersion(1),
                first_window: WindowStart(0),
            })
            .collect(),
        epochs: vec![EpochPlan {
            epoch: KeyEpoch(1),
            fingerprint: [1; 32],
            mask_key: MaskKey([9; 32]),
            first_window: WindowStart(0),
            key_len: 1,
        }],
        analytics: vec![wire::AnalyticsEntry {
            id: settings.analytics.id.clone(),
            key: SigningKey::from_bytes(&[2; 32]).verifying_key(),
            feeders: Vec::new(),
        }],
        shards: 1,
        pool: Vec::new(),
        holders: Vec::new(),
    };
    plan.sort();
    plan
}

impl World {
    fn new(options: &Options) -> Self {
        let settings = Settings::defaults();
        let all = options.feeders * options.meters;
        let pages = all.div_ceil(PAGE);
        let page = |page: u64| RosterPage {
            version: 1,
            page: page as u16,
            pages: pages as u16,
            entries: (page * PAGE..all.min((page + 1) * PAGE))
                .map(|meter| RosterEntry {
                    meter: format!("meter-{meter:07}").parse().expect("an id"),
                    feeder: feeder(meter % options.feeders),
                    number: (meter / options.feeders) as u32,
                    gateway: format!("gateway-{}", meter % 100).parse().expect("an id"),
                    capacity: CapacityClass::of(Watts(14_490)).expect("a class"),
                    key: key(meter).verifying_key(),
                    mask_key: MaskKey([9; 32]),
                    billing: false,
                })
                .collect(),
            countersignatures: Vec::new(),
        };
        let pool = (0..POOL).map(|seed| {
            let shape = Shape::new(Layout::Profile, 1).expect("one interval");
            let words = shape.coefficients() + RING.dimension;
            let mut c0: Vec<u64> = (0..words as u64)
                .map(|word| {
                    word.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed) % RING.modulus
                })
                .collect();
            let c1 = c0.split_off(shape.coefficients());
            let mut limbs = Vec::new();
            packed::report::pack(&ADDITIVE, &c0, &c1, &mut limbs).expect("residues");
            let digest = Digest::of(&limbs);
            (limbs, digest)
        });
        Self {
            topics: Topics::new(&settings.deployment.root).expect("the default root"),
            plan: plan(&settings, options),
            roster: Roster::from_pages((0..pages).map(page)).expect("a roster"),
            pool: pool.collect(),
            verifier: Verifier::new(0, settings.analytics.known_keys),
            settings,
        }
    }

    fn engine(&self, path: &Path) -> Engine<FileStore> {
        let analytics = &self.settings.analytics;
        let identity = Identity {
            deployment: self.settings.deployment.id.clone(),
            id: analytics.id.clone(),
            key: key(u64::MAX),
            topics: self.topics.clone(),
            receipt_entries: analytics.receipt_max_entries,
            first_wait_ms: 5_000,
        };
        let rules = Rules {
            release: release::Rules::new(self.plan.min_meters),
            grace_s: analytics.grace.as_secs(),
            idle_limit_ms: u64::MAX,
            retention_s: analytics.retention.as_secs(),
            max_open: analytics.max_open_windows,
            max_feeders: analytics.max_feeders,
            max_small: analytics.max_small_sums_per_meter,
            max_hot: analytics.max_hot_sums,
            fingerprint_bits: 32,
        };
        let store = FileStore::open(path, &self.settings.deployment.id).expect("a store");
        Engine::start(identity, &self.held(), rules, store).expect("an engine")
    }

    fn held(&self) -> Arc<HeldPlan> {
        Arc::new(HeldPlan::new(self.plan.clone(), Vec::new()).expect("a plan"))
    }

    fn report(&self, options: &Options, meter: u64, window: u64) -> Incoming {
        let report = Report {
            plan_version: PlanVersion(1),
            epoch: KeyEpoch(1),
            feeder: format!("feeder-{}", meter % options.feeders)
                .parse()
                .expect("an id"),
            meter: format!("meter-{meter:07}").parse().expect("an id"),
            gateway: format!("gateway-{}", meter % 100).parse().expect("an id"),
            window: WindowStart(START + window * 3600),
            salt: Salt((meter ^ (window << 40)).to_be_bytes()),
            sealed_at: NOW,
        };
        let (limbs, digest) = &self.pool[(meter % POOL) as usize];
        let topic = self
            .topics
            .report(wire::Shard(0), &report.feeder, &report.meter);
        let deployment = &self.settings.deployment.id;
        let (signed, _) = wire::sign(&report, Some(*digest), deployment, &topic, &key(meter));
        let payload = Bytes::from(wire::envelope(&signed, Some(limbs)));
        Incoming { topic, payload }
    }

    fn fold_lot(
        &self,
        engine: &mut Engine<FileStore>,
        options: &Options,
        meters: std::ops::Range<u64>,
        window: u64,
    ) {
        let (settings, topics) = (&self.settings, &self.topics);
        let assigned = AssignedPlan::new(self.held(), settings.analytics.id.clone());
        let admission = Admission::new(settings, topics, &assigned, &self.roster, NOW);
        let lot: Vec<_> = meters
            .map(|meter| self.report(options, meter, window))
            .collect();
        let verdicts = self.verifier.verify(&admission, &lot);
        assert!(verdicts.iter().all(Result::is_ok));
        drop(lot);
        engine.fold(verdicts, 0).expect("a store that can be read");
    }

    fn fold(&self, engine: &mut Engine<FileStore>, options: &Options, window: u64) {
        let (all, mut uncommitted) = (options.feeders * options.meters, 0);
        for first in (0..all).step_by(LOT as usize) {
            let last = all.min(first + LOT);
            self.fold_lot(engine, options, first..last, window);
            uncommitted += last - first;
            if uncommitted >= options.commit || last == all {
                engine.commit().expect("a commit");
                uncommitted = 0;
            }
        }
    }

    /// Some reports of the first window come again; returns how many.
    fn fold_again(&self, engine: &mut Engine<FileStore>, options: &Options) -> u64 {
        let some = (options.feeders * options.meters).min(8 * LOT);
        for first in (0..some).step_by(LOT as usize) {
            self.fold_lot(engine, options, first..some.min(first + LOT), 0);
        }
        let effects = engine.commit().expect("a commit");
        let duplicates = effects.events.iter().map(|event| match event {
            analytics::Event::Duplicate(count) => *count,
            _ => 0,
        });
        let duplicates = duplicates.sum();
        assert_eq!(duplicates, some);
        duplicates
    }
}
