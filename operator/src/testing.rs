//! Messages for unit tests, and [`fleet`]: meters that seal under real keys.

pub(crate) mod fleet;

use std::ops::Range;

use packed::layout::{Edges, Totals};
use wire::{
    AnalyticsId, CapacityClass, ContributorSet, DeploymentId, Digest, EpochPlan, FeederId,
    FeederPlan, KeyEpoch, MaskKey, Part, Plan, PlanVersion, Salt, Sum, Watts, WindowStart,
};

use crate::enrolment::message::tests::signing;
use crate::release::report::{By, FeederReport, Scale};
use service::trust::{Member, Members};

/// Hourly intervals, windows of four, one feeder (`feeder-1`, since version 2) and one epoch.
pub(crate) fn plan() -> Plan {
    Plan {
        deployment: DeploymentId::try_from("dev").unwrap(),
        version: PlanVersion(3),
        valid_until: Some(wire::UnixSeconds(wire::MAX_UNIX_SECONDS)),
        interval_s: 3600,
        batch: 4,
        time_zone: None,
        layout: "moments".parse().expect("a name"),
        histogram_edges_wh: Vec::new(),
        min_meters: 15,
        min_meters_before: Vec::new(),
        tariff: None,
        feeders: vec![FeederPlan {
            feeder: FeederId::try_from("feeder-1").unwrap(),
            areas: None,
            profile: "additive-fine".parse().expect("a name"),
            reference_wh: 16_384,
            quantum_wh: 1,
            square_unit_wh2: Some(16),
            rating_wh: None,
            max_meters: 255,
            since: PlanVersion(2),
            first_window: WindowStart(0),
        }],
        epochs: vec![EpochPlan {
            epoch: KeyEpoch(1),
            fingerprint: [9; 32],
            mask_key: MaskKey([9; 32]),
            first_window: WindowStart(0),
            key_len: 25_600,
        }],
        analytics: Vec::new(),
        shards: 1,
        pool: Vec::new(),
        holders: Vec::new(),
    }
}

/// A sum over 20 meters, numbers 0 to 19, that fits [`plan`].
pub(crate) fn sum(feeder: &str, window: u64, part: u16) -> Sum {
    sum_of(feeder, window, part, 0..20)
}

/// A sum over the meters with these numbers.
pub(crate) fn sum_of(feeder: &str, window: u64, part: u16, numbers: Range<u32>) -> Sum {
    Sum {
        analytics: AnalyticsId::try_from("analytics-1").unwrap(),
        plan_version: PlanVersion(2),
        epoch: KeyEpoch(1),
        feeder: FeederId::try_from(feeder).unwrap(),
        window: WindowStart(window),
        part: Part(part),
        rest: None,
        replaces: None,
        set: ContributorSet::from_numbers(numbers.clone()).unwrap(),
        salts: numbers
            .map(|number| Salt(u64::from(number).to_le_bytes()))
            .collect(),
        oldest_sealed_at: wire::UnixMillis(1_699_999_990_000),
        newest_sealed_at: wire::UnixMillis(1_699_999_998_500),
        contributors_digest: Digest([3; 32]),
    }
}

/// The members of a feeder with so many meters.
pub(crate) fn members(count: u32) -> Members {
    let mut members = Members::default();
    for number in 0..count {
        let member = Member {
            meter: format!("meter-{number}").as_str().try_into().unwrap(),
            capacity: CapacityClass::of(Watts(10_000)).unwrap(),
            key: signing(number as u8).verifying_key(),
            mask_key: MaskKey([9; 32]),
            billing: false,
            gateway: format!("gateway-{number}").parse().unwrap(),
        };
        assert!(members.insert(number, member));
    }
    members
}

/// The operator of the tests.
pub(crate) fn by() -> By {
    By {
        operator: "0123456789abcdef".to_owned(),
        taken_at: wire::UnixMillis(1_700_000_000_000),
    }
}

/// Hours in whole Wh, with bins up to 100 and 200 Wh, of a feeder of 50.
pub(crate) fn scale() -> Scale {
    Scale {
        holders: None,
        interval_s: 3600,
        intervals: u16::MAX,
        quantum_wh: 1,
        square_unit_wh2: None,
        edges: Edges::new(&[100, 200]).unwrap(),
        reference_wh: 16_384,
        enrolled: 50,
        part: Part(0),
        areas: Vec::new(),
        rules: release::Rules::new(15),
    }
}

/// A report of part 0 with a digest of its own, of 20 meters on a feeder of 50.
pub(crate) fn report(feeder: &str, window: u64) -> FeederReport {
    report_of(feeder, window, None)
}

/// The same with a histogram: in every interval half of the meters use up to 100 Wh, the others up to 200 Wh.
pub(crate) fn report_with_bins(feeder: &str, window: u64) -> FeederReport {
    report_of(feeder, window, Some(vec![vec![0, 0, 10, 10, 0]; 4]))
}

fn report_of(feeder: &str, window: u64, bins: Option<Vec<Vec<u32>>>) -> FeederReport {
    let totals = Totals {
        energy_wh: vec![4, 6, 2, 3],
        present: vec![20; 4],
        clamped: 0,
        squares_wh2: None,
        bins,
        maxima_wh: None,
    };
    let digest = Digest::of(format!("{feeder} {window}").as_bytes());
    FeederReport::new(&sum(feeder, window, 0), &digest, &totals, &scale(), &by())
}
