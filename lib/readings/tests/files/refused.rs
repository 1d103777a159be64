//! Every refusal names what applies of line, column and value, and the mend.

use std::io::Write as _;

use super::table::Expect::Refused;
use super::wrong;

/// A file, its settings, and what its refusal has to say.
type Case = (&'static str, String, &'static str, &'static [&'static str]);

const HEAD: &str = "time,home 1,home 2\n2024-03-14 00:00,1,2\n2024-03-14 01:00,1,2\n";

/// A wide file with `rows` below two good ones.
fn below(rows: &str) -> String {
    format!("{HEAD}{rows}\n")
}

fn values() -> Vec<Case> {
    vec![
        (
            "a word",
            below("2024-03-14 02:00,1,broken"),
            "",
            &["line 4", "\"home 2\"", "\"broken\"", "meter.missing"],
        ),
        (
            "more than any customer",
            below("2024-03-14 02:00,1,1000001"),
            "",
            &[
                "line 4",
                "\"home 2\"",
                "\"1000001\"",
                "correct it",
                "meter.unit",
            ],
        ),
        (
            "a register of more than there is",
            below("2024-03-14 02:00,1,1000000001"),
            "values=register",
            &[
                "line 4",
                "\"home 2\"",
                "\"1000000001\"",
                "a billion kWh",
                "correct it",
            ],
        ),
        (
            "a decimal comma too many",
            below("2024-03-14 02:00,1,2,5"),
            "",
            &["line 4", "4 fields", "3 columns", "\"5\"", "quotes"],
        ),
        (
            "a row cut off",
            below("2024-03-14 02:00,1"),
            "",
            &[
                "line 4",
                "2 fields",
                "3 columns",
                "\"home 2\"",
                "complete the row",
            ],
        ),
        (
            "a thousand or a decimal",
            "time;a\n2024-03-14 00:00;1,234\n2024-03-14 01:00;1,235\n".to_owned(),
            "",
            &["line 2", "\"1,234\"", "meter.decimal"],
        ),
        (
            "several numbers for a customer",
            "id,time,first,second\na,2024-03-14 00:00,1,2\na,2024-03-14 01:00,1,2\n".to_owned(),
            "",
            &["line 1", "\"first\"", "\"second\"", "meter.columns.value"],
        ),
        (
            "no number at all",
            "time,a\n2024-03-14 00:00,x\n2024-03-14 01:00,y\n".to_owned(),
            "",
            &["line 1", "no column of numbers", "meter.columns"],
        ),
        (
            "columns of one name",
            HEAD.replace("home 2", "home 1"),
            "",
            &["line 1", "columns 2 and 3", "\"home 1\"", "only one"],
        ),
        (
            "a column without a name",
            HEAD.replace("home 2", ""),
            "",
            &["line 1", "column 3", "name its customer"],
        ),
        (
            "a name of signs only",
            HEAD.replace("home 2", "--"),
            "",
            &["line 2", "\"--\"", "rename it"],
        ),
        (
            "names that make one id",
            HEAD.replace("home 2", "home-1"),
            "",
            &["line 2", "\"home-1\"", "\"home 1\"", "rename one"],
        ),
        (
            "a skipped column that is not there",
            HEAD.to_owned(),
            "skip=Total",
            &[
                "line 1",
                "\"Total\"",
                "meter.columns.skip",
                "\"home 1\", \"home 2\"",
            ],
        ),
        (
            "a register in kW",
            HEAD.to_owned(),
            "values=register unit=kW",
            &[
                "meter.values = \"register\"",
                "meter.unit = \"kW\"",
                "leave meter.values out",
            ],
        ),
    ]
}

