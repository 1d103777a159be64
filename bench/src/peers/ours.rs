//! Our own steps, one by one and on one thread: what peers and the budget are measured against.

mod billed;
mod opened;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use analytics::{Admission, Incoming, Verifier};
use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use masks::PadSum;
use openfhe::Context;
use openfhe::reference::Ciphertext;
use packed::layout::Totals;
use packed::{Accumulator, Profile, RING, noise, sum};
use seal::Kernel;
use service::config::Settings;
use wire::{Salt, Topics};

pub(crate) use billed::DAYS;

use super::deployment::Deployment;
use super::work::Work;
use harness::usage::thread_time;

/// Times a round repeats what takes only microseconds.
const REPEAT: usize = 20;

/// A deployment in memory, and the sum of what its meters have reported.
pub(crate) struct Ours {
    settings: Settings,
    topics: Topics,
    deployment: Deployment,
    context: Context,
    kernel: Kernel,
    sum: Accumulator,
    included: Vec<(usize, Salt)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) index: usize,
    pub(crate) salt: Salt,
    pub(crate) limbs: Vec<u8>,
    pub(crate) envelope: Bytes,
}

/// Processor time of each step for a report, in seconds, and its bytes: `encrypt` (encode, mask, encrypt) and `sign`, both
/// together `seal`; `admit` (decode and verify) and `fold`, both together `server`; `fold_alone` and `copy`, the ciphertext
/// being in the cache; `bytes` of the message and `ciphertext_bytes` of the ciphertext in it.
pub(crate) type Steps = BTreeMap<&'static str, f64>;

impl Ours {
    /// Meters that report `work`, in `profile` or in the one that a plan would give them.
    pub(crate) fn new(
        settings: &Settings,
        work: &Work,
        profile: Option<&'static Profile>,
    ) -> Result<Self> {
        let topics = Topics::new(&settings.deployment.root)?;
        let context = Context::new()?;
        let deployment = Deployment::new(settings, &topics, &context, (work, profile))?;
        let encoding = deployment.encoding;
        Ok(Self {
            sum: Accumulator::new(encoding.profile, encoding.shape.coefficients()),
            settings: settings.clone(),
            topics,
            deployment,
            context,
            kernel: Kernel::best(),
            included: Vec::new(),
        })
    }

    /// The same, sealing with this kernel.
    pub(crate) fn with_kernel(self, kernel: Kernel) -> Self {
        Self { kernel, ..self }
    }

    pub(crate) fn coefficients(&self, index: usize) -> Result<Vec<u64>> {
        let deployment = &self.deployment;
        Ok(deployment
            .encoding
            .encode(&deployment.members[index].entered)?)
    }

    pub(crate) fn openfhe_alone(&self, coefficients: &[u64]) -> Result<()> {
        let public = &self.deployment.public;
        drop(black_box(Ciphertext::encrypt(
            &self.context,
            public,
            coefficients,
        )?));
        Ok(())
    }

    fn encrypt(&self, index: usize) -> Result<(Salt, Vec<u8>)> {
        let deployment = &self.deployment;
        let mut salt = Salt([0; 8]);
        getrandom::fill(&mut salt.0).map_err(|error| anyhow!("{error}"))?;
        let mut plaintext = self.coefficients(index)?;
        let pad = &deployment.members[index].pad;
        pad.add(&deployment.label(salt), RING.modulus, &mut plaintext);
        let mut limbs = Vec::new();
        seal::encrypt_with(
            self.kernel,
            &deployment.sealing_key,
            deployment.encoding.profile,
            &plaintext,
            &mut limbs,
        )?;
        Ok((salt, limbs))
    }

    fn sign(&self, index: usize, salt: Salt, limbs: &[u8]) -> Bytes {
        let member = &self.deployment.members[index];
        let report = wire::Report {
            salt,
            ..member.report.clone()
        };
        let deployment = &self.settings.deployment.id;
        let sealed = wire::seal(&report, Some(limbs), deployment, &member.topic, &member.key);
        Bytes::from(sealed.0)
    }

    pub(crate) fn seal(&self, index: usize) -> Result<Sealed> {
        let (salt, limbs) = self.encrypt(index)?;
        let envelope = self.sign(index, salt, &limbs);
        Ok(Sealed {
            index,
            salt,
            limbs,
            envelope,
        })
    }

