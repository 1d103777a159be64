//! Files as people bring them: what they come to, or with what words they are refused or doubted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod anything;
mod cases;
mod formats;
mod invented;
mod refused;
mod settings;
mod table;

use std::path::Path;

use readings::Replay;
use settings::options;
use table::Expect;

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
