//! Messages for unit tests.

use wire::{
    AnalyticsId, DeploymentId, Digest, EpochPlan, FeederId, FeederPlan, KeyEpoch, Part, Plan,
    PlanVersion, Sum, WindowStart,
};

use crate::release::report::{By, FeederReport};

/// Hourly intervals, windows of four, one feeder (`feeder-1`, since version 2) and one epoch.
pub(crate) fn plan() -> Plan {
    Plan {
        deployment: DeploymentId::try_from("dev").unwrap(),
        version: PlanVersion(3),
        interval_s: 3600,
        batch: 4,
        layout: "moments".parse().expect("a name"),
        profile: "additive".parse().expect("a name"),
        min_meters: 15,
        feeders: vec![FeederPlan {
            feeder: FeederId::try_from("feeder-1").unwrap(),
            reference_wh: 16_384,
            since: PlanVersion(2),
            first_window: WindowStart(0),
        }],
        epochs: vec![EpochPlan {
            epoch: KeyEpoch(1),
            fingerprint: [9; 32],
            first_window: WindowStart(0),
            key_len: 27_136,
        }],
        analytics: Vec::new(),
    }
}

/// A sum over 20 of 50 meters that fits [`plan`].
pub(crate) fn sum(feeder: &str, window: u64, part: u16) -> Sum {
    Sum {
        analytics: AnalyticsId::try_from("analytics-1").unwrap(),
        plan_version: PlanVersion(2),
        epoch: KeyEpoch(1),
        feeder: FeederId::try_from(feeder).unwrap(),
        window: WindowStart(window),
        part: Part(part),
        contributors: 20,
        enrolled: 50,
        clamped: 0,
        missing: 0,
        oldest_sealed_at: wire::UnixMillis(1_699_999_990_000),
        newest_sealed_at: wire::UnixMillis(1_699_999_998_500),
        contributors_digest: Digest([3; 32]),
    }
}

/// The operator of the tests.
pub(crate) fn by() -> By {
    By {
        operator: "0123456789abcdef".to_owned(),
        taken_at: wire::UnixMillis(1_700_000_000_000),
    }
}

/// A report of part 0 with a digest of its own.
pub(crate) fn report(feeder: &str, window: u64) -> FeederReport {
    let totals = packed::layout::Totals {
        energy_wh: vec![4.0, 6.0, 2.0, 3.0],
        squares_wh2: None,
    };
    let scale = crate::release::report::Scale {
        profile: &packed::ADDITIVE,
        interval_s: 3600,
        reference_wh: 16_384,
        quantum_wh: 1,
    };
    let digest = Digest::of(format!("{feeder} {window}").as_bytes());
    FeederReport::new(&sum(feeder, window, 0), &digest, &totals, &scale, &by())
}
