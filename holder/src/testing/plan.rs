//! A plan with holders.

use wire::{
    Agreement, AnalyticsEntry, Areas, DeploymentId, EpochPlan, FeederPlan, KeyEpoch, MaskKey, Plan,
    PlanVersion, SigningKey, WindowStart,
};

use super::{FEEDERS, id};

/// Hourly intervals, windows of four, two feeders of one area.
pub(super) fn plan(agreement: Agreement, analytics: &SigningKey) -> Plan {
    let setting = |feeder: &str| FeederPlan {
        feeder: id(feeder),
        areas: Some(Areas {
            transformer: id("area-1"),
            substation: None,
        }),
        profile: id("additive"),
        reference_wh: 16_384,
        quantum_wh: 1,
        square_unit_wh2: None,
        rating_wh: None,
        max_meters: 1_023,
        since: PlanVersion(2),
        first_window: WindowStart(0),
    };
    Plan {
        deployment: DeploymentId::try_from("dev").unwrap(),
        version: PlanVersion(3),
        valid_until: Some(wire::UnixSeconds(wire::MAX_UNIX_SECONDS)),
        interval_s: 3600,
        batch: 4,
        time_zone: None,
        layout: id("profile"),
        histogram_edges_wh: Vec::new(),
        min_meters: 3,
        min_meters_before: Vec::new(),
        tariff: None,
        feeders: FEEDERS.map(setting).into(),
        epochs: vec![EpochPlan {
            epoch: KeyEpoch(1),
            fingerprint: [9; 32],
            mask_key: MaskKey([9; 32]),
            first_window: WindowStart(0),
            key_len: 25_600,
        }],
        analytics: vec![AnalyticsEntry {
            id: id("analytics-1"),
            key: analytics.verifying_key(),
            feeders: Vec::new(),
        }],
        shards: 1,
        pool: Vec::new(),
        holders: vec![agreement],
    }
}
