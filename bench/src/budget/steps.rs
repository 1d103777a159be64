//! The rows of one thread: sealing, its bytes, and what analytics does with a report.

use analytics::{Incoming, verify};
use anyhow::{Result, anyhow};
use packed::{ADDITIVE, Accumulator};
use service::config::Settings;

use crate::peers::ours::Ours;
use crate::peers::work::Work;
use crate::ratio::Spread;
use harness::usage::thread_time;

/// Reports that analytics is given in a round: 27 MB, more than most caches hold.
const REPORTS: usize = 1_000;
/// Reports that analytics takes from its queue at a time under load.
const LOT: usize = 250;

/// Sealing over OpenFHE's encode and encrypt, in each round.
pub(crate) fn seal(settings: &Settings, quick: bool) -> Result<Vec<f64>> {
    let (rounds, each) = if quick { (15, 10) } else { (40, 25) };
    let ours = Ours::new(settings, Work::real(each)?)?;
    let slots = (0..each).map(|index| ours.slots(index));
    let slots = slots.collect::<Result<Vec<_>>>()?;
    let mut ratios = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let began = thread_time();
        for slots in &slots {
            ours.openfhe_alone(slots)?;
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

pub(crate) fn bytes(settings: &Settings) -> Result<Vec<f64>> {
    let ours = Ours::new(settings, Work::real(20)?)?;
    (0..20)
        .map(|index| Ok(ours.seal(index)?.envelope.len() as f64))
        .collect()
}

/// Processor time of decoding, verifying and folding a report, in microseconds, in each round.
pub(crate) fn admission(settings: &Settings, quick: bool) -> Result<Vec<f64>> {
    let rounds = if quick { 5 } else { 20 };
    let ours = Ours::new(settings, Work::real(REPORTS)?)?;
    let incoming = |index| {
        Ok(Incoming {
            topic: ours.topic(index).to_owned(),
            payload: ours.seal(index)?.envelope,
        })
    };
    let incoming = (0..REPORTS).map(incoming).collect::<Result<Vec<_>>>()?;
    let admission = ours.admission();
    let mut values = Vec::with_capacity(rounds);
    for round in 0..=rounds {
        let mut sum = Accumulator::new(&ADDITIVE);
        let began = thread_time();
        for lot in incoming.chunks(LOT) {
            // One thread: this one, whose clock is read.
            for verdict in verify(&admission, lot, 1) {
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

pub(super) fn spread(values: &[f64]) -> Result<Spread> {
    Spread::of(values).ok_or_else(|| anyhow!("no figure in any round"))
}
