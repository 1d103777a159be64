//! Files of readings.

use std::path::Path;

use readings::{Form, Gaps, Replay, ReplayOptions, Source as _, Unit};
use wire::UnixSeconds;

/// Intervals that one row may add: a gap that is filled, and itself.
const MOST_INTERVALS: u64 = 2 * 8_785;

/// Reads `data` as a file of `form`, or of what is found out. What is read adds up, and takes no more memory than its rows allow.
pub fn file(form: Option<Form>, data: &[u8]) {
    let options = ReplayOptions {
        form,
        unit: (form == Some(Form::Espi)).then_some(Unit::Wh),
        gaps: Gaps::Missing,
        time_zone: "Europe/Dublin".to_owned(),
        ..ReplayOptions::default()
    };
    let Ok(mut replay) = Replay::from_reader(data, Path::new("fuzz"), &options) else {
        return;
    };
    let account = *replay.account();
    let (readings, energy) = replay.between(0, u64::MAX);
    assert_eq!(energy, account.total_uwh - account.partial_uwh);
    assert!(readings <= account.readings);
    let (from, until) = replay.range();
    assert!(until.is_none_or(|until| from <= until));
    // Of each customer; two customers may be centuries apart.
    assert!(account.missing <= (account.rows + 1) * MOST_INTERVALS);
    let mut out = Vec::new();
    let interval_s = replay.interval_s();
    for start in [from.0, from.0 + u64::from(interval_s), 0, u64::MAX] {
        let _ = replay.read(UnixSeconds(start), interval_s, &mut out);
    }
}

/// Reads `data` as a log of telegrams, with the right checksum after every `!`.
pub fn telegrams(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut log = String::new();
    let mut telegram = String::new();
    for line in text.lines() {
        if line.starts_with('/') {
            telegram.clear();
        }
        if line.starts_with('!') {
            telegram.push('!');
            let checksum = telegram.bytes().fold(0u16, |crc, byte| {
                (0..8).fold(crc ^ u16::from(byte), |crc, _| {
                    (crc >> 1) ^ (0xa001 * (crc & 1))
                })
            });
            log += &format!("!{checksum:04X}\r\n");
            telegram.clear();
            continue;
        }
        telegram += line.trim_end();
        telegram += "\r\n";
        log += line.trim_end();
        log += "\r\n";
    }
    file(Some(Form::Dsmr), log.as_bytes());
}

/// The examples of docs/formats.md: the fuzz target, and a file for it.
pub fn examples() -> Vec<(&'static str, &'static str)> {
    const PAGE: &str = include_str!("../../docs/formats.md");
    let blocks = PAGE.split("<!-- example: form=").skip(1);
    let example = |block: &'static str| {
        let (form, rest) = block.split_once(' ')?;
        let (_, inside) = rest.split_once("```")?;
        let (_, inside) = inside.split_once('\n')?;
        let (text, _) = inside.split_once("```")?;
        let target = match form {
            "nem12" => "file_nem12",
            "espi" => "file_espi",
            "cer" => "file_cer",
            "ausgrid" => "file_ausgrid",
            "dsmr" => "file_dsmr",
            _ => "file",
        };
        Some((target, text))
    };
    blocks.filter_map(example).collect()
}