fn times() -> Vec<Case> {
    vec![
        (
            "no time of day",
            below("2024-03-14 25:00,1,2"),
            "",
            &["line 4", "\"time\"", "\"2024-03-14 25:00\"", "write it as"],
        ),
        (
            "no date",
            below("2024-02-30 02:00,1,2"),
            "",
            &[
                "line 4",
                "\"time\"",
                "\"2024-02-30 02:00\"",
                "meter.date_order",
            ],
        ),
        (
            "an hour that the clock skips",
            "time,a\n2024-03-31 01:00,1\n2024-03-31 02:00,1\n".to_owned(),
            "zone=Europe/Berlin",
            &[
                "line 3",
                "\"time\"",
                "\"2024-03-31 02:00\"",
                "meter.time_zone",
            ],
        ),
        (
            "before 1970",
            "time,a\n1969-03-31 01:00,1\n1969-03-31 02:00,1\n".to_owned(),
            "",
            &["line 2", "\"time\"", "\"1969-03-31 01:00\"", "correct it"],
        ),
        (
            "a word among hours",
            "hour,a\n0,1\n1,1\nnoon,1\n".to_owned(),
            "",
            &["line 4", "\"hour\"", "\"noon\"", "count them from 0"],
        ),
        (
            "a part of a second",
            "time,a\n1710374400.25,1\n1710378000.25,1\n".to_owned(),
            "",
            &["line 2", "\"time\"", "\"1710374400.25\"", "round it"],
        ),
        (
            "a date of two readings",
            "time,a\n03/04/2024 00:00,1\n03/04/2024 01:00,1\n".to_owned(),
            "",
            &[
                "line 2",
                "\"03/04/2024 00:00\"",
                "meter.date_order = \"dmy\"",
            ],
        ),
        (
            "a gap",
            below("2024-03-14 04:00,1,2"),
            "",
            &[
                "line 4",
                "04:00",
                "\"home 1\"",
                "without a row: 2",
                "meter.gaps",
            ],
        ),
        (
            "a long gap",
            below("2026-03-14 04:00,1,2"),
            "gaps=missing",
            &["line 4", "\"home 1\"", "correct the date"],
        ),
        (
            "a row off the grid",
            below("2024-03-14 02:12,7,2\n2024-03-14 03:00,1,2\n2024-03-14 04:00,1,2"),
            "",
            &["line 4", "02:12", "\"home 1\"", "7 kWh", "correct the time"],
        ),
        (
            "two values of one hour",
            below("2024-03-14 01:00,3,2"),
            "",
            &[
                "line 4",
                "\"home 1\"",
                "3 kWh",
                "1 kWh",
                "line 3",
                "remove one",
            ],
        ),
        (
            "seven minutes",
            "time,a\n2024-03-14 00:00,1\n2024-03-14 00:07,1\n2024-03-14 00:14,1\n".to_owned(),
            "",
            &["line 2", "420 s", "divide a day", "meter.values"],
        ),
        (
            "one row",
            "time,a\n2024-03-14 00:00,1\n".to_owned(),
            "",
            &["too few rows", "at least 2"],
        ),
    ]
}

