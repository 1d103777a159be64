use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::MicroWattHours;

mod forgotten;
mod london;
mod sheets;
mod wide;

/// Reads `text` with `options`.
pub(crate) fn parse(text: &str, options: &ReplayOptions) -> Result<Replay, SourceError> {
    Replay::from_reader(text.as_bytes(), Path::new("test.csv"), options)
}

/// An error as the edge prints it.
pub(crate) fn said(error: SourceError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

/// The message with which `text` is refused.
pub(crate) fn refusal(text: &str) -> String {
    let error = parse(text, &ReplayOptions::default()).unwrap_err();
    said(error)
}

/// Readings of the native interval at `start` in millionths of a watt-hour, `None` for missing ones.
pub(crate) fn at(replay: &mut Replay, start: u64) -> Vec<Option<i64>> {
    let mut out = Vec::new();
    let interval_s = replay.interval_s();
    replay
        .read(UnixSeconds(start), interval_s, &mut out)
        .unwrap();
    out.iter()
        .map(|reading| match reading {
            Reading::Energy(MicroWattHours(energy)) => Some(*energy),
            Reading::Missing => None,
        })
        .collect()
}

/// A reading of whole kilowatt-hours, in millionths of a watt-hour.
fn kwh(kwh: i64) -> Option<i64> {
    Some(kwh * 1_000_000_000)
}

proptest! {
    #[test]
    fn a_written_table_reads_back_in_any_order(
        values in prop::collection::vec(
            prop::collection::vec(prop::option::of(-1_000_000_000_000i64..1_000_000_000_000), 3),
            2..40,
        ),
        interval_s in prop::sample::select(vec![900u64, 1_800, 3_600, 86_400]),
        first in 0u64..100_000,
        newest_first: bool,
    ) {
        let mut rows = Vec::new();
        for (k, row) in values.iter().enumerate() {
            let at = Timestamp::from_second(((first + k as u64) * interval_s) as i64).unwrap();
            let mut text = at.to_string();
            for energy in row {
                let kwh = |energy: i64| format!(",{:.9}", energy as f64 / 1e9);
                text += &energy.map_or(",".to_owned(), kwh);
            }
            rows.push(text + "\n");
        }
        if newest_first {
            rows.reverse();
        }
        let text = "time,a,b,c\n".to_owned() + &rows.concat();
        let mut replay = parse(&text, &ReplayOptions::default()).unwrap();
        prop_assert_eq!(u64::from(replay.interval_s()), interval_s);
        for (k, row) in values.iter().enumerate() {
            prop_assert_eq!(&at(&mut replay, (first + k as u64) * interval_s), row);
        }
    }

    #[test]
    fn no_file_brings_it_down(
        header in prop::sample::select(vec![
            "hour,a,b", "LCLid,DateTime,KWH/hh (per half hour) ", "", "Zeit;a;b",
        ]),
        fields in prop::collection::vec(
            prop::sample::select(vec![
                "0", "1", "2", "-1", "1e308", "NaN", "Null", "", "a", "\"", ",", "\n", "\r\n",
                ",", "\n", "2014-03-03", "9999-12-31 23:30", "2014-03-30 02:30", "\u{feff}", ";", "24:00", "1.234,5",
                "01/02/2024 00:00", "1709510400", "45355.5",
            ]),
            0..60,
        ),
        start: u64,
        gaps in prop::sample::select(vec![Gaps::Refuse, Gaps::Missing]),
        label in prop::option::of(prop::sample::select(vec![Label::Start, Label::End])),
        unit in prop::option::of(prop::sample::select(vec![Unit::KW, Unit::MWh])),
        values in prop::option::of(prop::sample::select(vec![Values::Register, Values::Interval])),
    ) {
        let options = ReplayOptions {
            start: UnixSeconds(start),
            time_zone: "Europe/Berlin".to_owned(),
            gaps,
            label,
            unit,
            values,
            ..ReplayOptions::default()
        };
        if let Ok(mut replay) = parse(&format!("{header}\n{}", fields.concat()), &options) {
            let (from, to) = replay.range();
            let mut out = Vec::new();
            for start in [from.0, from.0.saturating_sub(900), to.map_or(0, |to| to.0), u64::MAX] {
                for interval_s in [0, 1, 900, 3_600, u32::MAX] {
                    let read = replay.read(UnixSeconds(start), interval_s, &mut out);
                    prop_assert_eq!(out.len(), if read.is_ok() { replay.meters().len() } else { 0 });
                }
            }
        }
    }
}

#[test]
fn the_form_is_told_by_the_header() {
    let options = ReplayOptions::default();
    let wide = parse("hour,a\n0,1\n1,2\n", &options).unwrap();
    assert_eq!(wide.found.form, Form::Wide);
    let london = "LCLid,stdorToU,DateTime,KWH/hh (per half hour) \r\nMAC1,Std,2012-10-12 00:30:00.0000000, 0 \r\n\
        MAC1,Std,2012-10-12 01:00:00.0000000, 0 \r\n";
    assert_eq!(parse(london, &options).unwrap().found.form, Form::Long);
}

#[test]
fn empty_and_unreadable_files_are_refused() {
    for text in ["", "\n\n", ",,\n"] {
        assert!(refusal(text).contains("empty"), "{text:?}");
    }
    let missing = open_replay(Path::new("/nowhere/x.csv"), &ReplayOptions::default());
    assert!(missing.unwrap_err().to_string().contains("/nowhere/x.csv"));
    let latin1: &[u8] = b"hour,a\n0,1\n1,\xe9\n";
    let error = Replay::from_reader(latin1, Path::new("x.csv"), &ReplayOptions::default());
    let error = said(error.unwrap_err());
    for part in ["x.csv", "line 3", "\"é\""] {
        assert!(error.contains(part), "{error}");
    }
    let zone = ReplayOptions {
        time_zone: "Atlantis".to_owned(),
        ..ReplayOptions::default()
    };
    assert!(matches!(
        parse("hour,a\n", &zone),
        Err(SourceError::TimeZone { .. })
    ));
}

#[test]
fn what_is_no_text_is_named_with_the_mend() {
    for (bytes, parts) in [
        (
            &b"PK\x03\x04..........[Content_Types].xml"[..],
            ["Excel workbook", "save"],
        ),
        (b"\xd0\xcf\x11\xe0....", ["Excel workbook", "save"]),
        (b"%PDF-1.4", ["PDF", "CSV"]),
        (b"<!DOCTYPE html><html>", ["web page", "download"]),
    ] {
        let error = Replay::from_reader(bytes, Path::new("x.csv"), &ReplayOptions::default());
        let error = said(error.unwrap_err());
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn the_uci_file_reads_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/uci_electricity_hourly.csv");
    let mut replay = open_replay(&path, &ReplayOptions::default()).unwrap();
    assert_eq!(
        (replay.found.form, replay.interval_s()),
        (Form::Wide, 3_600)
    );
    assert_eq!(replay.doubts(), []);
    assert_eq!(replay.meters().len(), 203);
    let start = 1_393_804_800;
    let end = start + 336 * 3_600;
    assert_eq!(replay.range(), (UnixSeconds(start), Some(UnixSeconds(end))));
    assert_eq!(replay.meters()[0].id.as_str(), "meter-001");
    // The first fields of the file's second and third line, and its last field.
    assert_eq!(at(&mut replay, start)[..3], [14, 69, 234].map(kwh));
    assert_eq!(at(&mut replay, start + 3_600)[..2], [18, 92].map(kwh));
    assert_eq!(at(&mut replay, end - 3_600)[202], kwh(3_437));
    // The greatest value, 111584 kWh in an hour, is the greatest capacity: nothing is clamped.
    let greatest = replay.meters().iter().map(|m| m.capacity_w.0).max();
    assert_eq!(greatest, Some(111_584_000));
    let (count, sum) = replay.between(0, u64::MAX);
    assert_eq!((count, sum), (203 * 336, replay.account().total_uwh));
}
