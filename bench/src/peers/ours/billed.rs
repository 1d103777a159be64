//! Reports as those of one meter that is billed: added up without what its intervals carry, which is added up by band.

use analytics::{Incoming, Verifier};
use anyhow::{Context as _, Result, anyhow, ensure};
use harness::usage::thread_time;
use masks::PadSum;
use packed::bill::{Group, Scale, rest, whole};
use packed::{Accumulator, RING, noise, sum};

use super::{Ours, Sealed};

/// What bills are over: a report a day of a month.
pub(crate) const DAYS: usize = 30;

/// A bill as it is sent, of two bands.
pub(crate) struct Billed {
    sealed: Vec<Sealed>,
    rest: Vec<u8>,
    numbers: [u64; 2],
    /// Microseconds of each report: to seal it, and to admit it and add it.
    pub(crate) client_us: f64,
    /// See `client_us`.
    pub(crate) server_us: f64,
    /// Bytes of a report.
    pub(crate) bytes: f64,
}

impl Ours {
    /// Seals these reports and adds them up for a bill; `bands` are those of the intervals.
    pub(crate) fn bill(&self, reports: &[usize], bands: &[u8]) -> Result<Billed> {
        let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / reports.len() as f64;
        let began = thread_time();
        let sealed = reports.iter().map(|index| self.seal(*index));
        let sealed: Vec<Sealed> = sealed.collect::<Result<_>>()?;
        let client_us = each(thread_time() - began);
        let incoming = sealed.iter().map(|sealed| Incoming {
            topic: self.topic(sealed.index).to_owned(),
            payload: sealed.envelope.clone(),
        });
        let (admission, incoming) = (self.admission(), incoming.collect::<Vec<_>>());
        let shape = self.encoding().shape;
        let began = thread_time();
        let mut sum: Accumulator = self.empty_sum();
        let mut carried = [0_u64; 2];
        for verdict in Verifier::new(1, 0).verify(&admission, &incoming) {
            let admitted = verdict.map_err(|refusal| anyhow!("refused: {}", refusal.detail))?;
            sum.add(&admitted.limbs)?;
            for (band, residue) in bands.iter().zip(sum.take_c0(shape.checks().start)) {
                let carried = &mut carried[usize::from(*band)];
                *carried = (*carried + residue) % RING.modulus;
            }
        }
        let server_us = each(thread_time() - began);
        let scale = Scale::of([self.encoding()]).context("a bill of no group")?;
        let bytes: usize = sealed.iter().map(|sealed| sealed.envelope.len()).sum();
        Ok(Billed {
            rest: rest(&shape, &sum.to_packed()).to_vec(),
            numbers: carried.map(|carried| scale.sent(self.encoding(), carried)),
            bytes: bytes as f64 / sealed.len() as f64,
            sealed,
            client_us,
            server_us,
        })
    }

    /// The energy of each band of a bill in Wh: opened, and as entered.
    pub(crate) fn open_bill(&self, billed: &Billed, bands: &[u8]) -> Result<[[i64; 2]; 2]> {
        let (encoding, secret) = (self.encoding(), &self.deployment.secret);
        let (shape, reports) = (encoding.shape, billed.sealed.len() as u32);
        let packed = whole(&shape, &billed.rest)?;
        let lifted = sum::lift(encoding.profile, shape.coefficients(), &packed, reports)?;
        let mut residues = secret.open(&lifted)?;
        let mut pads = PadSum::new(shape.coefficients(), RING.modulus);
        for sealed in &billed.sealed {
            let label = self.deployment.label(sealed.salt);
            pads.add(&self.deployment.members[sealed.index].pad, &label);
        }
        pads.subtract_from(&mut residues);
        let sigma = noise::sigma(encoding.profile, &secret.norms());
        ensure!(
            encoding.checks_pass(&residues, reports, sigma),
            "the check coefficients are not zero"
        );
        let group = Group {
            encoding,
            reports,
            bands,
        };
        let scale = Scale::of([encoding]).context("a bill of no group")?;
        let mut energies = [[0; 2]; 2];
        for (band, sent) in (0..).zip(billed.numbers) {
            let noise = scale.noise([(group, sigma)], band, encoding.reference_wh);
            ensure!(scale.carries(&noise), "the profile carries no such bill");
            let number = (sent + scale.decrypted(&group, &residues, band)) % RING.modulus;
            let opened = scale.energy_wh(number, &noise);
            energies[0][usize::from(band)] = opened.context("the bill does not open")?;
        }
        for sealed in &billed.sealed {
            let entered = &self.deployment.members[sealed.index].entered;
            for (band, entered) in bands.iter().zip(entered.iter().flatten()) {
                energies[1][usize::from(*band)] += entered.wh;
            }
        }
        Ok(energies)
    }
}
