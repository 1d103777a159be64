use super::super::options::ReplayOptions;
use super::*;

fn sniffed(text: &str) -> Result<Dialect, FileError> {
    let options = ReplayOptions::default();
    let zone = jiff::tz::TimeZone::UTC;
    let head: Vec<String> = text.lines().map(str::to_owned).collect();
    sniff(
        &head,
        &With {
            options: &options,
            zone: &zone,
        },
    )
}

#[test]
fn separators_are_those_of_most_lines() {
    for (text, separator, columns) in [
        (
            "time,a,b\n2024-03-04 00:00,1.5,2\n2024-03-04 01:00,1,2\n",
            ',',
            3,
        ),
        (
            "t;a;b\n04.03.2024 00:00;1,5;2\n04.03.2024 01:00;1,25;2\n",
            ';',
            3,
        ),
        (
            "time\ta\n2024-03-04 00:00\t1,5\n2024-03-04 01:00\t1\n",
            '\t',
            2,
        ),
        ("time|a\n2024-03-04 00:00|1.5\n2024-03-04 01:00|1\n", '|', 2),
        (
            "1392 19503 0.14\n1392 19504 0.138\n1392 19505 0.14\n",
            ' ',
            3,
        ),
        ("\"time\",\"a, b\"\n\"2024-03-04 00:00\",\"1.5\"\n", ',', 2),
    ] {
        let dialect = sniffed(text).unwrap();
        assert_eq!(
            (dialect.separator, dialect.columns.len()),
            (separator, columns),
            "{text}"
        );
    }
    assert!(
        sniffed("hello\nworld\n")
            .unwrap_err()
            .to_string()
            .contains("only one column")
    );
}

#[test]
fn the_header_is_above_the_first_row_wherever_that_is() {
    let rows = "Horodate;Valeur\n2023-01-01T00:00:00+01:00;562\n2023-01-01T00:30:00+01:00;642\n2023-01-01T01:00:00+01:00;1\n";
    let before = "PRM;Debut;Fin;Unite\n00000000000000;31/12/2022;31/12/2023;W\n";
    let dialect = sniffed(&format!("{before}{rows}")).unwrap();
    assert_eq!((dialect.header, dialect.first), (3, 4));
    assert_eq!(dialect.columns, ["Horodate", "Valeur"]);
    assert_eq!(dialect.preface[1][3], "W");
    let none = sniffed("2024-03-04 00:00,1.5,2\n2024-03-04 01:00,1,2\n").unwrap();
    assert_eq!((none.header, none.first), (0, 1));
    assert_eq!(none.columns, ["column 1", "column 2", "column 3"]);
    let units =
        sniffed("Zeit;a;b\n;kWh;kWh\n04.03.2024 00:00;1,5;2\n04.03.2024 01:00;1,5;2\n").unwrap();
    assert_eq!((units.header, units.first), (1, 3));
    assert_eq!(units.preface, [["", "kWh", "kWh"]]);
    let numeric = sniffed("hour,1001,1002\n0,1,2\n1,3,4\n").unwrap();
    assert_eq!((numeric.header, numeric.columns[1].as_str()), (1, "1001"));
}

#[test]
fn columns_without_name_and_values_at_the_end_are_none() {
    let trailing = sniffed("time,a,b,\n2024-03-04 00:00,1,2,\n2024-03-04 01:00,1,2,\n").unwrap();
    assert_eq!(trailing.columns, ["time", "a", "b"]);
    let used = sniffed("hour,a,\n0,1,2\n1,1,2\n").unwrap();
    assert_eq!(used.columns.len(), 3);
}

#[test]
fn marks_in_numbers_are_told_by_numbers_that_leave_no_doubt() {
    let of = |fields: [&str; 2]| {
        let text = format!(
            "t;a\n04.03.2024 00:00;{}\n04.03.2024 01:00;{}\n",
            fields[0], fields[1]
        );
        sniffed(&text).map(|dialect| (dialect.numbers.decimal, dialect.numbers.thousands))
    };
    assert_eq!(of(["0,123", "1,234"]).unwrap(), (',', None));
    assert_eq!(of(["1.234,5", "1"]).unwrap(), (',', Some('.')));
    assert_eq!(of(["1.234.567", "1"]).unwrap(), (',', Some('.')));
    assert_eq!(of(["1.234", "0,5"]).unwrap(), (',', Some('.')));
    assert_eq!(of(["1.234", "0.5"]).unwrap(), ('.', None));
    assert_eq!(of(["1.234", "1746"]).unwrap(), ('.', None));
    let error = of(["1.234", "2.345"]).unwrap_err().to_string();
    for part in ["line 2", "\"1.234\"", "meter.decimal"] {
        assert!(error.contains(part), "{error}");
    }
}
