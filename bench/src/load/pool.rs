//! The ciphertexts: real encryptions under the operator's key, and what is in them.

use anyhow::{Context as _, Result, ensure};
use openfhe::{Context, PublicKey};
use packed::Profile;
use packed::layout::{self, Layout};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use service::plan::HeldPlan;
use wire::{Digest, WindowStart};

use super::cache::Cache;
use super::fleet::Fleet;

/// Greatest reading, in Wh: a household's connection at full power for a quarter of an hour.
pub(crate) const GREATEST_WH: i64 = 3_600;

/// The file of the cache.
const FILE: &str = "pool.bin";

/// Real ciphertexts that reports take in turn.
#[derive(Debug)]
pub(crate) struct Pool {
    entries: Vec<Entry>,
}

/// A ciphertext and what is in it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The reading, in Wh.
    pub(crate) wh: i64,
    /// The packed ciphertext.
    pub(crate) limbs: Vec<u8>,
    /// Its SHA-256.
    pub(crate) digest: Digest,
}

impl Pool {
    /// The pool under the plan's first key: from the cache, or encrypted now.
    pub(crate) fn open(
        cache: &Cache,
        held: &HeldPlan,
        fleet: &Fleet,
        size: u32,
        seed: u64,
    ) -> Result<Self> {
        let profile = Profile::by_name(&held.plan.profile)?;
        let row = 8 + profile.packed_len();
        let bytes = match cache.read(FILE)? {
            Some(bytes) => bytes,
            None => {
                tracing::info!(ciphertexts = size, "encrypting the pool");
                let bytes = encrypt(held, fleet, profile, size, seed)?;
                cache.write(FILE, bytes.clone())?;
                bytes
            }
        };
        ensure!(
            bytes.len() == row * size as usize,
            "{} holds {} bytes, not {size} entries of {row}",
            cache.path(FILE).display(),
            bytes.len()
        );
        let entries = bytes
            .chunks_exact(row)
            .map(|row| {
                let (wh, limbs) = row.split_first_chunk::<8>().context("a short entry")?;
                Ok(Entry {
                    wh: i64::from_le_bytes(*wh),
                    limbs: limbs.to_vec(),
                    digest: Digest::of(limbs),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { entries })
    }

    /// The ciphertext of the report in this row.
    pub(crate) fn entry(&self, row: u64) -> &Entry {
        // A step that shares no factor with the usual sizes, so that neighbours differ.
        let step = row.wrapping_mul(2_654_435_761) % self.entries.len() as u64;
        &self.entries[step as usize]
    }
}

fn encrypt(
    held: &HeldPlan,
    fleet: &Fleet,
    profile: &'static Profile,
    size: u32,
    seed: u64,
) -> Result<Vec<u8>> {
    let layout: Layout = held.plan.layout.parse()?;
    let context = Context::new(profile)?;
    let key = held
        .plan
        .public_key(0, &held.limbs)
        .context("the plan has no public key")?;
    let key = PublicKey::from_packed(&context, key)?;
    let feeder = held
        .plan
        .feeder(fleet.feeder(0), WindowStart(u64::MAX))
        .context("the plan has no feeder")?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = Vec::new();
    for _ in 0..size {
        let wh = random.random_range(0..=GREATEST_WH);
        let slots = layout::encode(layout, &[wh], feeder.reference_wh)?;
        bytes.extend_from_slice(&wh.to_le_bytes());
        bytes.extend_from_slice(&context.encrypt(&key, &slots)?);
    }
    Ok(bytes)
}
