//! Sealing: a batch of readings becomes a signed report of ciphertext.

use std::sync::Arc;
use std::time::Instant;

use openfhe::{Context, PublicKey};
use packed::layout::{self, Layout, LayoutError};
use service::trust::HeldPlan;
use wire::{
    DeploymentId, EpochPlan, FeederId, GatewayId, Grid, MeterId, Plan, Report, Sequence,
    SigningKey, Topics, UnixMillis, VerifyingKey, WindowStart,
};

use crate::batch::Batch;
use crate::metrics;
use crate::outbox::Sealed;

/// What sealing needs of one meter.
#[derive(Debug)]
pub(crate) struct Member {
    /// The meter's id.
    pub(crate) meter: MeterId,
    /// Its feeder.
    pub(crate) feeder: FeederId,
    /// Its own signing key.
    pub(crate) key: SigningKey,
    /// The other half of the key, as the roster has it.
    pub(crate) verifying_key: VerifyingKey,
}

/// Why a batch was not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The plan has no key epoch for the window.
    #[error("the plan has no key epoch for window {0}")]
    NoEpoch(WindowStart),
    /// The plan does not have the feeder.
    #[error("the plan has no feeder {0}")]
    NoFeeder(FeederId),
    /// The batch was made for other intervals than the plan's.
    #[error("the plan has no window {0} of as many intervals")]
    OtherGrid(WindowStart),
    /// A reading is beyond the feeder's reference. The reading itself is nobody's to see in a log.
    #[error(
        "a reading of meter {meter} is beyond the {reference_wh} Wh that feeder {feeder} allows in an interval: put the \
         meter on another feeder under a new id, or start a new deployment with a higher operator.reference_headroom"
    )]
    AboveReference {
        meter: MeterId,
        feeder: FeederId,
        reference_wh: u64,
    },
    /// The plan's scale cannot be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The plan names a profile or a layout that this build does not know, or its key is not of the profile.
    #[error("the plan cannot be used: {0}")]
    Plan(String),
    /// OpenFHE refused.
    #[error(transparent)]
    Openfhe(#[from] openfhe::Error),
}

/// Who reports, and where to.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) deployment: DeploymentId,
    pub(crate) gateway: GatewayId,
    pub(crate) topics: Topics,
    pub(crate) members: Arc<Vec<Member>>,
}

/// Everything sealing shares between meters, under one plan. Cheap to share between threads.
#[derive(Debug)]
pub(crate) struct Sealer {
    origin: Origin,
    plan: Plan,
    grid: Grid,
    layout: Layout,
    context: Context,
    keys: Vec<(EpochPlan, PublicKey)>,
}

impl Sealer {
    /// A sealer under the `held` plan.
    ///
    /// # Errors
    /// [`SealError::Plan`] where its windows do not fit its profile, or its keys cannot be used.
    pub(crate) fn new(origin: Origin, held: &HeldPlan) -> Result<Self, SealError> {
        let HeldPlan {
            plan,
            limbs,
            layout,
            profile,
            grid,
        } = held;
        let needed = layout.slots_needed(usize::from(plan.batch));
        if needed > profile.slots() {
            return Err(SealError::Plan(format!(
                "plan.batch {} needs {needed} slots in layout {layout}; profile {} has {}",
                plan.batch,
                profile.name,
                profile.slots()
            )));
        }
        let context = Context::new(profile)?;
        let mut keys = Vec::new();
        for (index, epoch) in plan.epochs.iter().enumerate() {
            let bytes = plan.public_key(index, limbs).ok_or_else(|| {
                SealError::Plan(format!(
                    "the public key of epoch {} is missing",
                    epoch.epoch
                ))
            })?;
            let key = PublicKey::from_packed(&context, bytes)?;
            if key.fingerprint() != epoch.fingerprint {
                return Err(SealError::Plan(format!(
                    "the public key of epoch {} does not match its fingerprint in the plan",
                    epoch.epoch
                )));
            }
            keys.push((epoch.clone(), key));
        }
        Ok(Self {
            origin,
            plan: plan.clone(),
            grid: *grid,
            layout: *layout,
            context,
            keys,
        })
    }

