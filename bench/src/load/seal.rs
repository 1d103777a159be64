//! Sealing as a meter does, but for the encryption, which comes from the [`Pool`].

use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use masks::{Label, PadKey, Parties};
use packed::layout::Entered;
use service::trust::HeldPlan;
use wire::{DeploymentId, Digest, EpochPlan, FeederPlan, Plan, Report, Salt, Topics, UnixMillis};

use super::fleet::{Fleet, GREATEST_WH, INTERVAL_S, Place, in_parallel};
use super::pool::Pool;

/// What all reports are sealed with.
#[derive(Debug)]
pub(super) struct Sealer {
    fleet: Arc<Fleet>,
    deployment: DeploymentId,
    topics: Topics,
    pool: Pool,
    seed: u64,
    /// Of each feeder: its setting, and the digest that its masks are bound to.
    settings: Vec<(FeederPlan, Digest)>,
    /// Of each feeder.
    shards: Vec<wire::Shard>,
    epoch: EpochPlan,
    /// What each meter shares with the operator.
    pads: Vec<PadKey>,
}

/// What is kept of a sealed report: what was signed, and the first polynomial of its ciphertext.
pub(super) struct Sealed {
    pub(super) signed: Vec<u8>,
    pub(super) first: Vec<u8>,
}

impl Sealer {
    /// A pool of `size` ciphertexts, and what each meter shares with the operator: about 50 µs a meter on each processor.
    pub(super) fn new(
        fleet: Arc<Fleet>,
        held: &HeldPlan,
        topics: Topics,
        (size, seed): (u32, u64),
    ) -> Result<Self> {
        let plan = &held.plan;
        let first = fleet.cell(0).1;
        let epoch = plan.epoch_for(first).context("the plan has no epoch")?;
        let settings: Vec<_> = fleet
            .feeders
            .iter()
            .map(|feeder| {
                let setting = plan.feeder(feeder, first);
                let setting = setting.with_context(|| format!("the plan has no {feeder}"))?;
                Ok((setting.clone(), plan.setting_digest(setting, epoch, first)))
            })
            .collect::<Result<_>>()?;
        let (setting, _) = settings.first().context("no feeder")?;
        Ok(Self {
            pool: Pool::new(held, held.encoding(setting), size)?,
            pads: pads(&fleet, plan, epoch)?,
            epoch: epoch.clone(),
            deployment: plan.deployment.clone(),
            shards: settings
                .iter()
                .map(|(setting, _)| plan.shard(&setting.feeder))
                .collect(),
            settings,
            fleet,
            topics,
            seed,
        })
    }

    /// The report of a meter in a window, sealed once: a row has one reading and one salt.
    pub(super) fn seal(&self, row: u64) -> Result<Sealed> {
        let place = self.fleet.place(row);
        let (setting, digest) = &self.settings[place.feeder as usize];
        // No two reports of a run have the same row, which is all that a salt is for.
        let salt = Salt(row.to_le_bytes());
        let entered = Entered {
            wh: self.reading_wh(row),
            clamped: false,
        };
        let mut plaintext = self.pool.encoding().encode(&[Some(entered)])?;
        let label = Label {
            setting: &digest.0,
            window: place.window.0,
            salt: salt.0,
        };
        let modulus = self.pool.encoding().profile.ring.modulus;
        self.pads[place.meter as usize].add(&label, modulus, &mut plaintext);
        let first = self.pool.first(row, &plaintext)?;
        let limbs = Digest::of(&[&first[..], self.pool.second(row)].concat());
        let report = self.report(setting, salt, &place)?;
        let topic = self.topics.report(
            self.shards[place.feeder as usize],
            &report.feeder,
            &report.meter,
        );
        let key = self.fleet.meter_key(place.meter);
        let (signed, _) = wire::sign(&report, Some(limbs), &self.deployment, &topic, &key);
        Ok(Sealed { signed, first })
    }

    fn report(&self, setting: &FeederPlan, salt: Salt, place: &Place) -> Result<Report> {
        Ok(Report {
            plan_version: setting.since,
            epoch: self.epoch.epoch,
            feeder: setting.feeder.clone(),
            meter: self.fleet.meter_id(place.meter)?,
            gateway: self.fleet.gateways[place.gateway as usize].clone(),
            window: place.window,
            salt,
            sealed_at: UnixMillis((place.window.0 + u64::from(INTERVAL_S)) * 1000),
        })
    }

    /// What the report in a row says, in Wh: some whole quanta of its feeder.
    pub(super) fn reading_wh(&self, row: u64) -> i64 {
        let quantum = self.settings[0].0.quantum_wh as i64;
        let random = Digest::of(&[self.seed, row].map(u64::to_le_bytes).concat());
        let random = u64::from_le_bytes(*random.0.first_chunk().unwrap_or(&[0; 8]));
        (random % (GREATEST_WH / quantum + 1) as u64) as i64 * quantum
    }

    /// The second polynomial of a sealed report, which ends its limbs.
    pub(super) fn second(&self, row: u64) -> Bytes {
        self.pool.second(row).clone()
    }

    /// Bytes of a report's limbs.
    pub(super) fn bytes(&self) -> usize {
        self.pool.bytes()
    }
}

fn pads(fleet: &Fleet, plan: &Plan, epoch: &EpochPlan) -> Result<Vec<PadKey>> {
    let mut keys: Vec<Option<PadKey>> = (0..fleet.meters()).map(|_| None).collect();
    in_parallel(&mut keys, 1, |meter, key| {
        let secret = fleet.mask_secret(meter as u32);
        let id = fleet.meter_id(meter as u32)?;
        let parties = Parties {
            deployment: plan.deployment.as_ref(),
            meter: id.as_ref(),
            epoch: epoch.epoch.0,
            meter_key: &secret.public(),
            verifier_key: &epoch.mask_key.0,
        };
        key[0] = Some(PadKey::agree(&secret, &epoch.mask_key.0, &parties)?);
        Ok(())
    })?;
    Ok(keys.into_iter().flatten().collect())
}
