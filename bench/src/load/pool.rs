//! The ciphertexts: real encryptions under the operator's key, and what is in them.

use anyhow::{Context as _, Result};
use openfhe::{Context, PublicKey};
use packed::Profile;
use packed::layout::{self, Layout};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use service::plan::HeldPlan;

use super::Options;
use super::schedule::Schedule;

/// Greatest reading, in Wh: a household's connection at full power for a quarter of an hour.
pub const GREATEST_WH: i64 = 3_600;

/// Real ciphertexts that reports take in turn.
#[derive(Debug)]
pub struct Pool {
    entries: Vec<(i64, Vec<u8>)>,
}

impl Pool {
    /// Encrypts the pool under the plan's first key.
    ///
    /// # Errors
    /// Where the plan's key cannot be used.
    pub fn new(held: &HeldPlan, schedule: &Schedule, options: &Options) -> Result<Self> {
        let profile = Profile::by_name(&held.plan.profile)?;
        let layout: Layout = held.plan.layout.parse()?;
        let context = Context::new(profile)?;
        let key = held
            .plan
            .public_key(0, &held.limbs)
            .context("the plan has no public key")?;
        let key = PublicKey::from_packed(&context, key)?;
        let slot = schedule.slot(0);
        let feeder = held
            .plan
            .feeder(&slot.feeder, slot.window)
            .context("the plan has no feeder")?;
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        let entries = (0..options.pool)
            .map(|_| {
                let wh = random.random_range(0..=GREATEST_WH);
                let slots = layout::encode(layout, &[wh], feeder.reference_wh)?;
                Ok((wh, context.encrypt(&key, &slots)?))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { entries })
    }

    fn entry(&self, report: u64) -> &(i64, Vec<u8>) {
        // A step that shares no factor with the usual sizes, so that neighbours differ.
        let step = report.wrapping_mul(2_654_435_761) % self.entries.len() as u64;
        &self.entries[step as usize]
    }

    /// What report `n` says, in Wh.
    #[must_use]
    pub fn reading_wh(&self, n: u64) -> i64 {
        self.entry(n).0
    }

    /// The ciphertext of report `n`.
    #[must_use]
    pub fn limbs(&self, n: u64) -> &[u8] {
        &self.entry(n).1
    }
}
