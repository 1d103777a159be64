//! Arbitrary messages.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::{
    AnalyticsEnrol, AnalyticsEntry, Digest, EnrolRequest, EpochPlan, FeederPlan, KeyEpoch,
    MAX_UNIX_SECONDS, Part, Plan, PlanVersion, Reason, Receipt, ReceiptEntry, Report, RosterEntry,
    RosterPage, Sequence, Status, Sum, SumReceipt, SumStatus, Total, UnixMillis, VerifyingKey,
    Watts, WindowStart,
};

pub(crate) fn name<T>() -> impl Strategy<Value = T>
where
    T: for<'t> TryFrom<&'t str, Error = wire::IdError> + std::fmt::Debug,
{
    proptest::string::string_regex("[a-z0-9-]{1,64}")
        .unwrap()
        .prop_map(|text| T::try_from(text.as_str()).unwrap())
}

fn window() -> impl Strategy<Value = WindowStart> {
    (0..=MAX_UNIX_SECONDS).prop_map(WindowStart)
}

fn millis() -> impl Strategy<Value = UnixMillis> {
    (0..=MAX_UNIX_SECONDS * 1000 + 999).prop_map(UnixMillis)
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn good_key() -> impl Strategy<Value = VerifyingKey> {
    any::<[u8; 32]>().prop_map(|seed| wire::SigningKey::from_bytes(&seed).verifying_key())
}

fn reason() -> impl Strategy<Value = Reason> {
    proptest::sample::select(Reason::ALL)
}

pub(crate) fn report() -> impl Strategy<Value = Report> {
    let numbers = (
        any::<u64>(),
        any::<u32>(),
        any::<u64>(),
        any::<u16>(),
        any::<u16>(),
    );
    (name(), name(), name(), window(), millis(), numbers).prop_map(
        |(feeder, meter, gateway, window, sealed_at, numbers)| Report {
            plan_version: PlanVersion(numbers.0),
            epoch: KeyEpoch(numbers.1),
            feeder,
            meter,
            gateway,
            window,
            sequence: Sequence(numbers.2),
            sealed_at,
            clamped: numbers.3,
            missing: numbers.4,
        },
    )
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let feeder = (name(), 0..64u32, any::<u64>(), window()).prop_map(
        |(feeder, power, since, first_window)| FeederPlan {
            feeder,
            reference_wh: 1 << power,
            since: PlanVersion(since),
            first_window,
        },
    );
    let analytics =
        (name(), any::<[u8; 32]>(), vec(name(), 0..3)).prop_map(|(id, key, feeders)| {
            AnalyticsEntry {
                id,
                key: VerifyingKey::from_bytes(key),
                feeders,
            }
        });
    let epochs = (
        any::<[u8; 32]>(),
        0..u32::MAX,
        0..MAX_UNIX_SECONDS,
        1..63u32,
        any::<bool>(),
    );
    let names = (name(), name(), name());
    let grid = (1..=86_400u32, 1..=u16::MAX, 1..=u32::MAX);
    (names, grid, vec(feeder, 0..5), epochs, vec(analytics, 0..3)).prop_map(
        |((deployment, layout, profile), grid, mut feeders, epochs, mut analytics)| {
            feeders.sort_by(|a, b| (&a.feeder, a.first_window).cmp(&(&b.feeder, b.first_window)));
            feeders.dedup_by(|a, b| a.feeder == b.feeder && a.first_window == b.first_window);
            analytics.sort_by(|a, b| a.id.cmp(&b.id));
            analytics.dedup_by(|a, b| a.id == b.id);
            let (fingerprint, epoch, first_window, key_len, two) = epochs;
            let epoch = |add: u32, key_len| EpochPlan {
                epoch: KeyEpoch(epoch + add),
                fingerprint,
                first_window: WindowStart(first_window + u64::from(add)),
                key_len,
            };
            let epochs = match two {
                // Together they are as long as the sample limbs.
                true => vec![epoch(0, key_len), epoch(1, 64 - key_len)],
                false => vec![epoch(0, 64)],
            };
            Plan {
                deployment,
                version: PlanVersion(u64::MAX),
                interval_s: grid.0,
                batch: grid.1,
                layout,
                profile,
                min_meters: grid.2,
                feeders,
                epochs,
                analytics,
            }
        },
    )
}

pub(crate) fn roster() -> impl Strategy<Value = RosterPage> {
    let entry = (name(), name(), name(), any::<u64>(), any::<[u8; 32]>()).prop_map(
        |(meter, feeder, gateway, capacity, key)| RosterEntry {
            meter,
            feeder,
            gateway,
            capacity_w: Watts(capacity),
            key: VerifyingKey::from_bytes(key),
        },
    );
    (any::<u64>(), 0..64u16, 0..64u16, vec(entry, 0..5)).prop_map(|(version, a, b, mut entries)| {
        entries.sort_by(|a, b| a.meter.cmp(&b.meter));
        entries.dedup_by(|a, b| a.meter == b.meter);
        RosterPage {
            version,
            page: a.min(b),
            pages: a.max(b) + 1,
            entries,
        }
    })
}

pub(crate) fn enrol() -> impl Strategy<Value = EnrolRequest> {
    let feeder = (name(), any::<u64>().prop_map(Watts));
    let meter = (name(), name(), any::<u64>().prop_map(Watts), good_key());
    (
        name(),
        good_key(),
        0..65_536u32,
        0..65_536u32,
        vec(feeder, 0..3),
        vec(meter, 0..3),
    )
        .prop_map(
            |(gateway, gateway_key, a, b, feeders, meters)| EnrolRequest {
                gateway,
                gateway_key,
                chunk: a.min(b),
                chunks: a.max(b) + 1,
                feeders,
                meters,
            },
        )
}

pub(crate) fn analytics_enrol() -> impl Strategy<Value = AnalyticsEnrol> {
    (name(), good_key(), vec(name(), 0..4)).prop_map(|(id, key, feeders)| AnalyticsEnrol {
        id,
        key,
        feeders,
    })
}

pub(crate) fn receipt() -> impl Strategy<Value = Receipt> {
    let status = prop_oneof![
        Just(Status::Folded),
        Just(Status::Duplicate),
        reason().prop_map(Status::Rejected)
    ];
    let entry = (name(), window(), digest(), status).prop_map(|(meter, window, digest, status)| {
        ReceiptEntry {
            meter,
            window,
            digest,
            status,
        }
    });
    (name(), name(), vec(entry, 0..5)).prop_map(|(analytics, gateway, entries)| Receipt {
        analytics,
        gateway,
        entries,
    })
}

pub(crate) fn sum() -> impl Strategy<Value = Sum> {
    let numbers = (
        any::<u64>(),
        any::<u32>(),
        any::<u16>(),
        1..=u32::MAX,
        any::<u32>(),
    );
    (
        name(),
        name(),
        window(),
        numbers,
        any::<(u64, u64)>(),
        (millis(), millis()),
        digest(),
    )
        .prop_map(
            |(
                analytics,
                feeder,
                window,
                numbers,
                (clamped, missing),
                sealed,
                contributors_digest,
            )| Sum {
                analytics,
                plan_version: PlanVersion(numbers.0),
                epoch: KeyEpoch(numbers.1),
                feeder,
                window,
                part: Part(numbers.2),
                contributors: numbers.3,
                enrolled: numbers.4,
                clamped,
                missing,
                oldest_sealed_at: sealed.0.min(sealed.1),
                newest_sealed_at: sealed.0.max(sealed.1),
                contributors_digest,
            },
        )
}

pub(crate) fn sum_receipt() -> impl Strategy<Value = SumReceipt> {
    let status = prop_oneof![
        Just(SumStatus::Taken),
        Just(SumStatus::Duplicate),
        reason().prop_map(SumStatus::Rejected)
    ];
    (
        name(),
        any::<u32>(),
        window(),
        any::<u16>(),
        digest(),
        status,
    )
        .prop_map(|(feeder, epoch, window, part, digest, status)| SumReceipt {
            feeder,
            epoch: KeyEpoch(epoch),
            window,
            part: Part(part),
            digest,
            status,
        })
}

pub(crate) fn total() -> impl Strategy<Value = Total> {
    let numbers = (
        any::<u16>(),
        1..=86_400u32,
        1..=u32::MAX,
        0..=1_000_000u32,
        any::<u64>(),
    );
    (name(), window(), numbers, vec(any::<i64>(), 1..20)).prop_map(
        |(feeder, window, numbers, energy_wh)| Total {
            feeder,
            window,
            part: Part(numbers.0),
            interval_s: numbers.1,
            meters: numbers.2,
            completeness_ppm: numbers.3,
            energy_wh,
            bound_wh: numbers.4,
        },
    )
}
