use super::super::options::ReplayOptions;
use super::*;

fn sniffed<T>(
    texts: &[&str],
    zone_name: &str,
    check: impl FnOnce(&Times<'_>) -> T,
) -> Result<T, FileError> {
    let options = ReplayOptions::default();
    let zone = wire::time_zone(zone_name).unwrap();
    let with = With {
        options: &options,
        zone: &zone,
    };
    let samples: Vec<(u64, String)> = (2..)
        .zip(texts.iter().map(|text| (*text).to_owned()))
        .collect();
    let numbers = Numbers::default();
    Ok(check(&Times::sniff(&samples, &with, &numbers)?))
}

/// The instants of times, each with the one before it.
fn instants(texts: &[&str], zone_name: &str) -> Result<Vec<u64>, String> {
    let read = sniffed(texts, zone_name, |times| {
        let mut previous = None;
        let mut found = Vec::new();
        for text in texts {
            let at = times
                .at((2, "time"), text, previous)
                .map_err(|error| error.to_string())?;
            previous = Some(at);
            found.push(at);
        }
        Ok(found)
    });
    read.map_err(|error| error.to_string())?
}

#[test]
fn every_style_comes_to_the_same_instants() {
    let start = 1_709_510_400;
    let expected = [start, start + 900, start + 1_800];
    for texts in [
        ["2024-03-04 00:00", "2024-03-04 00:15", "2024-03-04 00:30"],
        ["04.03.2024 00:00", "04.03.2024 00:15", "04.03.2024 00:30"],
        [
            "2024-03-04T01:00:00+01:00",
            "2024-03-04T01:15:00+01:00",
            "2024-03-04T01:30:00+01:00",
        ],
        ["1709510400", "1709511300", "1709512200"],
        ["1709510400000", "1709511300000", "1709512200000"],
        ["45355", "45355.0104166667", "45355.0208333333"],
        ["45355.00000", "45355.01042", "45355.02083"],
        ["202403040000", "202403040015", "202403040030"],
    ] {
        assert_eq!(instants(&texts, "UTC").unwrap(), expected, "{texts:?}");
    }
    let hours = instants(&["0", "0.25", "0.5"], "UTC").unwrap();
    assert_eq!(hours, [0, 900, 1_800].map(|s| 1_393_804_800 + s));
}

#[test]
fn the_order_of_dates_is_told_by_any_of_them_or_asked() {
    let order = |texts: &[&str]| sniffed(texts, "UTC", |times| times.date_order);
    let day = ["12/03/2024 00:00", "13/03/2024 00:00"];
    assert_eq!(order(&day).unwrap(), DateOrder::DayFirst);
    let month = ["03/12/2024 00:00", "03/13/2024 00:00"];
    assert_eq!(order(&month).unwrap(), DateOrder::MonthFirst);
    // By midnight: the next hour is of 2 March or of 1 April.
    let regular = [
        "01/03/2024 22:00",
        "01/03/2024 23:00",
        "02/03/2024 00:00",
        "02/03/2024 01:00",
    ];
    assert_eq!(order(&regular).unwrap(), DateOrder::DayFirst);
    let open = ["04/03/2024 00:00", "04/03/2024 01:00"];
    let error = order(&open).unwrap_err().to_string();
    for part in ["line 2", "04/03/2024 00:00", "meter.date_order"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(
        order(&["04/04/2024 00:00"; 2]).unwrap(),
        DateOrder::DayFirst
    );
}

#[test]
fn a_repeated_hour_is_told_by_the_row_before() {
    // 2014-10-26: 03:00 summer time (01:00 UTC) is 02:00 again.
    let twice = [
        "2014-10-26 01:00",
        "2014-10-26 02:00",
        "2014-10-26 02:00",
        "2014-10-26 03:00",
    ];
    let start = 1_414_278_000;
    let expected: Vec<u64> = (0..4).map(|hour| start + hour * 3_600).collect();
    assert_eq!(instants(&twice, "Europe/Berlin").unwrap(), expected);
    let newest_first: Vec<&str> = twice.iter().rev().copied().collect();
    let mut reversed = instants(&newest_first, "Europe/Berlin").unwrap();
    reversed.reverse();
    assert_eq!(reversed, expected);
    let quarters = [
        "2014-10-26 02:00",
        "2014-10-26 02:15",
        "2014-10-26 02:30",
        "2014-10-26 02:45",
        "2014-10-26 02:00",
        "2014-10-26 02:15",
    ];
    let found = instants(&quarters, "Europe/Berlin").unwrap();
    assert!(
        found.windows(2).all(|pair| pair[1] - pair[0] == 900),
        "{found:?}"
    );
}

#[test]
fn an_hour_of_which_the_two_passes_come_mixed_is_refused_with_the_mend() {
    let mixed = [
        "2014-10-26 01:45",
        "2014-10-26 02:00",
        "2014-10-26 02:00",
        "2014-10-26 02:15",
        "2014-10-26 02:15",
        "2014-10-26 02:30",
    ];
    let error = instants(&mixed, "Europe/Berlin").unwrap_err();
    assert!(
        error.contains("twice") && error.contains("sort them"),
        "{error}"
    );
    let thrice = [
        "2014-10-26 01:00",
        "2014-10-26 02:00",
        "2014-10-26 02:00",
        "2014-10-26 02:00",
    ];
    assert!(instants(&thrice, "Europe/Berlin").is_err());
}

#[test]
fn times_that_are_none_are_refused() {
    let first = "2014-03-30 01:00";
    for text in [
        "2014-03-30 02:30",
        "noon",
        "2014-03-30 25:00",
        "2014-03-30 00:00:00.5",
        "1969-12-31 00:00",
    ] {
        let error = instants(&[first, text], "Europe/Berlin").unwrap_err();
        assert!(
            error.contains(text) && error.contains("\"time\""),
            "{error}"
        );
    }
    let far = instants(&["0", "1", "1e30"], "UTC").unwrap_err();
    assert!(far.contains("1e30"), "{far}");
}