fn market() -> Vec<Case> {
    const BLOCK: &str = "100,NEM12,1,A,B\n200,N1,E1,1,E1,N1,M1,kWh,30,\n";
    let day = |date: &str, values: [&str; 2], quality: &str| {
        let all = [&[values[0]][..], &[values[1]; 47]].concat();
        format!("{BLOCK}300,{date},{},{quality},,,,\n", all.join(","))
    };
    let good = day("20240314", ["1", "1"], "A");
    vec![
        (
            "NEM12, a word",
            day("20240314", ["one", "1"], "A"),
            "",
            &["line 3", "\"IntervalValue1\"", "\"one\"", "correct it"],
        ),
        (
            "NEM12, no date",
            day("20241314", ["1", "1"], "A"),
            "",
            &[
                "line 3",
                "\"IntervalDate\"",
                "\"20241314\"",
                "write it as 20240314",
            ],
        ),
        (
            "NEM12, a value too many",
            day("20240314", ["1,1", "1"], "A"),
            "",
            &[
                "line 3",
                "\"QualityMethod\"",
                "\"1\"",
                "48 values",
                "IntervalLength",
            ],
        ),
        (
            "NEM12, a quality of no interval",
            format!("{good}400,40,49,N,,\n"),
            "",
            &[
                "line 4",
                "\"EndInterval\"",
                "\"49\"",
                "48 intervals",
                "correct it",
            ],
        ),
        (
            "NEM12, a length of no market",
            good.replace("kWh,30", "kWh,20"),
            "",
            &["line 2", "\"IntervalLength\"", "\"20\"", "ask for"],
        ),
        (
            "NEM12, no register",
            good.replace("1,E1,N1", "1,X1,N1"),
            "",
            &["line 2", "\"NMISuffix\"", "\"X1\"", "correct it"],
        ),
        (
            "NEM12, no record",
            format!("{good}301,1\n"),
            "",
            &["line 4", "\"RecordIndicator\"", "\"301\"", "correct it"],
        ),
        (
            "NEM12, a day of nobody",
            format!("100,NEM12,1,A,B\n{}", &good[good.find("300").unwrap()..]),
            "",
            &["line 2", "200 record", "add that record"],
        ),
        (
            "NEM12, cut off",
            format!("{good}300,20240315,1,2\n"),
            "",
            &["line 4", "QualityMethod", "cut off", "get the file again"],
        ),
        (
            "NEM12, no day",
            BLOCK.to_owned(),
            "",
            &["no day", "record 300", "ask for one"],
        ),
        (
            "NEM13 below NEM12",
            format!("{good}250,N1,1\n"),
            "",
            &["line 4", "NEM13", "ask for the interval data"],
        ),
        (
            "NEM12, two values",
            format!("{good}{}", &day("20240314", ["2", "1"], "A")[16..]),
            "",
            &[
                "line 5",
                "\"E1\"",
                "\"N1\"",
                "2 kWh",
                "1 kWh",
                "line 3",
                "remove one",
            ],
        ),
        (
            "NEM12 in kWh that is said again",
            good,
            "unit=kWh",
            &["meter.unit", "NEM12", "leave meter.unit out"],
        ),
    ]
}

fn trials() -> Vec<Case> {
    let solar = |row: &str| {
        let times = (1..=48).map(|n| format!("{}:{:02}", n / 2 % 24, n % 2 * 30));
        let times: Vec<String> = times.collect();
        let head = "Customer,Generator Capacity,Postcode,Consumption Category,date";
        format!("Solar\n{head},{}\n{row}\n", times.join(","))
    };
    let row = |start: &str, first: &str| format!("{start},{first}{}", ",1".repeat(47));
    let cer = |row: &str| format!("1392 19503 0.1\n{row}\n");
    vec![
        (
            "Ausgrid, no channel",
            solar(&row("1,3,2000,XX,1/07/2012", "1")),
            "",
            &[
                "line 3",
                "\"Consumption Category\"",
                "\"XX\"",
                "remove the row",
            ],
        ),
        (
            "Ausgrid, a word",
            solar(&row("1,3,2000,GC,1/07/2012", "one")),
            "",
            &["line 3", "\"0:30\"", "\"one\"", "correct it"],
        ),
        (
            "Ausgrid, no date",
            solar(&row("1,3,2000,GC,July", "1")),
            "",
            &["line 3", "\"date\"", "\"July\"", "write it as"],
        ),
        (
            "Ausgrid, nobody",
            solar(&row(",3,2000,GC,1/07/2012", "1")),
            "",
            &["line 3", "\"Customer\"", "\"\"", "fill it in"],
        ),
        (
            "Ausgrid, cut off",
            solar("1,3,2000,GC,1/07/2012,1,1"),
            "",
            &["line 3", "7 fields", "53", "cut off"],
        ),
        (
            "CER, a word",
            cer("1392 19504 one"),
            "",
            &["line 2", "\"kWh\"", "\"one\"", "correct it"],
        ),
        (
            "CER, no half hour",
            cer("1392 19551 0.1"),
            "form=cer",
            &["line 2", "\"dddhh\"", "\"19551\"", "write them as"],
        ),
        (
            "CER, a half hour of a longer day",
            cer("1392 19549 0.1"),
            "",
            &[
                "line 2",
                "\"dddhh\"",
                "\"19549\"",
                "which has 48",
                "correct it",
            ],
        ),
        (
            "CER, day 0",
            cer("1392 00001 0.1"),
            "form=cer",
            &["line 2", "\"dddhh\"", "\"00001\"", "write them as"],
        ),
        (
            "CER, two fields",
            cer("1392 19504"),
            "form=cer",
            &[
                "line 2",
                "\"1392 19504\"",
                "three fields",
                "correct the row",
            ],
        ),
    ]
}

