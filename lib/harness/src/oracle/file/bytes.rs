//! Bytes into text: compression and encodings.

use std::io::{Cursor, Read as _};

use anyhow::{Context as _, Result};

/// What Windows-1252 has between 0x80 and 0x9f; the other bytes are those of Unicode.
const WINDOWS: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";

/// The text of a file.
pub(super) fn text(bytes: Vec<u8>) -> Result<String> {
    let bytes = match &bytes[..] {
        [0x1f, 0x8b, ..] => {
            let mut out = Vec::new();
            flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut out)?;
            out
        }
        [b'P', b'K', 3, 4, ..] => of_zip(bytes)?,
        _ => bytes,
    };
    let units = |from: fn([u8; 2]) -> u16, bytes: &[u8]| -> Vec<u16> {
        bytes
            .chunks_exact(2)
            .map(|pair| from([pair[0], pair[1]]))
            .collect()
    };
    let zero = |odd: usize| {
        bytes
            .iter()
            .skip(odd)
            .step_by(2)
            .take(32)
            .filter(|byte| **byte == 0)
            .count()
            > 16
    };
    Ok(match &bytes[..] {
        [0xff, 0xfe, rest @ ..] => String::from_utf16_lossy(&units(u16::from_le_bytes, rest)),
        [0xfe, 0xff, rest @ ..] => String::from_utf16_lossy(&units(u16::from_be_bytes, rest)),
        all if zero(1) => String::from_utf16_lossy(&units(u16::from_le_bytes, all)),
        all if zero(0) => String::from_utf16_lossy(&units(u16::from_be_bytes, all)),
        all => {
            let all = all.strip_prefix(b"\xef\xbb\xbf").unwrap_or(all);
            match std::str::from_utf8(all) {
                Ok(text) => text.to_owned(),
                Err(_) => by_line(all),
            }
        }
    })
}

/// Lines that are not UTF-8 are of Windows-1252.
fn by_line(bytes: &[u8]) -> String {
    let table: Vec<char> = WINDOWS.chars().collect();
    let letter = |byte: &u8| match byte {
        0x80..=0x9f => table[usize::from(byte - 0x80)],
        byte => char::from(*byte),
    };
    let line = |line: &[u8]| match std::str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => line.iter().map(letter).collect(),
    };
    let lines: Vec<String> = bytes.split(|byte| *byte == b'\n').map(line).collect();
    lines.join("\n")
}

fn of_zip(bytes: Vec<u8>) -> Result<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))?;
    let mut out = Vec::new();
    for place in 0..archive.len() {
        let mut file = archive.by_index(place)?;
        let ours = file.is_file() && !file.name()?.starts_with("__MACOSX/");
        if ours {
            file.read_to_end(&mut out)?;
            return Ok(out);
        }
    }
    Err(anyhow::anyhow!("nothing in it")).context("a zip archive")
}
