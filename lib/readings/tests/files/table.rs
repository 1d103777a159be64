//! Small copies of files from public reports and questions, in `cases/`, and what they come to.

/// What a file comes to.
pub(crate) enum Expect {
    /// Its energy in kWh.
    Kwh(&'static str),
    /// Parts of the words with which it is refused.
    Refused(&'static [&'static str]),
    /// Parts of the words with which it is doubted.
    Doubted(&'static [&'static str]),
}

use Expect::{Doubted, Kwh, Refused};

/// Its file, the settings, and what it comes to.
pub(crate) const CASES: &[(&str, &str, Expect)] = &[
    // UCI's set rewritten by a program: kW at the ends of quarter hours, and nothing in the file says so.
    (
        "uci-pandas.csv",
        "unit=kW label=end",
        Kwh("14150.281974626"),
    ),
    ("uci-pandas.csv", "", Doubted(&["meter.label"])),
    // One home, with columns that are no energy.
    (
        "household.txt",
        "",
        Refused(&[
            "line 1",
            "\"Global_reactive_power\"",
            "separated by ';'",
            "at least 15",
            "meter.columns.value",
        ]),
    ),
    ("missing-na.csv", "", Kwh("412.224")),
    ("missing-q.csv", "", Kwh("411.733")),
    ("missing-missing.csv", "", Kwh("409.319")),
    (
        "lcl-conflict.csv",
        "",
        Refused(&[
            "line 235",
            "MAC000006",
            "0.783 kWh",
            "0.683 kWh on line 234",
            "remove one",
        ]),
    ),
    ("lcl-dup.csv", "", Kwh("231.319")),
    ("lcl-bom.csv", "", Kwh("231.319")),
    (
        "lcl-gap.csv",
        "",
        Refused(&[
            "line 224",
            "MAC000008",
            "16:30",
            "without a row: 3",
            "meter.gaps",
        ]),
    ),
    ("lcl-gap.csv", "gaps=missing", Kwh("217.157")),
    ("lcl-join.csv", "", Kwh("249.577")),
    (
        "lcl-late-value.csv",
        "",
        Refused(&[
            "line 215",
            "MAC000007",
            "10:12:28",
            "0.2 kWh",
            "off the grid",
            "correct the time",
        ]),
    ),
    ("lcl-unsorted.csv", "", Kwh("222.423")),
    ("lcl-kaggle.csv", "", Kwh("153.069")),
    ("lcl-dst.csv", "zone=Europe/London", Kwh("148.919")),
    ("nem12.csv", "", Kwh("144.119")),
    ("enedis.csv", "", Kwh("22.819")),
    ("german.csv", "", Kwh("389.186")),
    (
        "umlaut.csv",
        "",
        Refused(&[
            "line 2",
            "Müller",
            "Möller",
            "would both be meter",
            "rename one",
        ]),
    ),
    ("dst-100.csv", "zone=Europe/Vienna", Kwh("892.508")),
    (
        "dst-interleaved.csv",
        "zone=Europe/Vienna",
        Refused(&["line 107", "\"2022-10-30 02:00\"", "twice", "sort them"]),
    ),
    (
        "dst-dup-offset.csv",
        "",
        Refused(&[
            "line 5",
            "\"h1\"",
            "0.486 kWh",
            "0.634 kWh on line 4",
            "remove one",
        ]),
    ),
    ("newest-first.csv", "", Kwh("783.865")),
    ("interval-changes.csv", "", Kwh("241.296")),
    ("register.csv", "", Doubted(&["meter.values"])),
    ("register.csv", "values=register", Kwh("138.624")),
    ("export.csv", "", Kwh("-302.060")),
    ("blank-lines.csv", "", Kwh("1890.380")),
    ("trailing.csv", "", Kwh("205.022")),
    ("long.csv", "", Kwh("53.571")),
    (
        "greenbutton.xml",
        "",
        Refused(&["line 2", "ReadingType", "meter.unit"]),
    ),
    ("greenbutton.xml", "unit=Wh", Kwh("0.836")),
    (
        "book.xlsx",
        "",
        Refused(&["book.xlsx", "workbook", "sheet as CSV"]),
    ),
    ("five-minutes.csv", "", Kwh("1186.631")),
    ("end-label.csv", "", Doubted(&["meter.label"])),
    ("end-label.csv", "label=end", Kwh("198.036")),
    ("wh.csv", "", Doubted(&["meter.unit"])),
    ("wh.csv", "unit=Wh", Kwh("783.863")),
    (
        "gap.csv",
        "",
        Refused(&[
            "line 22",
            "\"h1\"",
            "22:00",
            "without a row: 2",
            "meter.gaps",
        ]),
    ),
    ("gap.csv", "gaps=missing", Kwh("189.880")),
    (
        "double-time.csv",
        "",
        Refused(&[
            "line 10",
            "\"h1\"",
            "1.262 kWh",
            "1.734 kWh on line 9",
            "remove one",
        ]),
    ),
    ("epoch.csv", "", Kwh("198.036")),
    (
        "total-column.csv",
        "",
        Doubted(&["Total", "meter.columns.skip"]),
    ),
    ("total-column.csv", "skip=Total", Kwh("791.058")),
    ("five-meters.csv", "", Kwh("237.503")),
    ("sub-wh.csv", "", Kwh("172.92275")),
    ("sub-wh-smallest.csv", "", Kwh("32.0128")),
    ("standby.csv", "", Kwh("0.07992")),
    ("future.csv", "", Kwh("75.827")),
    ("huge.csv", "", Kwh("22985149.967")),
    ("at-limit.csv", "", Kwh("-96000000")),
    ("half-day.csv", "", Kwh("27.026")),
    ("local-day.csv", "zone=Europe/Berlin", Kwh("53.293")),
];
