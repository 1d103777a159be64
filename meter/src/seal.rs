//! Sealing: a batch of readings becomes a signed report of ciphertext.
//!
//! Readings are encoded in whole quanta, covered by a pad that only the verifier can take off, and encrypted, without the low
//! bits that are noise; the result is signed. The pad is bound to the setting, the window and a salt drawn for
//! this sealing alone: two plaintexts under one pad would give both away, so nothing of a seal is ever used again.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use masks::{Label, PadKey, Parties};
use packed::layout::{Encoding, LayoutError};
use rand::TryRng as _;
use rand::rngs::SysRng;
use service::config::SealerKind;
use service::failpoint;
use service::trust::{HeldPlan, MinMeters};
use wire::{
    DeploymentId, EpochPlan, FeederPlan, GatewayId, Grid, Plan, Report, Salt, Topics, UnixMillis,
};

use crate::batch::Batch;
use crate::member::Member;
use crate::metrics;
use crate::outbox::Sealed;

mod clip;
mod encryption;
mod error;
mod streams;

use encryption::Encryption;
pub(crate) use encryption::{known_answers, unsupported};
pub(crate) use error::SealError;
use streams::Streams;

/// Who reports, and where to.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) deployment: DeploymentId,
    pub(crate) gateway: GatewayId,
    pub(crate) topics: Topics,
    pub(crate) members: Arc<Vec<Member>>,
    pub(crate) sealer: SealerKind,
    /// The least minimum group of a window that is sealed.
    pub(crate) min_meters_floor: u32,
    /// The configuration says who holds mask keys.
    pub(crate) pins_holders: bool,
}

/// A key epoch: its public key, and what it shares with each meter, once it was needed.
#[derive(Debug)]
struct Epoch {
    plan: EpochPlan,
    key: Encryption,
    pads: Vec<OnceLock<PadKey>>,
}

/// Everything sealing shares between meters, under one plan. Cheap to share between threads.
#[derive(Debug)]
pub(crate) struct Sealer {
    origin: Origin,
    held: Arc<HeldPlan>,
    min_meters: MinMeters,
    epochs: Vec<Epoch>,
    streams: Vec<Streams>,
}

impl Sealer {
    /// A sealer under the `held` plan.
    ///
    /// # Errors
    /// [`SealError::Plan`] or [`SealError::WeakMaskKey`] where its keys cannot be used.
    pub(crate) fn new(origin: Origin, held: Arc<HeldPlan>) -> Result<Self, SealError> {
        let mut epochs = Vec::new();
        for (index, epoch) in held.plan.epochs.iter().enumerate() {
            let bytes = held.plan.public_key(index, &held.limbs).ok_or_else(|| {
                SealError::Plan(format!(
                    "the public key of epoch {} is missing",
                    epoch.epoch
                ))
            })?;
            if packed::key_fingerprint(bytes) != epoch.fingerprint {
                return Err(SealError::Plan(format!(
                    "the public key of epoch {} does not match its fingerprint in the plan",
                    epoch.epoch
                )));
            }
            let pads = std::iter::repeat_with(OnceLock::new).take(origin.members.len());
            let epoch = Epoch {
                plan: epoch.clone(),
                key: Encryption::new(origin.sealer, bytes)?,
                pads: pads.collect(),
            };
            // A weak key is weak for every meter: one is enough to see it before anything is sealed.
            if !origin.members.is_empty() {
                epoch.pad_key(&origin, 0)?;
            }
            epochs.push(epoch);
        }
        let terms = held.plan.holders.iter().map(|agreement| &agreement.terms);
        Ok(Self {
            streams: terms
                .map(|terms| Streams::new(terms, origin.members.len()))
                .collect(),
            min_meters: MinMeters::of_plan(&held.plan),
            origin,
            held,
            epochs,
        })
    }

    /// Encrypts and signs `batch`.
    ///
    /// # Errors
    /// [`SealError`] where the plan has no place for the batch; nothing has been lost then.
    pub(crate) fn seal(&self, batch: &Batch, now: UnixMillis) -> Result<Sealed, SealError> {
        let started = Instant::now();
        let member = self.member(batch.meter)?;
        let (setting, epoch) = self.place(member, batch)?;
        let encoding = self.held.encoding(setting);
        let salt = fresh_salt()?;
        let most = clip::most_wh(self.plan(), &member.feeder, batch.window, &encoding);
        let mut plaintext = encode(member, (batch, most), &encoding)?;
        let label = Label {
            setting: &self
                .plan()
                .setting_digest(setting, &epoch.plan, batch.window)
                .0,
            window: batch.window.0,
            salt: salt.0,
        };
        self.mask(epoch, batch, &label, &mut plaintext)?;
        let encoded = Instant::now();
        let limbs = epoch.key.encrypt(encoding.profile, &plaintext)?;
        let encrypted = Instant::now();
        let report = Report {
            plan_version: setting.since,
            epoch: epoch.plan.epoch,
            feeder: member.feeder.clone(),
            meter: member.meter.clone(),
            gateway: self.origin.gateway.clone(),
            window: batch.window,
            salt,
            sealed_at: now,
        };
        let shard = self.plan().shard(&member.feeder);
        let topics = &self.origin.topics;
        let topic = topics.report(shard, &member.feeder, &member.meter);
        let (payload, digest) = wire::seal(
            &report,
            Some(&limbs),
            &self.origin.deployment,
            &topic,
            &member.key,
        );
        metrics::sealed(
            &metrics::Stages {
                encode: encoded - started,
                encrypt: encrypted - encoded,
                sign: encrypted.elapsed(),
                whole: started.elapsed(),
            },
            payload.len(),
        );
        Ok(Sealed {
            meter: batch.meter,
            window: batch.window,
            digest,
            payload: payload.into(),
        })
    }

