//! What does not change between cases: ids, keys, plans, and the reports, which are sealed once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use analytics::AssignedPlan;
use bytes::Bytes;
use packed::ADDITIVE;
use service::config::Settings;
use service::trust::{HeldPlan, Roster};
use wire::{
    AnalyticsEntry, AnalyticsId, Digest, EpochPlan, FeederPlan, KeyEpoch, Plan, PlanVersion,
    Report, RosterEntry, RosterPage, Sequence, SigningKey, Topics, UnixMillis, Watts, WindowStart,
};

pub(crate) const HOUR: u64 = 3600;
/// The first window.
pub(crate) const START: u64 = 1_699_999_200;
pub(crate) const WINDOWS: u64 = 9;
pub(crate) const FEEDERS: usize = 2;
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
    /// The keys of the two analytics services.
    pub(crate) analytics: [SigningKey; 2],
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
    (0..2).find(|index| service(*index) == *id).unwrap()
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
}

impl Stage {
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Whole => Self::GivenUp,
            Self::GivenUp | Self::Moved => Self::Moved,
        }
    }

    /// The service that adds for a feeder.
    pub(crate) fn owner(self, feeder: usize) -> Option<usize> {
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

/// Word `index` of a ciphertext. Words 0 and 1 are a ledger: word `variant` has 1 in the meter's hexadecimal digit, so
/// that a sum says how often it contains each meter's each variant. The others differ between all ciphertexts.
pub(crate) fn word(slot: Slot, under_second: bool, variant: u8, index: u64) -> u64 {
    match index {
        0 | 1 if index == u64::from(variant) => 1 << (4 * slot.meter),
        0 | 1 => 0,
        _ => {
            let seed = (slot.feeder as u64) << 40
                | (slot.meter as u64) << 30
                | slot.window << 20
                | u64::from(under_second) << 10
                | u64::from(variant);
            let mixed = (seed ^ index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) % ADDITIVE.moduli[0]
        }
    }
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
            gateway: gateway(slot),
            capacity_w: Watts(10_000),
            key: meter_key.verifying_key(),
        };
        let page = RosterPage {
            version: 1,
            page: 0,
            pages: 1,
            entries: slots.map(entry).collect(),
        };
        Self {
            plans: [plan(&settings, false), plan(&settings, true)],
            roster: Roster::from_pages([page]).unwrap(),
            analytics: [2, 3].map(|seed| SigningKey::from_bytes(&[seed; 32])),
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
        };
        let held = HeldPlan::new(plan, Vec::new()).unwrap();
        AssignedPlan::new(Arc::new(held), service(index))
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
        let words: Vec<u64> = (0..ADDITIVE.words() as u64)
            .map(|index| word(slot, differs, variant, index))
            .collect();
        let limbs = packed::pack(&ADDITIVE, &words).unwrap();
        let report = Report {
            plan_version,
            epoch,
            feeder: feeder(slot.feeder),
            meter: meter(slot),
            gateway: gateway(slot),
            window: start(slot.window),
            sequence: Sequence(slot.window),
            sealed_at: NOW,
            clamped: 1,
            missing: 0,
        };
        let topic = self.topics.report(&report.feeder, &report.meter);
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
        reference_wh: 1 << (15 + since),
        since: PlanVersion(since),
        first_window: first,
    };
    let epoch = |epoch: u32, first: WindowStart| EpochPlan {
        epoch: KeyEpoch(epoch),
        fingerprint: [epoch as u8; 32],
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
        interval_s: 3600,
        batch: 1,
        layout: "profile".parse().unwrap(),
        profile: "additive".parse().unwrap(),
        min_meters: MIN_METERS,
        feeders,
        epochs,
        analytics: Vec::new(),
    }
}
