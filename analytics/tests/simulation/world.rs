//! What does not change between cases: ids, keys, plans, and the reports, which are sealed once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use analytics::AssignedPlan;
use bytes::Bytes;
use packed::layout::{Layout, Shape};
use packed::{ADDITIVE, RING};
use service::config::Settings;
use service::trust::{HeldPlan, Roster};
use wire::{
    AnalyticsEntry, AnalyticsId, CapacityClass, Digest, EpochPlan, FeederPlan, KeyEpoch, MaskKey,
    Plan, PlanVersion, PoolEntry, Report, RosterEntry, RosterPage, Salt, SigningKey, Topics,
    UnixMillis, Watts, WindowStart,
};

pub(crate) const HOUR: u64 = 3600;
/// The first window.
pub(crate) const START: u64 = 1_699_999_200;
pub(crate) const WINDOWS: u64 = 9;
pub(crate) const FEEDERS: usize = 2;
/// The two feeders are in two of them.
pub(crate) const SHARDS: u16 = 4;
/// The feeder that one service hands over to the other.
pub(crate) const HANDED_OVER: usize = 1;
/// Meters on each feeder.
pub(crate) const METERS: usize = 7;
pub(crate) const MIN_METERS: u32 = 3;
/// Windows whose contributors are remembered.
pub(crate) const RETENTION_WINDOWS: u64 = 4;
pub(crate) const NOW: UnixMillis = UnixMillis((START + 1000 * HOUR) * 1000);
/// The first window with the second epoch.
pub(crate) const SECOND_EPOCH: u64 = 4;
/// The first window with the second feeder's new setting.
pub(crate) const SECOND_SETTING: u64 = 5;

/// One report: a meter's ciphertext for a window under a plan. Variants are different ciphertexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) feeder: usize,
    pub(crate) meter: usize,
    /// Number of the window.
    pub(crate) window: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) digest: Digest,
}

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) topics: Topics,
    pub(crate) roster: Roster,
    pub(crate) plans: [Plan; 2],
    /// The keys of the analytics services.
    pub(crate) analytics: [SigningKey; 3],
    meter: SigningKey,
    sealed: Mutex<HashMap<(Slot, bool, u8), Arc<Sealed>>>,
}

pub(crate) static WORLD: LazyLock<World> = LazyLock::new(World::new);

pub(crate) fn feeder(index: usize) -> wire::FeederId {
    format!("feeder-{index}").parse().unwrap()
}

pub(crate) fn meter(slot: Slot) -> wire::MeterId {
    format!("meter-{}-{}", slot.feeder, slot.meter)
        .parse()
        .unwrap()
}

/// The name of an analytics service.
pub(crate) fn service(index: usize) -> AnalyticsId {
    format!("analytics-{}", index + 1).parse().unwrap()
}

/// The service of this name.
pub(crate) fn service_of(id: &AnalyticsId) -> usize {
    (0..3).find(|index| service(*index) == *id).unwrap()
}

/// How far the second feeder has been handed over from the first service to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The first service adds for all feeders.
    Whole,
    /// It has given the feeder up.
    GivenUp,
    /// The second service adds for it.
    Moved,
    /// All services are of a pool, and nothing is handed over.
    Pool,
}

impl Stage {
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Whole => Self::GivenUp,
            Self::GivenUp | Self::Moved => Self::Moved,
            Self::Pool => Self::Pool,
        }
    }

    /// Whether what a service says of a feeder counts.
    pub(crate) fn counts(self, feeder: usize, service: usize) -> bool {
        self == Self::Pool || self.owner(feeder) == Some(service)
    }

    /// The service that adds for a feeder.
    fn owner(self, feeder: usize) -> Option<usize> {
        match (feeder, self) {
            (HANDED_OVER, Self::GivenUp) => None,
            (HANDED_OVER, Self::Moved) => Some(1),
            _ => Some(0),
        }
    }
}

/// Meters of both feeders are behind each gateway.
pub(crate) fn gateway(slot: Slot) -> wire::GatewayId {
    format!("gateway-{}", slot.meter % 2).parse().unwrap()
}

pub(crate) fn start(window: u64) -> WindowStart {
    WindowStart(START + window * HOUR)
}

/// The slot that a message names.
pub(crate) fn slot_of(meter: &wire::MeterId, window: WindowStart) -> Slot {
    let mut numbers = meter
        .as_str()
        .split('-')
        .skip(1)
        .map(|text| text.parse().unwrap());
    Slot {
        feeder: numbers.next().unwrap(),
        meter: numbers.next().unwrap(),
        window: (window.0 - START) / HOUR,
    }
}