    /// Encrypts and signs `batch`. The sequence number is the window's number since the epoch, so that it grows with
    /// time, survives a restart without being stored, and is the same when the same window is sealed again.
    ///
    /// # Errors
    /// [`SealError`] where the plan has no place for the batch; nothing has been lost then.
    pub(crate) fn seal(&self, batch: &Batch, now: UnixMillis) -> Result<Sealed, SealError> {
        let started = Instant::now();
        let member =
            self.origin.members.get(batch.meter).ok_or_else(|| {
                SealError::Plan(format!("the fleet has no meter {}", batch.meter))
            })?;
        if batch.readings_wh.len() != usize::from(self.grid.batch())
            || !self.grid.is_aligned(batch.window)
        {
            return Err(SealError::OtherGrid(batch.window));
        }
        let feeder = self
            .plan
            .feeder(&member.feeder, batch.window)
            .ok_or_else(|| SealError::NoFeeder(member.feeder.clone()))?;
        let (epoch, key) = self.epoch(batch.window)?;
        let slots = self.slots(member, batch, feeder.reference_wh)?;
        let laid_out = started.elapsed();
        let mut limbs = Vec::new();
        let steps = self.context.encrypt_timed(key, &slots, &mut limbs)?;
        let encrypted = Instant::now();
        let report = Report {
            plan_version: feeder.since,
            epoch: epoch.epoch,
            feeder: member.feeder.clone(),
            meter: member.meter.clone(),
            gateway: self.origin.gateway.clone(),
            window: batch.window,
            sequence: Sequence(batch.window.0 / self.grid.window_s()),
            sealed_at: now,
            clamped: batch.clamped,
            missing: batch.missing,
        };
        let topic = self.origin.topics.report(&member.feeder, &member.meter);
        let (payload, digest) = wire::seal(
            &report,
            Some(&limbs),
            &self.origin.deployment,
            &topic,
            &member.key,
        );
        metrics::sealed(
            &metrics::Stages {
                encode: laid_out + steps.encode,
                encrypt: steps.encrypt,
                pack: steps.pack,
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

    /// The batch's readings as slots of the plan's layout.
    fn slots(
        &self,
        member: &Member,
        batch: &Batch,
        reference_wh: u64,
    ) -> Result<Vec<f64>, SealError> {
        layout::encode(self.layout, &batch.readings_wh, reference_wh).map_err(|error| match error {
            LayoutError::ReadingAboveReference { reference_wh, .. } => SealError::AboveReference {
                meter: member.meter.clone(),
                feeder: member.feeder.clone(),
                reference_wh,
            },
            other => other.into(),
        })
    }

    /// The key epoch that governs a window, and its key.
    fn epoch(&self, window: WindowStart) -> Result<&(EpochPlan, PublicKey), SealError> {
        let governing = self.plan.epoch_for(window);
        governing
            .and_then(|governing| {
                let mut keys = self.keys.iter();
                keys.find(|(epoch, _)| epoch.epoch == governing.epoch)
            })
            .ok_or(SealError::NoEpoch(window))
    }

    /// Whether the plan asks for another report than `sealed`: other keys, or another scale.
    #[must_use]
    pub(crate) fn is_outdated(&self, sealed: &Sealed) -> bool {
        let Ok(envelope) = wire::decode_shared::<Report>(&sealed.payload, sealed.payload.len())
        else {
            return true;
        };
        let report = envelope.claimed();
        let feeder = self.plan.feeder(&report.feeder, report.window);
        let epoch = self.plan.epoch_for(report.window);
        feeder.is_none_or(|feeder| feeder.since != report.plan_version)
            || epoch.is_none_or(|epoch| epoch.epoch != report.epoch)
    }

    /// The plan in force.
    #[must_use]
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan's intervals and windows.
    #[must_use]
    pub(crate) fn grid(&self) -> Grid {
        self.grid
    }
}
