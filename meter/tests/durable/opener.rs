//! What a report says, read with the operator's keys: a test may look into a single household's.

use masks::{Label, MaskSecret, PadKey, Parties};
use openfhe::secret::SecretKey;
use packed::layout::{Encoding, Layout, Shape, Totals};
use packed::{ADDITIVE_SMALL, Accumulator, RING, noise};
use wire::{
    DeploymentId, EpochPlan, FeederPlan, KeyEpoch, MaskKey, Plan, PlanVersion, Report, WindowStart,
};

/// The operator's keys of the one epoch.
pub(crate) struct Opener {
    secret: SecretKey,
    mask: MaskSecret,
}

impl Opener {
    pub(crate) fn new() -> Self {
        let context = openfhe::Context::new().unwrap();
        let (secret, _) = openfhe::secret::generate(&context).unwrap();
        Self {
            secret,
            mask: MaskSecret::generate().unwrap(),
        }
    }

    /// The epoch, and its public key.
    pub(crate) fn epoch(&self) -> (EpochPlan, Vec<u8>) {
        let key = self.secret.public_key();
        let limbs = key.as_packed().to_vec();
        let epoch = EpochPlan {
            epoch: KeyEpoch(1),
            fingerprint: key.fingerprint(),
            mask_key: MaskKey(self.mask.public()),
            first_window: WindowStart(0),
            key_len: u32::try_from(limbs.len()).unwrap(),
        };
        (epoch, limbs)
    }

    /// The first setting of a feeder.
    pub(crate) fn feeder(number: usize) -> FeederPlan {
        FeederPlan {
            feeder: format!("feeder-{number}").parse().unwrap(),
            areas: None,
            profile: ADDITIVE_SMALL.name.parse().unwrap(),
            reference_wh: 1 << 20,
            quantum_wh: 1,
            square_unit_wh2: None,
            rating_wh: None,
            max_meters: 255,
            since: PlanVersion(1),
            first_window: WindowStart(0),
        }
    }

    /// The content of a report under `plan` by a meter with this mask key.
    pub(crate) fn open(
        &self,
        plan: &Plan,
        report: &Report,
        limbs: &[u8],
        meter_key: &MaskKey,
    ) -> Totals {
        let setting = plan.feeder(&report.feeder, report.window).unwrap();
        let encoding = encoding(plan, setting);
        let coefficients = encoding.shape.coefficients();
        let mut sum = Accumulator::new(encoding.profile, coefficients);
        sum.add(limbs).unwrap();
        let lifted =
            packed::sum::lift(encoding.profile, coefficients, &sum.to_packed(), 1).unwrap();
        let mut residues = self.secret.open(&lifted).unwrap();
        let label = Label {
            setting: &plan
                .setting_digest(setting, &plan.epochs[0], report.window)
                .0,
            window: report.window.0,
            salt: report.salt.0,
        };
        let pad = self.pad(&plan.deployment, report, meter_key);
        pad.subtract(&label, RING.modulus, &mut residues);
        let sigma = noise::sigma(encoding.profile, &self.secret.norms());
        assert!(encoding.checks_pass(&residues, 1, sigma));
        encoding.decode(&residues, 1, sigma).unwrap()
    }

    fn pad(&self, deployment: &DeploymentId, report: &Report, meter_key: &MaskKey) -> PadKey {
        let parties = Parties {
            deployment: deployment.as_str(),
            meter: report.meter.as_str(),
            epoch: report.epoch.0,
            meter_key: &meter_key.0,
            verifier_key: &self.mask.public(),
        };
        PadKey::agree(&self.mask, &meter_key.0, &parties).unwrap()
    }
}

fn encoding(plan: &Plan, setting: &FeederPlan) -> Encoding {
    let shape = Shape::new(Layout::Profile, plan.batch).unwrap();
    let (reference_wh, quantum_wh) = (setting.reference_wh, setting.quantum_wh);
    Encoding::new(&ADDITIVE_SMALL, shape, reference_wh, quantum_wh, None).unwrap()
}
