//! Files of the same kinds as the cases, made here: other marks, other encodings, other dates.

use super::table::Expect::{self, Doubted, Kwh, Refused};
use super::wrong;

/// A file, the settings, and what it comes to.
type Case = (&'static str, String, &'static str, Expect);

/// A wide file of two customers and three hours, which comes to 4.5 kWh, with `times` and written with other marks.
fn written(times: [&str; 3], separator: &str, decimal: &str) -> String {
    let values = [["0.5", "1"], ["0.25", "1.25"], ["-0.5", "2"]];
    let mut text = ["time", "home 1", "home 2"].join(separator) + "\n";
    for (time, values) in times.iter().zip(values) {
        let values = values.map(|value| value.replace('.', decimal));
        text += &([*time, &values[0], &values[1]].join(separator) + "\n");
    }
    text
}

const PLAIN: [&str; 3] = ["2024-03-14 00:00", "2024-03-14 01:00", "2024-03-14 02:00"];

fn dialects() -> Vec<Case> {
    let total = || Kwh("4.5");
    vec![
        ("tabs", written(PLAIN, "\t", "."), "", total()),
        (
            "tabs and decimal commas",
            written(PLAIN, "\t", ","),
            "",
            total(),
        ),
        ("bars", written(PLAIN, "|", "."), "", total()),
        ("semicolons", written(PLAIN, ";", ","), "", total()),
        (
            "quotes",
            written(PLAIN, "\",\"", ".")
                .replace('\n', "\"\n\"")
                .trim_end_matches('"')
                .replacen("time", "\"time", 1),
            "",
            total(),
        ),
        (
            "days first",
            written(
                ["14/03/2024 00:00", "14/03/2024 01:00", "14/03/2024 02:00"],
                ",",
                ".",
            ),
            "",
            total(),
        ),
        (
            "months first",
            written(
                ["03/14/2024 00:00", "03/14/2024 01:00", "03/14/2024 02:00"],
                ",",
                ".",
            ),
            "",
            total(),
        ),
        (
            "either first",
            written(
                ["03/04/2024 00:00", "03/04/2024 01:00", "03/04/2024 02:00"],
                ",",
                ".",
            ),
            "",
            Refused(&["line 2", "meter.date_order"]),
        ),
        (
            "either first, said",
            written(
                ["03/04/2024 00:00", "03/04/2024 01:00", "03/04/2024 02:00"],
                ",",
                ".",
            ),
            "date_order=mdy",
            total(),
        ),
        (
            "half days",
            written(
                [
                    "3/14/2024 11:00 AM",
                    "3/14/2024 12:00 PM",
                    "3/14/2024 1:00 PM",
                ],
                ",",
                ".",
            ),
            "",
            total(),
        ),
        (
            "milliseconds",
            written(
                ["1710374400000", "1710378000000", "1710381600000"],
                ",",
                ".",
            ),
            "",
            total(),
        ),
        (
            "Excel's days",
            written(
                ["45365.0", "45365.0416666667", "45365.0833333333"],
                ",",
                ".",
            ),
            "",
            total(),
        ),
        (
            "offsets",
            written(
                [
                    "2024-03-14T00:00+0100",
                    "2024-03-14T01:00+01",
                    "2024-03-14T02:00:00+01:00",
                ],
                ",",
                ".",
            ),
            "",
            total(),
        ),
        (
            "24:00",
            written(
                ["2024-03-14 22:00", "2024-03-14 23:00", "2024-03-14 24:00"],
                ",",
                ".",
            ),
            "",
            total(),
        ),
        (
            "a mark of its own",
            written(PLAIN, ",", ".").replace("-0.5", "-9999"),
            "missing=-9999",
            Kwh("5"),
        ),
        (
            "a word",
            written(PLAIN, ",", ".").replace("-0.5", "broken"),
            "",
            Refused(&["line 4", "home 1", "broken"]),
        ),
        (
            "one column",
            "time\n2024-03-14 00:00\n".to_owned(),
            "",
            Refused(&["line 1", "separator"]),
        ),
        ("nothing", String::new(), "", Refused(&["empty"])),
        (
            "kW in names",
            written(PLAIN, ",", ".")
                .replace("home 1", "home 1 (kW)")
                .replace("home 2", "home 2 (kW)"),
            "",
            Doubted(&["meter.unit"]),
        ),
    ]
}

