//! Random files of the forms that say their units themselves.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::select;

/// Values of some intervals with up to four decimals; none where one is missing.
fn values(count: usize) -> impl Strategy<Value = Vec<Option<i64>>> {
    prop::collection::vec(prop::option::weighted(0.95, 0i64..99_999), count)
}

fn decimal(value: i64) -> String {
    format!("{}.{:04}", value / 10_000, value % 10_000)
}

/// Days of registers of a connection point, with qualities.
pub(crate) fn nem12() -> impl Strategy<Value = String> {
    let day = select(vec![5usize, 15, 30]).prop_flat_map(|minutes| {
        let count = 24 * 60 / minutes;
        let register = select(vec!["E1", "E2", "B1", "K1"]);
        let unit = select(vec!["KWH", "kWh", "Wh", "MWh", "kW"]);
        let quality = select(vec!["A", "N", "S14", "V"]);
        (
            Just(minutes),
            0usize..3,
            register,
            unit,
            prop::collection::vec(values(count), 1..3),
            quality,
            1..=count,
            1..=count,
        )
    });
    prop::collection::vec(day, 1..6).prop_map(|days| {
        let mut text = "100,NEM12,202007010000,MDP1,RETAIL1\n".to_owned();
        // One length for all, so that registers fit each other.
        let minutes = days[0].0;
        for (block, (_, nmi, register, unit, days, quality, from, to)) in
            days.into_iter().enumerate()
        {
            let count = 24 * 60 / minutes;
            writeln!(
                text,
                "200,NMI{nmi},E1B1,1,{register},N1,M1,{unit},{minutes},"
            )
            .unwrap();
            for (day, values) in days.into_iter().enumerate() {
                let values = (0..count).map(|k| {
                    values
                        .get(k)
                        .copied()
                        .flatten()
                        .map_or(String::new(), decimal)
                });
                let values: Vec<String> = values.collect();
                // Each block has days of its own, so that no two contradict.
                writeln!(
                    text,
                    "300,202006{:02},{},{quality},,,20200701,",
                    2 * block + day + 1,
                    values.join(",")
                )
                .unwrap();
                if quality == "V" {
                    let (from, to) = (from.min(to).min(count), from.max(to).min(count));
                    writeln!(text, "400,{from},{to},N,,").unwrap();
                }
            }
        }
        text + "900\n"
    })
}

pub(crate) fn ausgrid() -> impl Strategy<Value = String> {
    let day = (1usize..4, select(vec!["GC", "CL", "GG"]), values(48));
    prop::collection::vec(day, 1..8).prop_map(|days| {
        let times: Vec<String> = (1..=48)
            .map(|n| format!("{}:{:02}", n / 2 % 24, n % 2 * 30))
            .collect();
        let mut text = format!(
            "A title,,\nCustomer,Generator Capacity,Postcode,Consumption Category,date,{}\n",
            times.join(",")
        );
        for (day, (customer, channel, values)) in days.into_iter().enumerate() {
            let values = values
                .into_iter()
                .map(|value| value.map_or(String::new(), decimal));
            let date = if day % 2 == 0 {
                format!("{}-Jul-12", day / 3 + 1)
            } else {
                format!("{}/07/2012", day / 3 + 1)
            };
            writeln!(
                text,
                "{customer},3.8,2076,{channel},{date},{}",
                values.collect::<Vec<_>>().join(",")
            )
            .unwrap();
        }
        text
    })
}

/// Days on which the clocks of Ireland are set back (298) and forward (452), and others.
pub(crate) fn cer() -> impl Strategy<Value = String> {
    let row = (
        1000u32..1003,
        select(vec![195u32, 297, 298, 299, 451, 452, 453]),
        1u32..=46,
        0i64..99_999,
    );
    (
        prop::collection::btree_map((1000u32..1003, 1u32..=46), 0i64..99_999, 0..9),
        prop::collection::vec(row, 1..60),
    )
        .prop_map(|(extra, rows)| {
            let mut known = std::collections::BTreeMap::new();
            for (customer, day, half_hour, value) in rows {
                known.entry((customer, day, half_hour)).or_insert(value);
            }
            for ((customer, half_hour), value) in extra {
                known
                    .entry((customer, 298, half_hour.max(4) + 4))
                    .or_insert(value);
            }
            let rows = known
                .into_iter()
                .map(|((customer, day, half_hour), value)| {
                    format!("{customer} {day:03}{half_hour:02} {}\n", decimal(value))
                });
            rows.collect()
        })
}

