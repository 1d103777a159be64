//! The rows of one thread: sealing, its bytes, what analytics does with a report, and the operator with a sum.

use std::hint::black_box;

use analytics::{Incoming, Verifier};
use anyhow::{Context as _, Result, anyhow};
use masks::{Label, MaskSecret, PadKey, Parties};
use packed::{ADDITIVE_SMALL, Profile};
use seal::Kernel;
use service::config::Settings;

use crate::peers::ours::Ours;
use crate::peers::work::Work;
use crate::ratio::Spread;
use harness::usage::thread_time;

/// Reports that analytics is given in a round: 12 MB, more than most caches hold.
const REPORTS: usize = 1_000;
/// Reports that analytics takes from its queue at a time under load.
const LOT: usize = 250;
/// Reports whose bytes are counted.
const SAMPLE: usize = 20;
/// Reports whose sum is opened.
const SUMMED: usize = 200;
/// Reports that are added to it at a time.
const ROUND: usize = 20;
/// Streams of masks of 2-of-4 holders.
const STREAMS: u32 = 4;
/// Coefficients that carry masks: 96 readings, their presence, the zero checks and what is clamped.
const WORDS: usize = 232;
/// How often a sum is opened in a round.
const OPENED: usize = 20;

/// Sealing with this kernel over OpenFHE's encryption, in each round.
pub(crate) fn seal(kernel: Kernel, settings: &Settings, quick: bool) -> Result<Vec<f64>> {
    let (rounds, each) = if quick { (15, 10) } else { (40, 25) };
    let ours = Ours::new(settings, &Work::real(each)?, None)?.with_kernel(kernel);
    let plaintexts = (0..each).map(|index| ours.coefficients(index));
    let plaintexts = plaintexts.collect::<Result<Vec<_>>>()?;
    let mut ratios = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let began = thread_time();
        for coefficients in &plaintexts {
            ours.openfhe_alone(coefficients)?;
        }
        let alone = thread_time();
        for index in 0..each {
            ours.seal(index)?;
        }
        let sealed = thread_time();
        if round > 0 {
            ratios.push((sealed - alone).as_secs_f64() / (alone - began).as_secs_f64());
        }
    }
    Ok(ratios)
}

/// Bytes of messages in the profile with the smallest reports.
pub(crate) fn bytes(settings: &Settings) -> Result<Vec<f64>> {
    bytes_in(settings, &ADDITIVE_SMALL)
}

/// Bytes of messages in the profile with the largest reports.
pub(crate) fn bytes_any(settings: &Settings) -> Result<Vec<f64>> {
    let each = Profile::all().iter();
    let each = each.map(|profile| bytes_in(settings, profile));
    let each = each.collect::<Result<Vec<_>>>()?;
    let mean = |bytes: &Vec<f64>| bytes.iter().sum::<f64>() / bytes.len() as f64;
    let largest = each.into_iter().max_by(|a, b| mean(a).total_cmp(&mean(b)));
    largest.context("there is no profile")
}

fn bytes_in(settings: &Settings, profile: &'static Profile) -> Result<Vec<f64>> {
    let ours = Ours::new(settings, &Work::real(SAMPLE)?, Some(profile))?;
    (0..SAMPLE)
        .map(|index| Ok(ours.seal(index)?.envelope.len() as f64))
        .collect()
}

/// Processor time of decoding, verifying and folding a report, in microseconds, in each round.
pub(crate) fn admission(settings: &Settings, quick: bool) -> Result<Vec<f64>> {
    let rounds = if quick { 5 } else { 20 };
    let ours = Ours::new(settings, &Work::real(REPORTS)?, None)?;
    let incoming = |index| {
        Ok(Incoming {
            topic: ours.topic(index).to_owned(),
            payload: ours.seal(index)?.envelope,
        })
    };
    let incoming = (0..REPORTS).map(incoming).collect::<Result<Vec<_>>>()?;
    let admission = ours.admission();
    // One thread: this one, whose clock is read. It knows the meters after the first round, which does not count.
    let verifier = Verifier::new(1, settings.analytics.known_keys);
    let mut values = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let mut sum = ours.empty_sum();
        let began = thread_time();
        for lot in incoming.chunks(LOT) {
            for verdict in verifier.verify(&admission, lot) {
                let admitted = verdict.map_err(|refusal| anyhow!("refused: {}", refusal.detail))?;
                sum.add(&admitted.limbs)?;
            }
        }
        let took = thread_time() - began;
        if round > 0 {
            values.push(took.as_secs_f64() * 1e6 / REPORTS as f64);
        }
    }
    Ok(values)
}

/// Processor time of adding up the pads of a contributor, in microseconds, in each round.
pub(crate) fn unmask(settings: &Settings, quick: bool) -> Result<Vec<f64>> {
    let ours = summed(settings)?;
    rounds(quick, || {
        for _ in 0..OPENED {
            drop(black_box(ours.pads()));
        }
        Ok(())
    })
    .map(|us| us.iter().map(|us| us / (OPENED * SUMMED) as f64).collect())
}

/// Processor time of the masks that a report has for 2-of-4 holders, in microseconds, in each round.
pub(crate) fn holders_seal(quick: bool) -> Result<Vec<f64>> {
    let meter = MaskSecret::generate()?;
    let key = |generation| {
        let stream = MaskSecret::generate()?;
        let parties = Parties {
            deployment: "dev",
            meter: "meter-1",
            epoch: generation,
            meter_key: &meter.public(),
            verifier_key: &stream.public(),
        };
        Ok(PadKey::agree(&meter, &stream.public(), &parties)?)
    };
    let keys = (0..STREAMS).map(key).collect::<Result<Vec<_>>>()?;
    let mut words = vec![0; WORDS];
    let values = rounds(quick, || {
        for seal in 0..SUMMED as u64 {
            let label = Label {
                setting: &[1; 32],
                window: seal,
                salt: seal.to_le_bytes(),
            };
            for key in &keys {
                key.add(&label, packed::RING.modulus, black_box(&mut words));
            }
        }
        Ok(())
    })?;
    Ok(values.iter().map(|us| us / SUMMED as f64).collect())
}

/// Processor time of opening a sum whose pads are known, in microseconds, in each round.
pub(crate) fn open(settings: &Settings, quick: bool) -> Result<Vec<f64>> {
    let ours = summed(settings)?;
    let sum = ours.packed_sum();
    let pads = ours.pads();
    rounds(quick, || {
        for _ in 0..OPENED {
            black_box(ours.open(&sum, &pads)?);
        }
        Ok(())
    })
    .map(|us| us.iter().map(|us| us / OPENED as f64).collect())
}

fn summed(settings: &Settings) -> Result<Ours> {
    let mut ours = Ours::new(settings, &Work::real(SUMMED)?, None)?;
    let reports: Vec<usize> = (0..SUMMED).collect();
    for reports in reports.chunks(ROUND) {
        ours.round(reports)?;
    }
    ours.opened()?;
    Ok(ours)
}

/// Microseconds of processor that `work` takes in each round, but for the first, which warms up.
fn rounds(quick: bool, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let rounds = if quick { 5 } else { 40 };
    let mut values = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let began = thread_time();
        work()?;
        let took = thread_time() - began;
        if round > 0 {
            values.push(took.as_secs_f64() * 1e6);
        }
    }
    Ok(values)
}

pub(super) fn spread(values: &[f64]) -> Result<Spread> {
    Spread::of(values).ok_or_else(|| anyhow!("no figure in any round"))
}
