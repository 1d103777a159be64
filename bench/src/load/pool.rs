//! The ciphertexts: real encryptions under the operator's key, and what is in them.

use anyhow::{Context as _, Result};
use openfhe::{Context, PublicKey};
use packed::layout;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use service::trust::HeldPlan;
use wire::{Digest, WindowStart};

use super::fleet::{Fleet, GREATEST_WH};

/// Real ciphertexts that reports take in turn.
#[derive(Debug)]
pub(crate) struct Pool(Vec<Encrypted>);

/// A reading, its packed ciphertext, and the ciphertext's SHA-256.
#[derive(Debug)]
pub(crate) struct Encrypted {
    pub(crate) wh: i64,
    pub(crate) limbs: Vec<u8>,
    pub(crate) digest: Digest,
}

impl Pool {
    /// So many readings from `seed`, encrypted under the plan's first key.
    pub(crate) fn new(held: &HeldPlan, fleet: &Fleet, size: u32, seed: u64) -> Result<Self> {
        let plan = &held.plan;
        let context = Context::new(held.profile)?;
        let key = plan.public_key(0, &held.limbs);
        let key = PublicKey::from_packed(&context, key.context("the plan has no public key")?)?;
        let feeder = plan.feeder(fleet.feeder(0), WindowStart(u64::MAX));
        let reference_wh = feeder.context("the plan has no feeder")?.reference_wh;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let encrypted = (0..size).map(|_| {
            let wh = random.random_range(0..=GREATEST_WH);
            let slots = layout::encode(held.layout, &[wh], reference_wh)?;
            let limbs = context.encrypt(&key, &slots)?;
            let digest = Digest::of(&limbs);
            Ok(Encrypted { wh, limbs, digest })
        });
        Ok(Self(encrypted.collect::<Result<_>>()?))
    }

    /// The ciphertext of the report in this row.
    pub(crate) fn of(&self, row: u64) -> &Encrypted {
        // A step that shares no factor with the usual sizes, so that neighbours differ.
        let step = row.wrapping_mul(2_654_435_761) % self.0.len() as u64;
        &self.0[step as usize]
    }
}
