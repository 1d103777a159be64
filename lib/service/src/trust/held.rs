//! A plan that can be used.

use std::fmt::Display;

use packed::layout::{Encoding, Layout, LayoutError, Shape, UnknownLayout};
use packed::{Profile, UnknownProfile};
use wire::{Digest, FeederPlan, Grid, Plan, Reason};

use super::Refused;
use crate::Chain;

/// A plan that was verified and can be used here, with the public keys that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPlan {
    /// The plan.
    pub plan: Plan,
    /// The public keys of its epochs, concatenated; see `Plan::public_key`.
    pub limbs: Vec<u8>,
    /// What renewals call it by.
    pub digest: Digest,
    /// Which coefficient of a report carries what.
    pub shape: Shape,
    /// Its windows.
    pub grid: Grid,
}

impl HeldPlan {
    /// Reads what the plan names, and checks that every setting of a feeder can be used.
    ///
    /// # Errors
    /// [`Reason::NotReady`] for a layout or a profile that this build does not know, [`Reason::InvalidMessage`] for an
    /// interval and a batch that make no windows or no report, and for a feeder whose units or number of meters do not
    /// fit its profile.
    pub fn new(plan: Plan, limbs: Vec<u8>) -> Result<Self, Refused> {
        let later = |problem: &dyn Display| {
            let detail = format!(
                "plan {} is for a later version of this program: {problem}",
                plan.version
            );
            Refused::new(Reason::NotReady, detail)
        };
        let invalid = |problem: &dyn Display| {
            let detail = format!("plan {} cannot be used: {problem}", plan.version);
            Refused::new(Reason::InvalidMessage, detail)
        };
        let layout = plan.layout.as_str().parse();
        let layout = layout.map_err(|error: UnknownLayout| later(&error))?;
        let shape = Shape::with_edges(layout, &plan.histogram_edges_wh, plan.batch);
        let shape = shape.map_err(|error| invalid(&Chain(&error)))?;
        let has_noise = plan
            .holders
            .iter()
            .any(|agreement| agreement.terms.noise.is_some());
        if has_noise && layout != Layout::Profile {
            let problem = format!("its holders add noise, which hides nothing in layout {layout}");
            return Err(invalid(&problem));
        }
        let grid = plan.grid().map_err(|error| invalid(&error))?;
        for setting in &plan.feeders {
            let feeder = &setting.feeder;
            encoding(shape, setting).map_err(|error| match error {
                SettingError::Profile(error) => later(&format_args!("feeder {feeder}: {error}")),
                error => invalid(&format_args!("feeder {feeder}: {}", Chain(&error))),
            })?;
        }
        Ok(Self {
            digest: plan.digest(&limbs),
            plan,
            limbs,
            shape,
            grid,
        })
    }

    /// What the coefficients of a report under `setting` carry, and in which units.
    ///
    /// # Panics
    /// `setting` is not one of this plan's: those have been checked.
    pub fn encoding(&self, setting: &FeederPlan) -> Encoding {
        encoding(self.shape, setting).expect("a setting of the plan")
    }
}

/// A setting of a feeder that cannot be used.
#[derive(Debug, thiserror::Error)]
enum SettingError {
    #[error(transparent)]
    Profile(#[from] UnknownProfile),
    #[error(transparent)]
    Units(#[from] LayoutError),
    #[error("a sum of up to {max_meters} meters does not fit profile {profile}, which adds {most}")]
    Meters {
        max_meters: u32,
        profile: &'static Profile,
        most: u32,
    },
}

fn encoding(shape: Shape, setting: &FeederPlan) -> Result<Encoding, SettingError> {
    let profile = Profile::by_name(setting.profile.as_str())?;
    let (max_meters, most) = (setting.max_meters, profile.max_contributors());
    if max_meters > most {
        return Err(SettingError::Meters {
            max_meters,
            profile,
            most,
        });
    }
    let (reference_wh, quantum_wh) = (setting.reference_wh, setting.quantum_wh);
    let square_unit_wh2 = setting.square_unit_wh2;
    Ok(Encoding::new(
        profile,
        shape,
        reference_wh,
        quantum_wh,
        square_unit_wh2,
    )?)
}