/// Five thousand customers of 0 to 0.9 kWh an hour, for a day.
fn many() -> Case {
    let names: Vec<String> = (0..5_000).map(|customer| format!("c{customer}")).collect();
    let mut text = format!("time,{}\n", names.join(","));
    for hour in 0..24 {
        let values: Vec<String> = (0..5_000).map(|c| format!("0.{}", c % 10)).collect();
        text += &format!("2024-03-14 {hour:02}:00,{}\n", values.join(","));
    }
    ("five thousand customers", text, "", Kwh("54000"))
}

fn forms() -> Vec<Case> {
    let day = |date: &str, value: &str, rest: &str| {
        format!("300,{date},{},{rest}\n", vec![value; 288].join(","))
    };
    let nem12 = |register: &str, unit: &str, value: &str| {
        format!(
            "200,6305000001,E1B1,1,{register},N1,M1,{unit},5,\n{}",
            day("20240314", value, "A,,,20240315,20240315")
        )
    };
    let solar = nem12("E1", "kWh", "0.01") + &nem12("B1", "Wh", "25") + &nem12("Q1", "kVArh", "9");
    vec![
        ("solar NEM12 without 100", solar.clone(), "", Kwh("-4.32")),
        (
            "NEM12 twice",
            format!("100,NEM12,1,A,B\n{solar}{solar}900\n"),
            "",
            Kwh("-4.32"),
        ),
        (
            "NEM12 cut off",
            solar[..solar.len() - 900].to_owned() + "\n",
            "",
            Refused(&["line 4", "cut off"]),
        ),
        (
            "NEM13",
            "100,NEM13,1,A,B\n250,1\n900\n".to_owned(),
            "",
            Refused(&["NEM13", "NEM12"]),
        ),
        (
            "CER with tabs",
            "1000\t20101\t0.5\n1000\t20102\t0.25\n".to_owned(),
            "",
            Kwh("0.75"),
        ),
        (
            "XML of another kind",
            "<?xml version=\"1.0\"?>\n<feed><UsagePoint/></feed>\n".to_owned(),
            "",
            Refused(&["IntervalBlock"]),
        ),
        (
            "XML cut off",
            "<?xml version=\"1.0\"?>\n<feed><IntervalBlock><a></feed>\n".to_owned(),
            "",
            Refused(&["line 2", "XML"]),
        ),
    ]
}

fn faults(cases: Vec<Case>, bytes: impl Fn(&str) -> Vec<u8>) -> String {
    let wrong = cases
        .iter()
        .filter_map(|(name, text, settings, expect)| wrong(name, &bytes(text), settings, expect));
    wrong.collect::<Vec<_>>().join("\n")
}

#[test]
fn files_of_the_same_kinds_are_right() {
    let plain = |text: &str| text.as_bytes().to_vec();
    assert_eq!(faults(dialects(), plain), "");
    assert_eq!(faults(forms(), plain), "");
    assert_eq!(faults(vec![many()], plain), "");
}

#[test]
fn every_form_reads_alike_in_utf_16_and_with_crlf() {
    let utf16 = |text: &str| {
        let units = text.encode_utf16().chain(None);
        [0xff, 0xfe]
            .into_iter()
            .chain(units.flat_map(u16::to_le_bytes))
            .collect::<Vec<u8>>()
    };
    let crlf = |text: &str| text.replace('\n', "\r\n").into_bytes();
    for cases in [dialects, forms] {
        assert_eq!(faults(cases(), crlf), "");
        let some = cases().into_iter().filter(|(_, text, ..)| !text.is_empty());
        assert_eq!(faults(some.collect(), utf16), "");
    }
}
