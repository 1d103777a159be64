//! Comparisons of encrypted sums, on folded and masked reports, held against the truth: with the parts of the meter, the operator and
//! the evaluator that do it, and without the messages between them.
//!
//! `demo`: on customers of a file · `trial`: many cases at the margin

pub mod demo;
pub mod trial;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use compare::{Difference, Scale};
use evaluator::Comparer;
use masks::{Label, MaskSecret, PadKey, PadSum, Parties};
use openfhe::secret::{self, SecretKey, SignSecret};
use packed::layout::{Encoding, Entered};
use packed::noise::KeyNorms;
use packed::{Accumulator, Lifted, RING, sum};
use serde::Serialize;
use wire::KeyEpoch;

const EPOCH: KeyEpoch = KeyEpoch(1);

/// Everybody's keys.
#[derive(Debug)]
pub struct Keys {
    epoch: SecretKey,
    public: seal::PublicKey,
    secret: SignSecret,
    evaluator: Comparer,
    /// How long the evaluation keys took to make.
    pub made_in: Duration,
}

/// A sum as the evaluator has it, and what the operator knows of it.
#[derive(Debug)]
pub struct Masked {
    ciphertext: Lifted,
    /// The sum of the masks, by coefficient.
    masks: Vec<u64>,
    encoding: Encoding,
    meters: u32,
    /// The truth, in quanta of each interval.
    pub quanta: Vec<i64>,
}

/// What was asked, said, and true.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// The answer: the sum is no smaller.
    pub value: bool,
    /// What is true.
    pub truth: bool,
    /// How far the sum is from what it was compared with, in Wh.
    pub difference_wh: i64,
    /// How far it must be for the answer to be right, in Wh.
    pub error_wh: f64,
    /// What it took the evaluator.
    pub cost_s: f64,
}

/// Which of several sums is the largest.
#[derive(Clone, Debug, Serialize)]
pub struct Ranked {
    /// The answer, counted from 0.
    pub value: usize,
    /// What is true.
    pub truth: usize,
    /// How far two sums must be from each other for their order to be right, in Wh.
    pub error_wh: f64,
    /// Comparisons.
    pub signs: usize,
    /// What they took the evaluator.
    pub cost_s: f64,
}

impl Keys {
    /// New ones. Takes half a minute, most of it for the evaluation keys.
    ///
    /// # Errors
    /// OpenFHE fails, or there is no randomness.
    pub fn generate() -> Result<Self> {
        let (epoch, public) = secret::generate(&openfhe::Context::new()?)?;
        let started = Instant::now();
        let (secret, signs) = secret::generate_sign()?;
        let made_in = started.elapsed();
        let switches = BTreeMap::from([(EPOCH, secret.switch_key(&epoch)?)]);
        Ok(Self {
            public: seal::PublicKey::from_packed(public.as_packed())?,
            evaluator: Comparer::new(signs, switches, [7; 32]),
            epoch,
            secret,
            made_in,
        })
    }

    /// What the noise of these keys follows from.
    #[must_use]
    pub fn norms(&self) -> KeyNorms {
        self.epoch.norms()
    }

    /// Seals the readings of each meter under a mask of its own, and adds the reports up.
    ///
    /// # Errors
    /// Readings do not fit the encoding.
    pub fn sum(&self, encoding: &Encoding, meters: &[Vec<i64>]) -> Result<Masked> {
        let coefficients = encoding.shape.coefficients();
        let mut reports = Accumulator::new(encoding.profile, coefficients);
        let mut masks = PadSum::new(coefficients, RING.modulus);
        let mut quanta = vec![0; encoding.shape.batch()];
        let verifier = MaskSecret::generate()?;
        for (number, readings) in meters.iter().enumerate() {
            let entered = readings.iter().map(|wh| {
                Some(Entered {
                    wh: *wh,
                    clamped: false,
                })
            });
            let mut plaintext = encoding.encode(&entered.collect::<Vec<_>>())?;
            let meter = MaskSecret::generate()?;
            let parties = Parties {
                deployment: "comparison",
                meter: "meter",
                epoch: EPOCH.0,
                meter_key: &meter.public(),
                verifier_key: &verifier.public(),
            };
            let key = PadKey::agree(&meter, &verifier.public(), &parties)?;
            let label = Label {
                setting: &[1; 32],
                window: 0,
                salt: (number as u64).to_le_bytes(),
            };
            key.add(&label, RING.modulus, &mut plaintext);
            masks.add(&key, &label);
            let mut report = Vec::new();
            seal::encrypt(&self.public, encoding.profile, &plaintext, &mut report)?;
            reports.add(&report)?;
            for (sum, wh) in quanta.iter_mut().zip(readings) {
                *sum += wh / encoding.quantum_wh as i64;
            }
        }
        let contributors = reports.contributors();
        let lifted = sum::lift(
            encoding.profile,
            coefficients,
            &reports.to_packed(),
            contributors,
        )?;
        // Taken off nothing, what is left is minus the masks.
        let mut minus = vec![0; coefficients];
        masks.subtract_from(&mut minus);
        Ok(Masked {
            ciphertext: lifted,
            masks: minus
                .iter()
                .map(|word| (RING.modulus - word) % RING.modulus)
                .collect(),
            encoding: *encoding,
            meters: contributors,
            quanta,
        })
    }