pub(crate) fn espi() -> impl Strategy<Value = String> {
    let kinds = prop::collection::vec(
        (
            -4i32..4,
            select(vec![72u32, 38, 169]),
            select(vec![0u32, 1, 4, 19, 20]),
        ),
        1..4,
    );
    let block = (
        0usize..3,
        0usize..4,
        0u64..30,
        prop::collection::vec(prop::option::weighted(0.9, 0i64..99_999), 1..12),
    );
    (kinds, prop::collection::vec(block, 1..6)).prop_map(|(kinds, blocks)| {
        let mut text = "<?xml version=\"1.0\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n".to_owned();
        for (k, (ten, uom, flow)) in kinds.iter().enumerate() {
            writeln!(
                text,
                "<entry><link rel=\"self\" href=\"/ReadingType/{k}\"/><content><espi:ReadingType><espi:powerOfTenMultiplier>{ten}\
                 </espi:powerOfTenMultiplier><espi:uom>{uom}</espi:uom><espi:flowDirection>{flow}</espi:flowDirection>\
                 </espi:ReadingType></content></entry>"
            )
            .unwrap();
        }
        for (n, (point, kind, first, values)) in blocks.into_iter().enumerate() {
            let reading = format!("/UsagePoint/{point}/MeterReading/{n}");
            let kind = kind % kinds.len();
            writeln!(text, "<entry><link rel=\"self\" href=\"{reading}\"/><link rel=\"related\" href=\"/ReadingType/{kind}\"/></entry>").unwrap();
            writeln!(text, "<entry><link rel=\"up\" href=\"{reading}/IntervalBlock\"/><content><IntervalBlock>").unwrap();
            for (k, value) in values.into_iter().enumerate() {
                // Blocks of one usage point do not overlap.
                let start = (first + k as u64 + 50 * n as u64) * 900;
                let value = value.map_or(String::new(), |value| format!("<value>{value}</value>"));
                writeln!(text, "<IntervalReading><timePeriod><duration>900</duration><start>{start}</start></timePeriod>{value}</IntervalReading>").unwrap();
            }
            writeln!(text, "</IntervalBlock></content></entry>").unwrap();
        }
        text + "</feed>\n"
    })
}

/// Telegrams of a few meters, some of them spoilt.
pub(crate) fn dsmr() -> impl Strategy<Value = String> {
    let telegram = (
        0usize..2,
        1i64..400,
        0i64..50,
        0i64..20,
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.02),
    );
    prop::collection::vec(telegram, 8..60).prop_map(|telegrams| {
        let mut text = String::new();
        let (mut at, mut registers) = (1_710_374_400i64, [[100_000i64, 0]; 2]);
        for (meter, seconds, drawn, sent, spoilt, swapped) in telegrams {
            at += seconds;
            let register = &mut registers[meter];
            *register = if swapped { [drawn, 0] } else { [register[0] + drawn, register[1] + sent] };
            let time = Timestamp::from_second(at + 3_600)
                .unwrap()
                .to_zoned_datetime(TimeZone::UTC)
                .strftime("%y%m%d%H%M%SW");
            let kwh = |wh: i64| format!("{:06}.{:03}*kWh", wh / 1_000, wh % 1_000);
            let body = format!(
                "/XMX5LGF\r\n\r\n0-0:1.0.0({time})\r\n0-0:96.1.1(453{meter})\r\n1-0:1.8.1({})\r\n1-0:2.8.1({})\r\n!",
                kwh(register[0]),
                kwh(register[1])
            );
            let crc = body.bytes().fold(0u16, |crc, byte| {
                (0..8).fold(crc ^ u16::from(byte), |crc, _| (crc >> 1) ^ (0xa001 * (crc & 1)))
            });
            writeln!(text, "{body}{:04X}\r", crc ^ u16::from(spoilt)).unwrap();
        }
        text
    })
}