/// A report as sealed: a slot, whether under the second plan (where the two plans differ on it), and the variant.
pub(crate) type Seal = (Slot, bool, u8);

/// The coefficients of a report.
pub(crate) fn coefficients() -> usize {
    Shape::new(Layout::Profile, 1).unwrap().coefficients()
}

/// Words of a sum.
pub(crate) fn words() -> usize {
    coefficients() + RING.dimension
}

fn number_of((slot, under_second, variant): Seal) -> u64 {
    (slot.feeder as u64) << 40
        | (slot.meter as u64) << 30
        | slot.window << 20
        | u64::from(under_second) << 10
        | u64::from(variant)
}

/// The salt of a report. It says which it is, as the mask that a real one stands for does.
pub(crate) fn salt(seal: Seal) -> Salt {
    Salt(number_of(seal).to_be_bytes())
}

/// The report with this salt.
pub(crate) fn sealed_with(salt: Salt) -> Seal {
    let number = u64::from_be_bytes(salt.0);
    let slot = Slot {
        feeder: (number >> 40) as usize,
        meter: (number >> 30 & 0x3ff) as usize,
        window: number >> 20 & 0x3ff,
    };
    (slot, number >> 10 & 1 == 1, number as u8)
}

/// Word `index` of a ciphertext, without the low bits that are dropped. Words 0 and 1 are a ledger: word `variant` has 1 in
/// the meter's hexadecimal digit, so that a sum says how often it contains each meter's each variant. The others differ
/// between all ciphertexts.
pub(crate) fn word(seal: Seal, index: usize) -> u64 {
    let (slot, _, variant) = seal;
    match index {
        0 | 1 if index == usize::from(variant) => 1 << (4 * slot.meter),
        0 | 1 => 0,
        _ => {
            let mixed = (number_of(seal) ^ index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed % RING.modulus) >> ADDITIVE.dropped[usize::from(index >= coefficients())]
        }
    }
}

/// The ciphertext of a report.
fn limbs(seal: Seal) -> Vec<u8> {
    let [t0, t1] = ADDITIVE.dropped;
    let c0: Vec<u64> = (0..coefficients())
        .map(|index| word(seal, index) << t0)
        .collect();
    let c1: Vec<u64> = (coefficients()..words())
        .map(|index| word(seal, index) << t1)
        .collect();
    let mut limbs = Vec::new();
    packed::report::pack(&ADDITIVE, &c0, &c1, &mut limbs).unwrap();
    limbs
}

/// The sum of some reports, word by word, as it is to be released.
pub(crate) fn sum_of(seals: &[Seal]) -> Vec<u64> {
    let word = |index| seals.iter().map(|seal| word(*seal, index)).sum::<u64>() % RING.modulus;
    (0..words()).map(word).collect()
}

/// Which version of the feeder's setting and which epoch a plan has for a window.
pub(crate) fn governing(plan: &Plan, feeder_index: usize, window: u64) -> (PlanVersion, KeyEpoch) {
    let (feeder, window) = (feeder(feeder_index), start(window));
    (
        plan.feeder(&feeder, window).unwrap().since,
        plan.epoch_for(window).unwrap().epoch,
    )
}

impl World {
    fn new() -> Self {
        let settings = Settings::defaults();
        let topics = Topics::new(&settings.deployment.root).unwrap();
        let meter_key = SigningKey::from_bytes(&[1; 32]);
        let slots = (0..FEEDERS).flat_map(|feeder| {
            (0..METERS).map(move |meter| Slot {
                feeder,
                meter,
                window: 0,
            })
        });
        let entry = |slot: Slot| RosterEntry {
            meter: meter(slot),
            feeder: feeder(slot.feeder),
            number: slot.meter as u32,
            gateway: gateway(slot),
            capacity: CapacityClass::of(Watts(10_000)).unwrap(),
            key: meter_key.verifying_key(),
            mask_key: MaskKey([9; 32]),
            billing: false,
        };
        let page = RosterPage {
            version: 1,
            page: 0,
            pages: 1,
            entries: slots.map(entry).collect(),
            countersignatures: Vec::new(),
        };
        Self {
            plans: [plan(&settings, false), plan(&settings, true)],
            roster: Roster::from_pages([page]).unwrap(),
            analytics: [2, 3, 4].map(|seed| SigningKey::from_bytes(&[seed; 32])),
            meter: meter_key,
            topics,
            settings,
            sealed: Mutex::default(),
        }
    }