    pub(crate) fn admission(&self) -> Admission<'_> {
        let Deployment { plan, roster, .. } = &self.deployment;
        Admission::new(
            &self.settings,
            &self.topics,
            plan,
            roster,
            super::deployment::NOW,
        )
    }

    pub(crate) fn topic(&self, index: usize) -> &str {
        &self.deployment.members[index].topic
    }

    /// An empty sum of reports like these.
    pub(crate) fn empty_sum(&self) -> Accumulator {
        Accumulator::new(self.sum.profile(), self.sum.coefficients())
    }

    /// Every step for these reports, added to the sum; the mean of each.
    pub(crate) fn round(&mut self, reports: &[usize]) -> Result<Steps> {
        let (mut encrypt, mut sign) = (Duration::ZERO, Duration::ZERO);
        let mut sealed = Vec::with_capacity(reports.len());
        for &index in reports {
            let began = thread_time();
            let (salt, limbs) = self.encrypt(index)?;
            let encrypted = thread_time();
            let envelope = self.sign(index, salt, &limbs);
            sign += thread_time() - encrypted;
            encrypt += encrypted - began;
            sealed.push(Sealed {
                index,
                salt,
                limbs,
                envelope,
            });
        }
        let (admit, fold) = self.take(&sealed)?;
        let (fold_alone, copy) = self.repeat_cached(&sealed)?;
        let total = |len: fn(&Sealed) -> usize| sealed.iter().map(len).sum::<usize>() as f64;
        let bytes = total(|sealed| sealed.envelope.len());
        let ciphertext_bytes = total(|sealed| sealed.limbs.len());
        let count = reports.len() as f64;
        let each = |time: Duration| time.as_secs_f64() / count;
        Ok(Steps::from([
            ("encrypt", each(encrypt)),
            ("sign", each(sign)),
            ("seal", each(encrypt + sign)),
            ("admit", each(admit)),
            ("fold", each(fold)),
            ("server", each(admit + fold)),
            ("fold_alone", each(fold_alone)),
            ("copy", each(copy)),
            ("bytes", bytes / count),
            ("ciphertext_bytes", ciphertext_bytes / count),
        ]))
    }

    /// Admits reports and adds them to the sum; what each took.
    fn take(&mut self, sealed: &[Sealed]) -> Result<(Duration, Duration)> {
        let mut sum = self.sum.clone();
        let admission = self.admission();
        let incoming: Vec<Incoming> = sealed
            .iter()
            .map(|sealed| Incoming {
                topic: self.topic(sealed.index).to_owned(),
                payload: sealed.envelope.clone(),
            })
            .collect();
        let began = thread_time();
        // As the service does, but on this thread alone, whose clock is read.
        let verdicts = Verifier::new(1, 0).verify(&admission, &incoming);
        let admitted_at = thread_time();
        for verdict in verdicts {
            let admitted = verdict.map_err(|refusal| anyhow!("refused: {}", refusal.detail))?;
            sum.add(&admitted.limbs)?;
        }
        let fold = thread_time() - admitted_at;
        self.sum = sum;
        let included = sealed.iter().map(|sealed| (sealed.index, sealed.salt));
        self.included.extend(included);
        Ok((admitted_at - began, fold))
    }

    /// Adding and copying these ciphertexts once: what takes so little that a single time would be the clock's.
    fn repeat_cached(&self, sealed: &[Sealed]) -> Result<(Duration, Duration)> {
        let mut sum = self.empty_sum();
        let mut copy = vec![0; sealed.first().map_or(0, |sealed| sealed.limbs.len())];
        let began = thread_time();
        for sealed in std::iter::repeat_n(sealed, REPEAT).flatten() {
            sum.add(black_box(&sealed.limbs))?;
        }
        let folded = thread_time();
        for sealed in std::iter::repeat_n(sealed, REPEAT).flatten() {
            copy.copy_from_slice(black_box(&sealed.limbs));
            black_box(&mut copy);
        }
        let copied = thread_time();
        black_box(&sum);
        let times = REPEAT as u32;
        Ok(((folded - began) / times, (copied - folded) / times))
    }

    /// The pads of all that is in the sum, added up.
    pub(crate) fn pads(&self) -> PadSum {
        let mut pads = PadSum::new(self.sum.coefficients(), RING.modulus);
        for (index, salt) in &self.included {
            let label = self.deployment.label(*salt);
            pads.add(&self.deployment.members[*index].pad, &label);
        }
        pads
    }

    /// The totals of `packed`, the sum of all that was added, once `pads` are off it.
    pub(crate) fn open(&self, packed: &[u8], pads: &PadSum) -> Result<Totals> {
        let Deployment {
            encoding, secret, ..
        } = &self.deployment;
        let contributors = self.sum.contributors();
        let lifted = sum::lift(
            encoding.profile,
            self.sum.coefficients(),
            packed,
            contributors,
        )?;
        let mut residues = secret.open(&lifted)?;
        pads.subtract_from(&mut residues);
        let sigma = noise::sigma(encoding.profile, &secret.norms());
        let pass = encoding.checks_pass(&residues, contributors, sigma);
        ensure!(pass, "the check coefficients are not zero");
        Ok(encoding.decode(&residues, contributors, sigma)?)
    }

    /// The sum of all rounds as it travels.
    pub(crate) fn packed_sum(&self) -> Vec<u8> {
        self.sum.to_packed()
    }
}

#[cfg(test)]
mod tests;
