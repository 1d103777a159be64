//! What is wrong with values and between fields.

use ciborium::{Value, cbor};
use wire::{
    AnalyticsEnrol, EnrolRequest, Plan, Receipt, RosterPage, Sum, SumReceipt, Total, UnixMillis,
    WindowStart, WireError as E,
};

use crate::common::id;
use crate::vector::*;

pub(crate) fn bad_messages() -> Vec<Bad> {
    let order = |field, index| E::OutOfOrder { field, index };
    let backwards = range("sum.newest_sealed_at", 1, 2, 253_402_300_799_999);
    let zero_sum = range("sum.contributors", 0, 1, 0xffff_ffff);
    // A point of order 1: every message has the same signature under it.
    let mut weak = vec![0; 32];
    weak[0] = 1;
    let status = |code: u8| cbor!([["meter-17", 0, (Value::Bytes(vec![0; 32])), code]]).unwrap();
    vec![
        message::<Plan>(
            "no epoch",
            E::Empty {
                field: "plan.epochs",
            },
            |m| m.epochs.clear(),
        ),
        message::<Plan>(
            "three epochs",
            E::TooMany {
                field: "plan.epochs",
                max: 2,
                found: 3,
            },
            |m| m.epochs.push(m.epochs[1].clone()),
        ),
        message::<Plan>("an epoch twice", order("plan.epochs", 1), |m| {
            m.epochs[0].epoch = m.epochs[1].epoch;
        }),
        message::<Plan>("a setting twice", order("plan.feeders", 2), |m| {
            m.feeders[0] = m.feeders[1].clone();
            m.feeders[0].feeder = id("feeder-2");
            m.feeders[0].first_window = WindowStart(0);
        }),
        message::<Plan>("a service twice", order("plan.analytics", 1), |m| {
            m.analytics[0].id = m.analytics[1].id.clone();
        }),
        message::<Plan>(
            "a reference of 1,000 Wh",
            E::NotPowerOfTwo {
                field: "plan.reference_wh",
                value: 1000,
            },
            |m| m.feeders[0].reference_wh = 1000,
        ),
        message::<Plan>(
            "a setting of the future",
            range("plan.since", 4, 0, 3),
            |m| {
                m.feeders[0].since.0 = 4;
            },
        ),
        message::<Plan>("a key a byte longer", wrong_length("limbs", 65, 64), |m| {
            m.epochs[1].key_len += 1;
        }),
        message::<Plan>(
            "intervals of 0 s",
            range("plan.interval_s", 0, 1, 86_400),
            |m| {
                m.interval_s = 0;
            },
        ),
        message::<Plan>(
            "windows of no interval",
            range("plan.batch", 0, 1, 65_535),
            |m| {
                m.batch = 0;
            },
        ),
        message::<Plan>(
            "groups of nobody",
            range("plan.min_meters", 0, 1, 0xffff_ffff),
            |m| m.min_meters = 0,
        ),
        message::<RosterPage>("page 2 of 2", range("roster.pages", 2, 3, 64), |m| {
            m.page = 2
        }),
        message::<RosterPage>("page 65 of 65", range("roster.page", 64, 0, 63), |m| {
            (m.page, m.pages) = (64, 65);
        }),
        message::<RosterPage>("a meter twice", order("roster.entries", 1), |m| {
            m.entries[0].meter = m.entries[1].meter.clone();
        }),
        message::<EnrolRequest>("chunk 1 of 1", range("enrol.chunks", 1, 2, 65_536), |m| {
            m.chunk = 1;
        }),
        field::<EnrolRequest>(
            "a key of small order",
            2,
            Value::Bytes(weak),
            E::BadKey {
                field: "enrol.gateway_key",
            },
        ),
        field::<AnalyticsEnrol>(
            "a key off the curve",
            2,
            Value::Bytes(vec![2; 32]),
            E::BadKey {
                field: "analytics_enrol.key",
            },
        ),
        field::<Receipt>(
            "an unknown status",
            3,
            status(9),
            E::UnknownCode {
                field: "receipt.status",
                value: 9,
            },
        ),
        field::<SumReceipt>(
            "a status above a byte",
            6,
            int(256),
            range("sum_receipt.status", 256, 0, 255),
        ),
        field::<Receipt>(
            "16,385 entries",
            3,
            Value::Array(vec![int(0); 16_385]),
            E::TooMany {
                field: "receipt.entries",
                max: 16_384,
                found: 16_385,
            },
        ),
        message::<Sum>("a sum of nobody", zero_sum, |m| m.contributors = 0),
        message::<Sum>("a newest report before the oldest", backwards, |m| {
            (m.oldest_sealed_at, m.newest_sealed_at) = (UnixMillis(2), UnixMillis(1));
        }),
        message::<Total>(
            "no intervals",
            E::Empty {
                field: "total.energy_wh",
            },
            |m| {
                m.energy_wh.clear();
            },
        ),
        field::<Total>(
            "an energy below 64 bits",
            7,
            Value::Array(vec![Value::Integer(
                (-(1i128 << 63) - 1).try_into().unwrap(),
            )]),
            range(
                "total.energy_wh",
                -(1i128 << 63) - 1,
                i64::MIN.into(),
                i64::MAX.into(),
            ),
        ),
        message::<Total>(
            "more meters than enrolled",
            range("total.completeness_ppm", 1_000_001, 0, 1_000_000),
            |m| m.completeness_ppm = 1_000_001,
        ),
    ]
}