    /// The first plan or the second, as it concerns a service.
    pub(crate) fn assigned(&self, second_plan: bool, stage: Stage, index: usize) -> AssignedPlan {
        let entry = |index: usize, feeders: &[usize]| AnalyticsEntry {
            id: service(index),
            key: self.analytics[index].verifying_key(),
            feeders: feeders.iter().map(|index| feeder(*index)).collect(),
        };
        let mut plan = self.plans[usize::from(second_plan)].clone();
        plan.analytics = match stage {
            Stage::Whole => vec![entry(0, &[])],
            Stage::GivenUp => vec![entry(0, &[0])],
            Stage::Moved => vec![entry(0, &[0]), entry(1, &[HANDED_OVER])],
            Stage::Pool => Vec::new(),
        };
        let pool = (stage == Stage::Pool).then(|| AnalyticsId::try_from("pool").unwrap());
        if let Some(pool) = &pool {
            let members = self.analytics.iter().enumerate();
            let members = members.map(|(index, key)| PoolEntry {
                pool: pool.clone(),
                analytics: service(index),
                key: key.verifying_key(),
            });
            plan.pool = members.collect();
        }
        let held = HeldPlan::new(plan, Vec::new()).unwrap();
        AssignedPlan::new(Arc::new(held), service(index)).in_pool(pool)
    }

    /// The report of a slot as sealed under the first plan or the second.
    pub(crate) fn report(&self, slot: Slot, second_plan: bool, variant: u8) -> Arc<Sealed> {
        let mut sealed = self.sealed.lock().unwrap();
        let entry = sealed.entry((slot, second_plan, variant));
        entry
            .or_insert_with(|| Arc::new(self.seal(slot, second_plan, variant)))
            .clone()
    }

    fn seal(&self, slot: Slot, second_plan: bool, variant: u8) -> Sealed {
        let plan = &self.plans[usize::from(second_plan)];
        let (plan_version, epoch) = governing(plan, slot.feeder, slot.window);
        // Plans that agree on the window make the same report.
        let differs = governing(&self.plans[0], slot.feeder, slot.window) != (plan_version, epoch);
        let limbs = limbs((slot, differs, variant));
        let report = Report {
            plan_version,
            epoch,
            feeder: feeder(slot.feeder),
            meter: meter(slot),
            gateway: gateway(slot),
            window: start(slot.window),
            salt: salt((slot, differs, variant)),
            sealed_at: NOW,
        };
        let topic = self
            .topics
            .report(plan.shard(&report.feeder), &report.feeder, &report.meter);
        let deployment = &self.settings.deployment.id;
        let (payload, digest) = wire::seal(&report, Some(&limbs), deployment, &topic, &self.meter);
        Sealed {
            topic,
            payload: payload.into(),
            digest,
        }
    }
}

fn plan(settings: &Settings, second: bool) -> Plan {
    let setting = |index: usize, since: u64, first: WindowStart| FeederPlan {
        feeder: feeder(index),
        areas: None,
        profile: "additive".parse().unwrap(),
        reference_wh: 1 << (15 + since),
        quantum_wh: 1,
        square_unit_wh2: None,
        rating_wh: None,
        max_meters: 255,
        since: PlanVersion(since),
        first_window: first,
    };
    let epoch = |epoch: u32, first: WindowStart| EpochPlan {
        epoch: KeyEpoch(epoch),
        fingerprint: [epoch as u8; 32],
        mask_key: MaskKey([9; 32]),
        first_window: first,
        key_len: 1,
    };
    let mut feeders: Vec<FeederPlan> = (0..FEEDERS)
        .map(|index| setting(index, 1, WindowStart(0)))
        .collect();
    let mut epochs = vec![epoch(1, WindowStart(0))];
    if second {
        feeders.push(setting(1, 2, start(SECOND_SETTING)));
        epochs.push(epoch(2, start(SECOND_EPOCH)));
    }
    Plan {
        deployment: settings.deployment.id.clone(),
        version: PlanVersion(1 + u64::from(second)),
        valid_until: Some(wire::UnixSeconds(wire::MAX_UNIX_SECONDS)),
        interval_s: 3600,
        batch: 1,
        time_zone: None,
        layout: "profile".parse().unwrap(),
        histogram_edges_wh: Vec::new(),
        min_meters: MIN_METERS,
        min_meters_before: Vec::new(),
        tariff: None,
        feeders,
        epochs,
        analytics: Vec::new(),
        shards: SHARDS,
        pool: Vec::new(),
        holders: Vec::new(),
    }
}
