//! What is wrong with values and between fields.

use ciborium::{Value, cbor};
use wire::{
    AnalyticsEnrol, EarlierMinimum, EnrolAnswer, EnrolRequest, MaskKey, NoisyTotal, Part, Plan,
    PlanRenewal, Receipt, RosterPage, SumReceipt, Total, WindowStart, WireError as E, Zone,
    ZoneError,
};

use crate::common::{id, with_pool};
use crate::vector::*;

fn earlier_minimum(until: u64, min_meters: u32) -> EarlierMinimum {
    EarlierMinimum {
        until: WindowStart(until),
        min_meters,
    }
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn unknown_zone(name: &str) -> E {
    let source = ZoneError {
        name: name.to_owned(),
    };
    E::TimeZone { source }
}

pub(crate) fn bad_messages() -> Vec<Bad> {
    let square_unit = |layout| E::SquareUnit {
        feeder: id("feeder-2"),
        layout: id(layout),
    };
    let mask_key = |field| E::BadMaskKey { field };
    let order = |field, index| E::OutOfOrder { field, index };
    // A point of order 1: every message has the same signature under it.
    let mut weak = vec![0; 32];
    weak[0] = 1;
    let status = |code: u8| cbor!([["meter-17", 0, (Value::Bytes(vec![0; 32])), code, 0]]).unwrap();
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
            "a quantum of 3 Wh",
            E::NotPowerOfTwo {
                field: "plan.quantum_wh",
                value: 3,
            },
            |m| m.feeders[0].quantum_wh = 3,
        ),
        message::<Plan>(
            "a quantum of 0 Wh",
            E::NotPowerOfTwo {
                field: "plan.quantum_wh",
                value: 0,
            },
            |m| m.feeders[0].quantum_wh = 0,
        ),
        message::<Plan>(
            "a unit of 24 Wh squared",
            E::NotPowerOfTwo {
                field: "plan.square_unit_wh2",
                value: 24,
            },
            |m| m.feeders[1].square_unit_wh2 = Some(24),
        ),
        message::<Plan>("moments without squares", square_unit("moments"), |m| {
            m.feeders[2].square_unit_wh2 = None;
        }),
        message::<Plan>("squares without moments", square_unit("profile"), |m| {
            m.layout = id("profile");
            m.feeders[0].square_unit_wh2 = None;
            m.feeders[1].square_unit_wh2 = None;
        }),
        message::<Plan>(
            "sums of nobody",
            range("plan.max_meters", 0, 1, 1_048_575),
            |m| m.feeders[0].max_meters = 0,
        ),
        message::<Plan>(
            "sums of 1,048,576",
            range("plan.max_meters", 1_048_576, 1, 1_048_575),
            |m| m.feeders[0].max_meters = 1_048_576,
        ),
        message::<Plan>("a mask key of zeros", mask_key("plan.mask_key"), |m| {
            m.epochs[1].mask_key = MaskKey([0; 32]);
        }),
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
            "local days of 24 hours where one has 25",
            E::Grid {
                source: wire::GridError::Day {
                    zone: zone("Europe/Berlin"),
                    found: 24,
                    expected: 25,
                },
            },
            |m| {
                (m.interval_s, m.batch) = (3_600, 24);
                m.time_zone = Some(zone("Europe/Berlin"));
            },
        ),
        message::<Plan>(
            "hours of a zone that is a quarter of an hour off",
            E::Grid {
                source: wire::GridError::Midnight {
                    zone: zone("Asia/Kathmandu"),
                    found: 3_600,
                },
            },
            |m| {
                (m.interval_s, m.batch) = (3_600, 24);
                m.time_zone = Some(zone("Asia/Kathmandu"));
            },
        ),
        field::<Plan>(
            "a time zone of another planet",
            5,
            cbor!([24, "Mars/Olympus"]).unwrap(),
            unknown_zone("Mars/Olympus"),
        ),
        field::<Plan>(
            "a time zone in another spelling",
            5,
            cbor!([100, "europe/berlin"]).unwrap(),
            unknown_zone("europe/berlin"),
        ),
        field::<Plan>(
            "a batch of three",
            5,
            cbor!([100, "Europe/Berlin", 1]).unwrap(),
            wrong_length("plan.batch", 2, 3),
        ),
        message::<Plan>(
            "groups of nobody",
            range("plan.min_meters", 0, 1, 0xffff_ffff),
            |m| m.min_meters = 0,
        ),
        message::<Plan>(
            "groups of nobody, earlier",
            range("plan.min_meters", 0, 1, 0xffff_ffff),
            |m| m.min_meters_before = vec![earlier_minimum(1, 0)],
        ),
        message::<Plan>(
            "a minimum until 1 s and one until then",
            order("plan.min_meters_before", 1),
            |m| m.min_meters_before = vec![earlier_minimum(1, 2), earlier_minimum(1, 3)],
        ),
        message::<Plan>(
            "a minimum until the year 10000",
            range("plan.min_meters_until", 253_402_300_800, 0, 253_402_300_799),
            |m| m.min_meters_before = vec![earlier_minimum(253_402_300_800, 2)],
        ),
        message::<Plan>(
            "17 changes of the minimum",
            E::TooMany {
                field: "plan.min_meters_before",
                max: 16,
                found: 17,
            },
            |m| m.min_meters_before = (1..18).map(|at| earlier_minimum(at, 2)).collect(),
        ),
        field::<Plan>(
            "no change of the minimum in a list",
            7,
            cbor!([15, []]).unwrap(),
            E::Empty {
                field: "plan.min_meters_before",
            },
        ),
        field::<Plan>(
            "a minimum of three numbers",
            7,
            cbor!([15, 1, 2]).unwrap(),
            wrong_length("plan.min_meters", 2, 3),
        ),
        field::<Plan>(
            "a plan that ends in the year 10000",
            3,
            int(253_402_300_800),
            range("plan.valid_until", 253_402_300_800, 0, 253_402_300_799),
        ),
        field::<EnrolAnswer>(
            "an answer that waits twice",
            4,
            int(2),
            range("enrol_answer.waits", 2, 0, 1),
        ),
        field::<PlanRenewal>(
            "a renewal up to the year 10000",
            4,
            int(253_402_300_800),
            range("renewal.valid_until", 253_402_300_800, 0, 253_402_300_799),
        ),
        field::<PlanRenewal>(
            "a renewal without an end",
            4,
            Value::Null,
            wrong_type(
                "renewal.valid_until",
                "an unsigned integer",
                "a simple value",
            ),
        ),
        field::<PlanRenewal>(
            "a digest of 31 bytes",
            3,
            Value::Bytes(vec![0; 31]),
            wrong_length("renewal.plan_digest", 32, 31),
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
        message::<RosterPage>(
            "two meters with one number",
            E::NumberTwice {
                feeder: id("feeder-2"),
                number: 3,
            },
            |m| m.entries[1].number = 3,
        ),
        message::<RosterPage>(
            "meter 1,048,575",
            range("roster.number", 1_048_575, 0, 1_048_574),
            |m| m.entries[1].number = 1_048_575,
        ),
        inner::<RosterPage>(
            "capacity class 28",
            &[4, 2, 4],
            int(28),
            range("roster.capacity", 28, 0, 27),
        ),
        message::<RosterPage>("a meter's zeros", mask_key("roster.mask_key"), |m| {
            m.entries[2].mask_key = MaskKey([0; 32]);
        }),
        inner::<EnrolRequest>(
            "a feeder of capacity class 28",
            &[6, 0, 1],
            int(28),
            range("enrol.max_capacity", 28, 0, 27),
        ),
        inner::<EnrolRequest>(
            "a meter of capacity class 256",
            &[7, 0, 2],
            int(256),
            range("enrol.capacity", 256, 0, 27),
        ),
        // With the other keys of small order too, every secret gives the shared secret zero.
        message::<EnrolRequest>("a mask key of order 1", mask_key("enrol.mask_key"), |m| {
            let mut one = [0; 32];
            one[0] = 1;
            m.meters[0].mask_key = MaskKey(one);
        }),
        inner::<EnrolRequest>(
            "a mask key of 31 bytes",
            &[7, 0, 4],
            Value::Bytes(vec![9; 31]),
            wrong_length("enrol.mask_key", 32, 31),
        ),
        field::<EnrolRequest>(
            "issued after the year 9999",
            3,
            int(253_402_300_800_000),
            range(
                "enrol.issued_at",
                253_402_300_800_000,
                0,
                253_402_300_799_999,
            ),
        ),
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
            "feeders that are no list and no name",
            4,
            int(1),
            E::WrongType {
                field: "analytics_enrol.pool",
                expected: "a text string",
                found: "an unsigned integer",
            },
        ),
        field::<Plan>("no shard", 8, int(0), range("plan.shards", 0, 1, 256)),
        field::<Plan>(
            "too many shards",
            8,
            int(257),
            range("plan.shards", 257, 1, 256),
        ),
        message::<Plan>("two pools", E::PoolNames, |plan| {
            *plan = with_pool();
            plan.pool[1].pool = "south".parse().unwrap();
        }),
        message::<Plan>("a member twice", E::PoolNames, |plan| {
            *plan = with_pool();
            plan.pool[1].analytics = plan.analytics[0].id.clone();
        }),
        message::<Plan>("a member named as its pool", E::PoolNames, |plan| {
            *plan = with_pool();
            plan.pool[1].analytics = plan.pool[1].pool.clone();
        }),
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
        message::<Receipt>(
            "a refused report in part 1",
            range("receipt.part", 1, 0, 0),
            |m| m.entries[2].part = Part(1),
        ),
        inner::<Receipt>(
            "an unknown outcome",
            &[4, 1, 3],
            int(3),
            E::UnknownCode {
                field: "receipt.outcome",
                value: 3,
            },
        ),
        field::<Receipt>(
            "16,385 settlements",
            4,
            Value::Array(vec![int(0); 16_385]),
            E::TooMany {
                field: "receipt.settlements",
                max: 16_384,
                found: 16_385,
            },
        ),
        field::<SumReceipt>(
            "a status that is no code",
            6,
            int(3),
            E::UnknownCode {
                field: "sum_receipt.status",
                value: 3,
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
        message::<Total>(
            "no intervals",
            E::Empty {
                field: "total.energy_wh",
            },
            |m| {
                m.energy_wh.clear();
            },
        ),
        message::<Total>(
            "a presence short",
            E::PresentCount {
                present: 4,
                energy_wh: 5,
            },
            |m| {
                m.present.pop();
            },
        ),
        message::<Total>(
            "a presence above the meters",
            range("total.present", 204, 0, 203),
            |m| m.present[0] = Some(204),
        ),
        message::<Total>(
            "an energy of an interval that is withheld",
            E::EnergyOfNobody { interval: 4 },
            |m| m.present[4] = None,
        ),
        message::<Total>(
            "an energy of nobody",
            E::EnergyOfNobody { interval: 1 },
            |m| m.energy_wh[1] = Some(0),
        ),
        message::<Total>(
            "readings without their energy",
            E::EnergyOfNobody { interval: 3 },
            |m| m.energy_wh[3] = None,
        ),
        message::<Total>(
            "a total in units of 5 Wh",
            E::NotPowerOfTwo {
                field: "total.quantum_wh",
                value: 5,
            },
            |m| m.quantum_wh = 5,
        ),
        message::<Total>(
            "a total of nobody",
            range("total.meters", 0, 1, 1_048_575),
            |m| m.meters = 0,
        ),
        inner::<Total>(
            "an energy below 64 bits",
            &[9, 0],
            Value::Integer((-(1i128 << 63) - 1).try_into().unwrap()),
            range(
                "total.energy_wh",
                -(1i128 << 63) - 1,
                i64::MIN.into(),
                i64::MAX.into(),
            ),
        ),
        message::<Total>(
            "more readings than are owed",
            range("total.completeness_ppm", 1_000_001, 0, 1_000_000),
            |m| m.completeness_ppm = 1_000_001,
        ),
        message::<NoisyTotal>(
            "noise over no intervals",
            E::Empty {
                field: "noisy-total.energy_wh",
            },
            |m| m.energy_wh.clear(),
        ),
        message::<NoisyTotal>(
            "no epsilon",
            range("noisy-total.epsilon", 0, 1, 100_000_000),
            |m| m.epsilon_millionths = 0,
        ),
        message::<NoisyTotal>(
            "a delta above a thousandth",
            range("noisy-total.delta", 1_000_000_000_001, 0, 1_000_000_000_000),
            |m| m.delta_quadrillionths = 1_000_000_000_001,
        ),
        message::<NoisyTotal>(
            "noise in units of 5 Wh",
            E::NotPowerOfTwo {
                field: "noisy-total.quantum_wh",
                value: 5,
            },
            |m| m.quantum_wh = 5,
        ),
        field::<NoisyTotal>(
            "a unit that does not exist",
            7,
            int(2),
            E::UnknownCode {
                field: "noisy-total.unit",
                value: 2,
            },
        ),
    ]
}