    fn member(&self, index: usize) -> Result<&Member, SealError> {
        let member = self.origin.members.get(index);
        member.ok_or_else(|| SealError::Plan(format!("the fleet has no meter {index}")))
    }

    /// The feeder setting and the key epoch that govern a batch.
    fn place(&self, member: &Member, batch: &Batch) -> Result<(&FeederPlan, &Epoch), SealError> {
        let grid = self.grid();
        let intervals = usize::from(grid.intervals(batch.window));
        if !grid.is_aligned(batch.window) || batch.readings.len() != intervals {
            return Err(SealError::OtherGrid(batch.window));
        }
        let (floor, min_meters) = (
            self.origin.min_meters_floor,
            self.min_meters.of(batch.window),
        );
        if min_meters < floor && !failpoint::sabotaged("min_meters_floor") {
            let window = batch.window;
            return Err(SealError::BelowFloor {
                window,
                min_meters,
                floor,
            });
        }
        let setting = self.plan().feeder(&member.feeder, batch.window);
        let setting = setting.ok_or_else(|| SealError::NoFeeder(member.feeder.clone()))?;
        let governing = self.plan().epoch_for(batch.window);
        let epoch = governing.and_then(|governing| {
            let mut epochs = self.epochs.iter();
            epochs.find(|epoch| epoch.plan.epoch == governing.epoch)
        });
        Ok((setting, epoch.ok_or(SealError::NoEpoch(batch.window))?))
    }

    /// Whether the plan asks for another report than `sealed`: other keys, or another scale.
    #[must_use]
    pub(crate) fn is_outdated(&self, sealed: &Sealed) -> bool {
        let Ok(envelope) = wire::decode_shared::<Report>(&sealed.payload, sealed.payload.len())
        else {
            return true;
        };
        let report = envelope.claimed();
        let feeder = self.plan().feeder(&report.feeder, report.window);
        let epoch = self.plan().epoch_for(report.window);
        feeder.is_none_or(|feeder| feeder.since != report.plan_version)
            || epoch.is_none_or(|epoch| epoch.epoch != report.epoch)
    }

    /// The plan in force.
    #[must_use]
    pub(crate) fn plan(&self) -> &Plan {
        &self.held.plan
    }

    /// The plan's intervals and windows.
    #[must_use]
    pub(crate) fn grid(&self) -> Grid {
        self.held.grid
    }
}

impl Epoch {
    /// What the meter at `index` shares with the verifier in this epoch.
    fn pad_key(&self, origin: &Origin, index: usize) -> Result<&PadKey, SealError> {
        let (cell, member) = (&self.pads[index], &origin.members[index]);
        if let Some(key) = cell.get() {
            return Ok(key);
        }
        let their = &self.plan.mask_key.0;
        let parties = Parties {
            deployment: origin.deployment.as_str(),
            meter: member.meter.as_str(),
            epoch: self.plan.epoch.0,
            meter_key: &member.public.mask.0,
            verifier_key: their,
        };
        let epoch = self.plan.epoch;
        let agreed = PadKey::agree(&member.mask, their, &parties);
        let agreed = agreed.map_err(|source| SealError::WeakMaskKey { epoch, source })?;
        Ok(cell.get_or_init(|| agreed))
    }
}

/// The batch's readings as coefficients of the feeder's encoding, without a pad.
fn encode(
    member: &Member,
    (batch, most): (&Batch, Option<i64>),
    encoding: &Encoding,
) -> Result<Vec<u64>, SealError> {
    let mut readings = batch.readings.clone();
    clip::clip(&mut readings, most);
    // A day that is shorter than the longest ends before the report does.
    readings.resize(encoding.shape.batch(), None);
    let encoded = encoding.encode(&readings);
    encoded.map_err(|error| match error {
        LayoutError::ReadingAboveReference { reference_wh, .. } => SealError::AboveReference {
            meter: member.meter.clone(),
            feeder: member.feeder.clone(),
            reference_wh,
        },
        other => other.into(),
    })
}

/// Fresh for every seal, straight from the operating system: no state that a fork, a copied machine or a restored backup
/// could repeat.
fn fresh_salt() -> Result<Salt, SealError> {
    let mut salt = [0; 8];
    SysRng
        .try_fill_bytes(&mut salt)
        .map_err(SealError::Random)?;
    Ok(Salt(salt))
}

#[cfg(test)]
mod tests;
