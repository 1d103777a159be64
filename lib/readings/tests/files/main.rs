//! Files as people bring them: what they come to, or with what words they are refused or doubted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod anything;
mod cases;
mod formats;
mod invented;

use std::path::Path;

use readings::{DateOrder, Gaps, Label, Replay, ReplayOptions, Unit, Values};

/// Settings as the tables write them, such as `unit=kW label=end`.
fn options(settings: &str) -> ReplayOptions {
    let mut options = ReplayOptions::default();
    for setting in settings.split_whitespace() {
        let (name, value) = setting.split_once('=').unwrap();
        match (name, value) {
            ("unit", "Wh") => options.unit = Some(Unit::Wh),
            ("unit", "kWh") => options.unit = Some(Unit::KWh),
            ("unit", "kW") => options.unit = Some(Unit::KW),
            ("label", "start") => options.label = Some(Label::Start),
            ("label", "end") => options.label = Some(Label::End),
            ("values", "register") => options.values = Some(Values::Register),
            ("gaps", "missing") => options.gaps = Gaps::Missing,
            ("date_order", "mdy") => options.date_order = Some(DateOrder::MonthFirst),
            ("missing", mark) => options.missing.push(mark.to_owned()),
            ("skip", name) => options.columns.skip.push(name.to_owned()),
            ("zone", zone) => zone.clone_into(&mut options.time_zone),
            _ => panic!("{setting}"),
        }
    }
    options
}

/// Reads a file; the words of the refusal if it is refused.
fn read(name: &str, bytes: &[u8], settings: &str) -> Result<Replay, String> {
    let replay = Replay::from_reader(bytes, Path::new(name), &options(settings));
    replay.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
}

/// Millionths of a watt-hour.
fn micro_wh(kwh: &str) -> i128 {
    let (whole, decimals) = kwh.split_once('.').unwrap_or((kwh, ""));
    format!("{whole}{decimals:0<9}").parse().unwrap()
}

/// What a file comes to.
enum Expect {
    /// Its energy in kWh.
    Kwh(&'static str),
    /// Parts of the words with which it is refused.
    Refused(&'static [&'static str]),
    /// Parts of the words with which it is doubted.
    Doubted(&'static [&'static str]),
}

/// Holds a file against what it has to come to; says what is wrong.
fn wrong(name: &str, bytes: &[u8], settings: &str, expect: &Expect) -> Option<String> {
    let missing = |words: &str, parts: &[&'static str]| {
        let missing = parts.iter().find(|part| !words.contains(**part));
        missing.map(|part| format!("{name} [{settings}]: {words:?} does not say {part:?}"))
    };
    match (read(name, bytes, settings), expect) {
        (Ok(replay), Expect::Kwh(kwh)) => {
            let found = replay.account().total_uwh;
            (found != micro_wh(kwh))
                .then(|| format!("{name} [{settings}]: {found} µWh, not {kwh} kWh"))
        }
        (Ok(replay), Expect::Doubted(parts)) => {
            let doubts: Vec<String> = replay.doubts().iter().map(ToString::to_string).collect();
            missing(&doubts.join("; "), parts)
        }
        (Ok(replay), Expect::Refused(_)) => Some(format!(
            "{name} [{settings}]: read as {} µWh, and not refused",
            replay.account().total_uwh
        )),
        (Err(words), Expect::Refused(parts)) => missing(&words, parts),
        (Err(words), _) => Some(format!("{name} [{settings}]: refused with {words:?}")),
    }
}
