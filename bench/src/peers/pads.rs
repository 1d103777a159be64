//! Pads alone: additive masks without any encryption, after Castelluccia, Mykletun and Tsudik (2005).
//!
//! A meter adds a pad to each reading modulo q; the server adds what comes; who knows the meters' keys takes the pads of the
//! named meters off the sum. These are the masks that our reports carry inside the ciphertext, by the same code.

use std::collections::BTreeMap;
use std::hint::black_box;

use anyhow::{Result, anyhow};
use harness::usage::thread_time;
use masks::{Label, MaskSecret, PadKey, PadSum, Parties};
use packed::{RING, pack, unpack};
use wire::SigningKey;

use super::protocol::{Measured, Opened};
use super::work::{BATCH, Work};

/// Version and parameters.
pub(super) const DESCRIBE: &str = "X25519, HKDF-SHA256 and ChaCha20, 50-bit words";
/// What every report is sealed for: one setting, one window.
const SETTING: [u8; 32] = [0; 32];
/// Times a round repeats what takes only microseconds.
const REPEAT: usize = 20;

/// Meters, an aggregator, and who knows the pads.
#[derive(Debug)]
pub(super) struct Pads {
    readings: Vec<Vec<i64>>,
    keys: Vec<PadKey>,
    sum: Vec<u64>,
    included: Vec<usize>,
    /// Bytes that a report has beside its words: those of ours.
    envelope: usize,
}

impl Pads {
    /// Keys for the reports of `work`.
    pub(super) fn new(work: &Work) -> Result<Self> {
        let secret = || MaskSecret::generate().map_err(|error| anyhow!("{error}"));
        let verifier = secret()?;
        let verifier_key = verifier.public();
        let key = |index: usize| {
            let meter = secret()?;
            let parties = Parties {
                deployment: "peers",
                meter: &index.to_string(),
                epoch: 1,
                meter_key: &meter.public(),
                verifier_key: &verifier_key,
            };
            Ok(PadKey::agree(&meter, &verifier_key, &parties)?)
        };
        Ok(Self {
            keys: (0..work.readings.len()).map(key).collect::<Result<_>>()?,
            readings: work.readings.clone(),
            sum: vec![0; BATCH],
            included: Vec::new(),
            envelope: envelope()?,
        })
    }

    /// Client's and server's work for these reports.
    pub(super) fn round(&mut self, reports: &[usize]) -> Result<Measured> {
        let began = thread_time();
        for index in std::iter::repeat_n(reports, REPEAT).flatten() {
            black_box(self.seal(*index)?);
        }
        let sealed_at = thread_time();
        let sealed = reports.iter().map(|index| self.seal(*index));
        let sealed = sealed.collect::<Result<Vec<_>>>()?;
        let mut scratch = self.sum.clone();
        let before = thread_time();
        for report in std::iter::repeat_n(&sealed, REPEAT).flatten() {
            add(&mut scratch, report)?;
        }
        let added_at = thread_time();
        black_box(scratch);
        for report in &sealed {
            add(&mut self.sum, report)?;
        }
        self.included.extend_from_slice(reports);
        let each = |time: std::time::Duration| time.as_secs_f64() / REPEAT as f64;
        let bytes = sealed.iter().map(|report| report.len() + self.envelope);
        Ok(Measured {
            reports: reports.len() as f64,
            client: BTreeMap::from([("mask".to_owned(), each(sealed_at - began))]),
            server: BTreeMap::from([("add".to_owned(), each(added_at - before))]),
            bytes: bytes.sum(),
        })
    }

    /// Takes the pads off the sum.
    pub(super) fn finish(&self) -> Opened {
        let mut pads = PadSum::new(BATCH, RING.modulus);
        for index in &self.included {
            pads.add(&self.keys[*index], &label(*index));
        }
        let mut sum: Vec<u64> = self.sum.iter().map(|word| word % RING.modulus).collect();
        pads.subtract_from(&mut sum);
        let centred = sum.iter().map(|&word| RING.centre(word) as f64);
        Opened {
            totals_wh: centred.collect(),
            included: self.included.clone(),
        }
    }

    fn seal(&self, index: usize) -> Result<Vec<u8>> {
        let words = self.readings[index].iter().map(|wh| RING.residue(*wh));
        let mut words: Vec<u64> = words.collect();
        self.keys[index].add(&label(index), RING.modulus, &mut words);
        Ok(pack(&RING, &words)?)
    }
}

/// What a message has around its limbs.
fn envelope() -> Result<usize> {
    let report = super::deployment::report(0)?;
    let limbs = [0; 8];
    let deployment = "peers".parse()?;
    let (bytes, _) = wire::seal(
        &report,
        Some(&limbs),
        &deployment,
        "t",
        &SigningKey::generate(),
    );
    // A longer string of limbs has a length of two bytes more.
    Ok(bytes.len() - limbs.len() + 2)
}

/// A report that comes again has the same reading, and may have the same pad.
fn label(index: usize) -> Label<'static> {
    Label {
        setting: &SETTING,
        window: 0,
        salt: (index as u64).to_le_bytes(),
    }
}

/// 16,383 reports fit into 64 bits.
fn add(sum: &mut [u64], report: &[u8]) -> Result<()> {
    for (word, residue) in sum.iter_mut().zip(unpack(&RING, BATCH, report)?) {
        *word += residue;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_exact_though_readings_are_negative_and_reports_come_again() {
        let work = Work {
            readings: vec![vec![-100; BATCH], vec![30; BATCH]],
            reference_wh: 128,
            layout: packed::layout::Layout::Profile,
        };
        let mut pads = Pads::new(&work).unwrap();
        let measured = pads.round(&[0, 1]).unwrap();
        assert!((2 * 700..2 * 850).contains(&measured.bytes), "{measured:?}");
        pads.round(&[1]).unwrap();
        let opened = pads.finish();
        assert_eq!(opened.totals_wh, vec![-40.0; BATCH]);
        assert_eq!(opened.included, [0, 1, 1]);
    }
}