fn xml() -> Vec<Case> {
    let feed = |reading: &str| {
        format!(
            "<feed><IntervalBlock>\n<IntervalReading>{reading}</IntervalReading>\n</IntervalBlock></feed>\n"
        )
    };
    let period = "<timePeriod><duration>900</duration><start>1710374400</start></timePeriod>";
    vec![
        (
            "Green Button, a word",
            feed(&format!("{period}<value>one</value>")),
            "unit=Wh",
            &["line 2", "\"value\"", "\"one\"", "correct it"],
        ),
        (
            "Green Button, no start",
            feed(&format!(
                "{}<value>1</value>",
                period.replace("1710374400", "noon")
            )),
            "unit=Wh",
            &["line 2", "\"start\"", "\"noon\"", "correct it"],
        ),
        (
            "Green Button, no period",
            feed("<value>1</value>"),
            "unit=Wh",
            &["line 2", "timePeriod", "add one"],
        ),
        (
            "Green Button, no unit",
            feed(&format!("{period}<value>1</value>")),
            "",
            &["line 1", "ReadingType", "meter.unit"],
        ),
        (
            "Green Button, another end",
            feed("</oops>"),
            "",
            &["line 2", "not XML", "</oops>", "get the file again"],
        ),
        (
            "Green Button, no readings",
            "<feed><IntervalBlock></IntervalBlock></feed>\n".to_owned(),
            "",
            &["no IntervalBlock of electricity", "ask for"],
        ),
        (
            "Green Button, whose readings nobody says",
            "<feed>\n<ReadingType><uom>72</uom></ReadingType>\n<ReadingType><uom>38</uom></ReadingType>\n".to_owned()
                + feed(&format!("{period}<value>1</value>")).trim_start_matches("<feed>")
            ,
            "",
            &["line 4", "no link", "ReadingTypes", "get the whole feed"],
        ),
        (
            "Green Button, cut off",
            "<feed><IntervalBlock>\n<IntervalReading></feed>\n".to_owned(),
            "",
            &["line 2", "not XML", "get the file again"],
        ),
    ]
}

#[test]
fn a_refusal_names_line_column_value_and_mend() {
    let mut faults = Vec::new();
    for (name, text, settings, parts) in [values(), times(), market(), trials(), xml()].concat() {
        let file = format!("{name}.csv");
        faults.extend(wrong(&file, text.as_bytes(), settings, &Refused(parts)));
        let named = wrong(&file, text.as_bytes(), settings, &Refused(&[".csv"]));
        faults.extend(named);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_no_text_is_refused_by_what_it_is() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(HEAD.repeat(1_000).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let cases: [(&[u8], &'static [&'static str]); 8] = [
        (b"\xd0\xcf\x11\xe0 a sheet", &[".xls", "save the sheet"]),
        (b"%PDF-1.7", &["PDF", "as CSV"]),
        (b"PAR1 columns", &["Parquet", "as CSV"]),
        (b"\xfd7zXZ\0", &["xz", "uncompress it"]),
        (b"<!DOCTYPE html><html>", &["web page", "download"]),
        (b"PK\x03\x04 and no more", &["zip archive", "unpack it"]),
        (b"time,a\n1,\0\n", &["line 2", "no text"]),
        (&packed[..packed.len() / 2], &["line ", "fetched again"]),
    ];
    let faults = cases.map(|(bytes, parts)| wrong("file", bytes, "", &Refused(parts)));
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