    /// Whether an interval of a sum is at least a threshold, in quanta, where sum and threshold are together at most `bound` in size.
    ///
    /// # Errors
    /// OpenFHE fails, or the bound is too large for the encoding.
    pub fn is_at_least(
        &self,
        sum: &Masked,
        interval: usize,
        (threshold, bound): (i64, u64),
    ) -> Result<Compared> {
        let scale = self.scale(sum, bound, 1)?;
        let offset = sum
            .encoding
            .profile
            .ring
            .residue(threshold << sum.encoding.quantum_bits());
        let number = (sum.masks[interval] + offset) % RING.modulus;
        let asked =
            Difference::new(&sum.ciphertext, interval, number).context("no such interval")?;
        let (is_below, cost) = self.ask(&asked, &scale)?;
        let difference = sum.quanta[interval] - threshold;
        let quantum = sum.encoding.quantum_wh;
        Ok(Compared {
            value: !is_below,
            truth: difference >= 0,
            difference_wh: difference * quantum as i64,
            error_wh: scale.margin * quantum as f64,
            cost_s: cost.as_secs_f64(),
        })
    }

    /// Which of several sums is the largest in an interval, by the signs of all differences; each is at most `bound` in size.
    ///
    /// # Errors
    /// Those of [`Keys::is_at_least`], and there is no sum.
    pub fn largest(&self, sums: &[&Masked], interval: usize, bound: u64) -> Result<Ranked> {
        let mut wins = vec![0; sums.len()];
        let (mut signs, mut cost, mut error_wh) = (0, Duration::ZERO, 0.0_f64);
        for (i, first) in sums.iter().enumerate() {
            for (j, second) in sums.iter().enumerate().skip(i + 1) {
                let scale = self.scale(first, 2 * bound, 2)?;
                let number =
                    (first.masks[interval] + RING.modulus - second.masks[interval]) % RING.modulus;
                let [first, second] = [(first, number), (second, 0)]
                    .map(|(sum, number)| Difference::new(&sum.ciphertext, interval, number));
                let asked = first.zip(second).context("no such interval")?;
                let (is_below, took) = self.ask(&asked.0.less(&asked.1), &scale)?;
                wins[if is_below { j } else { i }] += 1;
                signs += 1;
                cost += took;
                error_wh = error_wh.max(scale.margin * sums[i].encoding.quantum_wh as f64);
            }
        }
        let best = |of: &dyn Fn(usize) -> i64| (0..sums.len()).max_by_key(|index| of(*index));
        let none = || anyhow!("there is no sum");
        Ok(Ranked {
            value: best(&|index| wins[index]).ok_or_else(none)?,
            truth: best(&|index| sums[index].quanta[interval]).ok_or_else(none)?,
            error_wh,
            signs,
            cost_s: cost.as_secs_f64(),
        })
    }

    fn scale(&self, sum: &Masked, bound: u64, sums: u32) -> Result<Scale> {
        let sigma = packed::noise::sigma(sum.encoding.profile, &self.epoch.norms());
        let variance = sigma * sigma * f64::from(sum.meters * sums);
        Scale::new(bound, sum.encoding.quantum_bits(), variance)
            .context("the bound is too large for the encoding")
    }

    /// Whether the difference is negative, by the evaluator's bit and the operator's key.
    fn ask(&self, asked: &Difference, scale: &Scale) -> Result<(bool, Duration)> {
        let started = Instant::now();
        let bit = self
            .evaluator
            .bit(EPOCH, asked, scale.multiplier, b"trial")?;
        let took = started.elapsed();
        Ok((self.secret.open(&bit), took))
    }
}

#[cfg(test)]
mod tests;
