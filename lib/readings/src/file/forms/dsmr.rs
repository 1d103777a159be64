//! DSMR P1 telegrams, as a logger writes them down from the meter's port, of one meter or several.
//!
//! The parser is our own: the crate `dsmr5` panics on a time that is too short, keeps no line, and takes CRLF alone for a line end.
//!
//! # Rules
//! * A telegram goes from a line that starts with `/` to one that starts with `!` and its checksum; lines between telegrams are
//!   not looked at. One that is cut off, or does not match its checksum, is passed over and counted.
//! * The meter is told by `0-0:96.1.1`, the time by `0-0:1.0.0`, whose `S` is UTC+2 and whose `W` is UTC+1.
//! * Drawn is 1.8.1 + 1.8.2 and so on, exported 2.8.1 + 2.8.2, or 1.8.0 and 2.8.0 where a meter has no tariffs.
//! * The interval is the shortest of 1, 5, 15, 30 and 60 minutes that is not shorter than the usual distance of two telegrams.
//!   The read of a time is the first telegram at it or after, by less than that distance. An interval without both its reads is
//!   missing; so is one in which a register falls: another meter, or one set back to 0.

mod meter;
mod telegram;

use std::collections::HashMap;

use self::meter::Meter;
use self::telegram::Telegram;
use super::super::options::With;
use super::super::row::Sink;
use super::super::text::Text;
use super::super::{FileError, Found};

/// The longest telegram, in bytes: several times what the standard allows.
const LONGEST: usize = 16_384;

/// Whether a file has this form, by its first lines.
pub(in crate::file) fn is(head: &[String]) -> bool {
    let after = head.iter().skip_while(|line| !line.starts_with('/'));
    head.iter().any(|line| line.starts_with('/'))
        && after.take(60).any(|line| line.starts_with("0-0:1.0.0("))
}

/// Writes the readings of the file to `sink`.
pub(in crate::file) fn read(
    text: &mut Text<'_>,
    _: &With<'_>,
    _: &mut Found,
    sink: &mut dyn Sink,
) -> Result<(), FileError> {
    let mut log = Log::default();
    while let Some((line, text)) = text.next_line()? {
        log.take(line, text)?;
    }
    log.broken += u64::from(!log.telegram.is_empty());
    if log.broken > 0 {
        tracing::warn!(
            telegrams = log.broken,
            "telegrams are passed over: they are cut off, or do not match their checksum"
        );
    }
    if log.meters.is_empty() {
        let problem = format!(
            "no telegram is whole and matches its checksum ({} do not): the logger has to write down every byte as the meter sends it",
            log.broken
        );
        return Err(FileError::Whole(problem));
    }
    for meter in log.meters {
        meter.write(sink)?;
    }
    Ok(())
}

#[derive(Default)]
struct Log {
    /// The telegram that is being read, from its `/`, with CRLF after every line as the meter sends it.
    telegram: String,
    /// Line of its first line.
    line: u64,
    broken: u64,
    places: HashMap<String, usize>,
    meters: Vec<Meter>,
}

impl Log {
    fn take(&mut self, line: u64, text: &str) -> Result<(), FileError> {
        let text = text.trim_end();
        if text.starts_with('/') {
            self.broken += u64::from(!self.telegram.is_empty());
            self.telegram.clear();
            self.line = line;
        } else if self.telegram.is_empty() {
            return Ok(());
        }
        if let Some(checksum) = text.strip_prefix('!') {
            self.telegram.push('!');
            let expected = u16::from_str_radix(checksum, 16).ok();
            if expected == Some(crc16(self.telegram.as_bytes())) {
                self.telegram()?;
            } else {
                self.broken += 1;
            }
            self.telegram.clear();
            return Ok(());
        }
        self.telegram.push_str(text);
        self.telegram.push_str("\r\n");
        if self.telegram.len() > LONGEST {
            self.broken += 1;
            self.telegram.clear();
        }
        Ok(())
    }

    /// Keeps what a whole telegram says.
    fn telegram(&mut self) -> Result<(), FileError> {
        let telegram = Telegram::read(self.line, &self.telegram)?;
        let place = *self
            .places
            .entry(telegram.meter.clone())
            .or_insert_with(|| {
                self.meters.push(Meter {
                    name: telegram.meter.clone(),
                    reads: Vec::new(),
                });
                self.meters.len() - 1
            });
        self.meters[place].reads.push(telegram.read);
        Ok(())
    }
}

/// CRC-16/ARC, as the standard says: polynomial 0x8005 reflected, from 0.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xa001
            } else {
                crc >> 1
            }
        })
    })
}
