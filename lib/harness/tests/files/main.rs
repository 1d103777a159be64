//! The reader of files and the oracle, which has code of its own, agree to the millionth of a watt-hour on every file that is read:
//! random files of every form, and those of public reports.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases;
mod forms;
mod sheets;

use std::path::Path;

use harness::oracle::{Clear as _, FileTruth};
use proptest::prelude::*;
use readings::{Form, Gaps, MicroWattHours, Reading, Replay, ReplayOptions, Source as _};
use wire::UnixSeconds;

use forms::{ausgrid, cer, dsmr, espi, nem12};
use sheets::sheets;

/// Reads a file by both; what differs, or that the reader refuses it.
fn both(file: &[u8], options: &ReplayOptions) -> Result<Result<Form, String>, TestCaseError> {
    let mut replay = match Replay::from_reader(file, Path::new("random"), options) {
        Ok(replay) => replay,
        Err(error) => return Ok(Err(format!("{:#}", anyhow::Error::from(error)))),
    };
    let found = replay.found().clone();
    let text = String::from_utf8_lossy(file);
    let truth = FileTruth::of(file.to_vec(), options, &found);
    let mut truth =
        truth.map_err(|error| TestCaseError::fail(format!("{found}: {error:#}\n{text}")))?;
    prop_assert_eq!(truth.meters(), replay.meters().len(), "{}", text);
    let interval_s = replay.interval_s();
    let (from, until) = replay.range();
    let mut readings = Vec::new();
    for start in (from.0..until.unwrap().0).step_by(interval_s as usize) {
        replay
            .read(UnixSeconds(start), interval_s, &mut readings)
            .unwrap();
        let read: Vec<Option<i64>> = readings.iter().map(energy).collect();
        let true_uwh = truth.interval(UnixSeconds(start), interval_s).unwrap();
        prop_assert_eq!(true_uwh, read, "at {} of {}:\n{}", start, found, text);
    }
    Ok(Ok(found.form))
}

fn energy(reading: &Reading) -> Option<i64> {
    match reading {
        Reading::Energy(MicroWattHours(energy)) => Some(*energy),
        Reading::Missing => None,
    }
}

fn filled() -> ReplayOptions {
    ReplayOptions {
        gaps: Gaps::Missing,
        ..ReplayOptions::default()
    }
}

/// A file is read as `form`, or is one of those that random files may be and that are rightly refused with these words.
fn only(read: Result<Form, String>, form: Form, refusals: &[&str]) -> Result<(), TestCaseError> {
    match read {
        Ok(read) => prop_assert_eq!(read, form),
        Err(words) => {
            let expected = refusals.iter().any(|refusal| words.contains(refusal));
            prop_assert!(expected, "{}", words);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_oracle_agrees_on_files_with_columns(sheet in sheets()) {
        // Some are refused, such as those whose dates can be read in two ways.
        let _ = both(sheet.text().as_bytes(), &sheet.options)?;
    }

    #[test]
    fn the_oracle_agrees_on_nem12(text in nem12()) {
        let form = both(text.as_bytes(), &filled())?;
        only(form, Form::Nem12, &["no day (record 300) of a register of energy"])?;
    }

    #[test]
    fn the_oracle_agrees_on_ausgrid(text in ausgrid()) {
        let form = both(text.as_bytes(), &filled())?;
        only(form, Form::Ausgrid, &["remove one of the two"])?;
    }

    #[test]
    fn the_oracle_agrees_on_cer(text in cer()) {
        let form = both(text.as_bytes(), &filled())?;
        only(form, Form::Cer, &["no gap of more than 8784 intervals"])?;
    }

    #[test]
    fn the_oracle_agrees_on_green_button(text in espi()) {
        let form = both(text.as_bytes(), &filled())?;
        only(form, Form::Espi, &["no IntervalBlock of electricity"])?;
    }

    #[test]
    fn the_oracle_agrees_on_telegrams(text in dsmr()) {
        let form = both(text.as_bytes(), &filled())?;
        let refusals = ["has one telegram", "no telegram is whole", "too few rows of readings: 0"];
        only(form, Form::Dsmr, &refusals)?;
    }
}
