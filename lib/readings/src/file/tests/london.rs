use wire::UnixSeconds;

use super::*;

const HEADER: &str = "LCLid,stdorToU,DateTime,KWH/hh (per half hour) \r\n";
/// 12 October 2012, 00:30 UTC.
const START: u64 = 1_350_001_800;

fn file(rows: &[&str]) -> String {
    let rows = rows.iter().map(|row| format!("{row}\r\n"));
    HEADER.to_owned() + &rows.collect::<String>()
}

#[test]
fn the_published_form_reads_as_it_is() {
    let text = file(&[
        "MAC000002,Std,2012-10-12 00:30:00.0000000, 0.143000001 ",
        "MAC000002,Std,2012-10-12 01:00:00.0000000, Null ",
        "MAC000002,Std,2012-10-12 01:15:41.0000000,Null",
        "MAC000002,Std,2012-10-12 01:30:00.0000000, 0 ",
        "MAC000002,Std,2012-10-12 01:30:00.0000000, 0 ",
        "MAC000003,ToU,2012-10-12 01:00:00.0000000,-0.5",
    ]);
    let mut t = parse(&text, &ReplayOptions::default()).unwrap();
    assert_eq!(t.interval_s(), 1_800);
    assert_eq!((t.account().repeated, t.account().between), (1, 1));
    let ids: Vec<&str> = t.meters().iter().map(|m| m.id.as_str()).collect();
    assert_eq!(ids, ["mac000002", "mac000003"]);
    let capacities: Vec<u64> = t.meters().iter().map(|m| m.capacity_w.0).collect();
    assert_eq!(capacities, [287, 1_000]);
    let end = START + 3 * 1_800;
    assert_eq!(t.range(), (UnixSeconds(START), Some(UnixSeconds(end))));
    assert_eq!(at(&mut t, START), [Some(143_000_001), None]);
    assert_eq!(at(&mut t, START + 1_800), [None, Some(-500_000_000)]);
    assert_eq!(at(&mut t, START + 3_600), [Some(0), None]);
}

#[test]
fn other_editions_and_orders_of_columns_are_the_same() {
    for text in [
        "datetime,KWH/hh (per half hour),LCLid\n2012-10-12 00:30:00,1,a\n2012-10-12 01:00:00,2,a\n",
        "LCLid,tstp,energy(kWh/hh)\na,2012-10-12 00:30:00.0000000, 1 \na,2012-10-12 01:00:00.0000000, 2 \n",
        "LCLid,stdorToU,DateTime,KWH/hh (per half hour) ,Acorn,Acorn_grouped\na,Std,2012-10-12 00:30:00,1,A,Rich\n\
         a,Std,2012-10-12 01:00:00,2,A,Rich\n",
        "a,2012-10-12 00:30:00,1\na,2012-10-12 01:00:00,2\n",
    ] {
        let mut t = parse(text, &ReplayOptions::default()).unwrap();
        assert_eq!(t.meters()[0].id.as_str(), "a");
        assert_eq!(at(&mut t, START), [kwh(1)], "{text}");
        assert_eq!(at(&mut t, START + 1_800), [kwh(2)]);
    }
    let names: Vec<String> = (0..48).map(|n| format!("hh_{n}")).collect();
    let values: Vec<String> = (0..48).map(|n| format!("{n}")).collect();
    let text = format!(
        "LCLid,day,{}\na,2012-10-12,{}\n",
        names.join(","),
        values.join(",")
    );
    let mut t = parse(&text, &ReplayOptions::default()).unwrap();
    assert_eq!(at(&mut t, START), [kwh(1)]);
    assert_eq!(t.interval_s(), 1_800);
}

#[test]
fn gaps_are_refused_or_missing_as_asked() {
    let text = file(&[
        "a,Std,2012-10-12 00:00:00,1",
        "a,Std,2012-10-12 00:30:00,1",
        "a,Std,2012-10-12 02:00:00,2",
    ]);
    let error = refusal(&text);
    for part in [
        "line 4",
        "customer \"a\"",
        "without a row: 2",
        "02:00",
        "meter.gaps",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let options = ReplayOptions {
        gaps: Gaps::Missing,
        ..ReplayOptions::default()
    };
    let mut t = parse(&text, &options).unwrap();
    assert_eq!(at(&mut t, START + 1_800), [None]);
    assert_eq!(at(&mut t, START + 5_400), [Some(2_000_000_000)]);
    assert_eq!(t.account().without_row, 2);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let first = ["a,Std,2012-10-12 00:00:00,1", "a,Std,2012-10-12 00:30:00,1"];
    for (row, parts) in [
        (
            "a,Std,2012-10-12 00:30:00,2",
            &["line 4", "customer \"a\"", "2 kWh", "1 kWh", "line 3"][..],
        ),
        (
            "a,Std,2012-10-12 00:00:00,2",
            &["line 4", "customer \"a\"", "2 kWh", "1 kWh", "line 2"][..],
        ),
        (
            "a,Std,2012-10-12 00:45:00,1",
            &["line 4", "00:45", "1800 s"],
        ),
        (
            "a,Std,2012-10-12 25:00:00,1",
            &["line 4", "DateTime", "25:00"],
        ),
        (
            "a,Std,2012-10-12 01:00:00,one",
            &["line 4", "KWH/hh", "\"one\""],
        ),
        ("A,Std,2012-10-12 00:30:00,1", &["line 4", "\"A\"", "\"a\""]),
        (",Std,2012-10-12 00:30:00,1", &["line 4", "\"\""]),
        (
            "a,Std,2012-10-12 01:00:00",
            &["line 4", "3 fields", "KWH/hh"],
        ),
    ] {
        let error = refusal(&file(&[first[0], first[1], row]));
        for part in parts {
            assert!(error.contains(part), "{row:?}: {error}");
        }
    }
    assert!(refusal(HEADER).contains("rows of readings: 0"));
}
