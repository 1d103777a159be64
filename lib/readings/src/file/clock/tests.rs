use super::*;

#[test]
fn one_instant_is_read_however_it_is_written() {
    for text in [
        "2024-03-14 13:30",
        "2024-03-14T13:30:00.0000000",
        "2024/3/14 13:30",
        "14.03.2024 13:30",
        "14.3.24 13:30:00",
        "14/03/2024 1:30 PM",
        "14/03/2024, 01:30 p.m.",
        "14-Mar-2024 13:30",
        "14 March 2024 13:30",
        "202403141330",
        "20240314 13:30",
        "20240314T13:30:00",
        "2024-03-14 13h30",
    ] {
        let written = read(text).unwrap_or_else(|| panic!("{text}"));
        let date = written.date(DateOrder::DayFirst);
        assert_eq!(date, Date::new(2024, 3, 14).ok(), "{text}");
        assert_eq!(written.seconds, Some(48_600), "{text}");
        assert_eq!(written.offset_s, None, "{text}");
    }
}

#[test]
fn offsets_and_midnights() {
    let offset = |text| read(text).unwrap().offset_s;
    assert_eq!(offset("2024-03-14T13:30:00Z"), Some(0));
    assert_eq!(offset("2024-03-14T13:30:00+05:30"), Some(19_800));
    assert_eq!(offset("2024-03-14 13:30 -0800"), Some(-28_800));
    assert_eq!(offset("2024-03-14 13:30 CEST"), Some(7_200));
    let seconds = |text| read(text).unwrap().seconds;
    assert_eq!(seconds("14.03.2024 24:00"), Some(86_400));
    assert_eq!(seconds("03/14/2024 12:00 AM"), Some(0));
    assert_eq!(seconds("03/14/2024 12:15 PM"), Some(44_100));
    assert_eq!(seconds("2024-03-14"), None);
    assert_eq!(time_of_day("00:15"), Some(900));
}

#[test]
fn what_is_no_time_is_not_read() {
    for text in [
        "",
        "noon",
        "2014-03-03 25:00",
        "2014-03-03 00:00:00.5",
        "2014-03-03 24:15",
        "1.5",
        "1-2-3",
        "2014-03",
        "2014-03-03 00:00 XYZ",
        "2014-03-03 13:00 PM",
        "12:30",
        "MAC000002",
    ] {
        let date = read(text).and_then(|written| written.date(DateOrder::DayFirst));
        assert_eq!(date, None, "{text}");
    }
    assert_eq!(
        read("2014-13-01").and_then(|w| w.date(DateOrder::DayFirst)),
        None
    );
}
