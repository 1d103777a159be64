//! A plan and a roster as several tests begin with them: one feeder, one epoch, one analytics service.

#[allow(dead_code, reason = "each test file uses a part")]
pub(crate) mod scene;

use service::config::Settings;
use wire::{
    AnalyticsEntry, CapacityClass, EpochPlan, FeederPlan, KeyEpoch, MAX_UNIX_SECONDS, MaskKey,
    Plan, PlanVersion, RosterEntry, UnixSeconds, VerifyingKey, WindowStart,
};

/// Windows of one hour. The analytics service has `key`.
pub(crate) fn plan(settings: &Settings, key: VerifyingKey) -> Plan {
    Plan {
        deployment: settings.deployment.id.clone(),
        version: PlanVersion(1),
        valid_until: Some(UnixSeconds(MAX_UNIX_SECONDS)),
        interval_s: 3600,
        batch: 1,
        time_zone: None,
        layout: "profile".parse().unwrap(),
        histogram_edges_wh: Vec::new(),
        min_meters: 15,
        min_meters_before: Vec::new(),
        tariff: None,
        feeders: vec![FeederPlan {
            feeder: "feeder-1".parse().unwrap(),
            areas: None,
            profile: "additive".parse().unwrap(),
            reference_wh: 1 << 16,
            quantum_wh: 1,
            square_unit_wh2: None,
            rating_wh: None,
            max_meters: 255,
            since: PlanVersion(1),
            first_window: WindowStart(0),
        }],
        epochs: vec![EpochPlan {
            epoch: KeyEpoch(1),
            fingerprint: [1; 32],
            mask_key: MaskKey([9; 32]),
            first_window: WindowStart(0),
            key_len: 1,
        }],
        analytics: vec![AnalyticsEntry {
            id: "analytics-1".parse().unwrap(),
            key,
            feeders: Vec::new(),
        }],
        shards: 1,
        pool: Vec::new(),
        holders: Vec::new(),
    }
}

/// `meter-N`, with number N on the feeder.
pub(crate) fn entry(meter: u32, key: VerifyingKey) -> RosterEntry {
    RosterEntry {
        meter: format!("meter-{meter}").parse().unwrap(),
        feeder: "feeder-1".parse().unwrap(),
        number: meter,
        gateway: "gateway-1".parse().unwrap(),
        capacity: CapacityClass::MAX,
        key,
        mask_key: MaskKey([9; 32]),
        billing: false,
    }
}
