use super::super::dsmr;
use super::{Of, Written, read, says};

const DSMR: Of = (dsmr::is, dsmr::read);
/// 14 March 2024, 00:00 UTC.
const MIDNIGHT: u64 = 1_710_374_400;

/// A telegram with its checksum, with `end` after every line. Registers are in Wh.
fn telegram(meter: &str, time: &str, registers: &[(&str, u64)], end: &str) -> String {
    let meter: String = meter.bytes().map(|byte| format!("{byte:02X}")).collect();
    let mut body = format!(
        "/XMX5LGBBFG1009\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0({time})\r\n0-0:96.1.1({meter})\r\n"
    );
    for (code, wh) in registers {
        body += &format!("1-0:{code}({:06}.{:03}*kWh)\r\n", wh / 1_000, wh % 1_000);
    }
    body += "1-0:1.7.0(00.244*kW)\r\n!";
    let crc = body.bytes().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| {
            (crc >> 1) ^ (0xa001 * (crc & 1))
        })
    });
    body.replace("\r\n", end) + &format!("{crc:04X}{end}")
}

/// One meter's telegrams, by time in winter and register 1.8.1.
fn log(reads: &[(&str, u64)]) -> String {
    let telegrams = reads
        .iter()
        .map(|(time, wh)| telegram("E1", &format!("240314{time}W"), &[("1.8.1", *wh)], "\r\n"));
    telegrams.collect()
}

fn energies(rows: &[Written]) -> Vec<(u64, Option<i64>)> {
    rows.iter()
        .map(|row| {
            (
                (row.1 - MIDNIGHT) / 60,
                row.3.map(|energy| energy / 1_000_000),
            )
        })
        .collect()
}

#[test]
fn registers_make_net_energy_in_the_telegrams_own_time() {
    let registers = |drawn: u64, sent: u64| {
        [
            ("1.8.1", drawn),
            ("1.8.2", 1_000),
            ("2.8.1", sent),
            ("2.8.2", 0),
        ]
    };
    for end in ["\r\n", "\n"] {
        let log = [
            "a line of the logger\n".to_owned(),
            telegram("E0012", "240314010000W", &registers(123_456, 0), end),
            telegram("E0012", "240314011500W", &registers(123_656, 250), end),
            // The same instant in summer time, again.
            telegram("E0012", "240314021500S", &registers(123_656, 250), end),
        ];
        let rows = read(DSMR, &log.concat(), None).unwrap();
        assert_eq!(
            rows,
            [("E0012".to_owned(), MIDNIGHT, 900, Some(-50_000_000))]
        );
    }
}

#[test]
fn a_read_is_the_first_telegram_at_or_after_its_time_and_an_interval_without_both_is_missing() {
    let rows = read(
        DSMR,
        &log(&[
            ("010005", 100),
            ("010010", 101),
            ("010055", 110),
            ("010105", 112),
            ("010115", 113),
            ("010125", 114),
            // None near 01:02.
            ("010305", 130),
            ("010315", 131),
            ("010405", 150),
        ]),
        None,
    );
    let rows = rows.unwrap();
    assert!(rows.iter().all(|row| row.2 == 60));
    assert_eq!(
        energies(&rows),
        [(0, Some(12)), (1, None), (2, None), (3, Some(20))]
    );
}

#[test]
fn a_register_that_falls_leaves_its_interval_missing() {
    let rows = read(
        DSMR,
        &log(&[("010000", 500), ("010500", 20), ("011000", 50)]),
        None,
    )
    .unwrap();
    assert_eq!(energies(&rows), [(0, None), (5, Some(30))]);
}

#[test]
fn a_spoilt_telegram_is_passed_over() {
    let good = log(&[
        ("010000", 100),
        ("010500", 120),
        ("011000", 150),
        ("011500", 190),
        ("012000", 240),
    ]);
    let spoilt = good.replacen("000000.120", "000009.120", 1);
    assert_ne!(spoilt, good);
    let rows = energies(&read(DSMR, &spoilt, None).unwrap());
    assert_eq!(rows, [(0, None), (5, None), (10, Some(40)), (15, Some(50))]);
    let cut = &good[..good.len() - 60];
    assert_eq!(read(DSMR, cut, None).unwrap().len(), 3);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let one = |registers: &[(&str, u64)], time: &str| telegram("E1", time, registers, "\r\n");
    says(
        read(DSMR, &one(&[], "240314010000W"), None),
        &["line 1", "1.8.1", "remove it"],
    );
    says(
        read(DSMR, &one(&[("1.8.1", 1)], "240314010000"), None),
        &[
            "line 4",
            "0-0:1.0.0",
            "\"240314010000\"",
            "remove the telegram",
        ],
    );
    says(
        read(DSMR, &one(&[("1.8.1", 1)], "é40314010000W"), None),
        &["line 4", "0-0:1.0.0"],
    );
    says(
        read(DSMR, &one(&[("1.8.1", 1)], "240314010000W"), None),
        &["line 1", "E1", "one telegram", "needs two"],
    );
    let conflict = log(&[("010000", 100), ("010000", 120)]);
    says(
        read(DSMR, &conflict, None),
        &["E1", "drawn 0.12 kWh", "0.1 kWh", "line 1", "remove one"],
    );
    let spoilt = log(&[("010000", 100)]).replace("000000.100", "000000.101");
    says(
        read(DSMR, &spoilt, None),
        &["no telegram is whole", "every byte"],
    );
}
