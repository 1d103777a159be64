//! The setting of a feeder: profile, quantum and unit of squares, by its reference and its size.
//!
//! `plan.profile` names the profile of all feeders, or leaves it to [`packed::noise::choose`]: the one with the smallest
//! reports whose quantum is 1 Wh, else the finest quantum. Quantum and unit follow from the noise of the largest sum that the
//! setting allows, under the newest key.

use packed::Profile;
use packed::layout::{Encoding, Layout, Shape};
use packed::noise::{self, KeyNorms};
use wire::{FeederId, FeederPlan, Plan, PlanVersion, Reason, WindowStart};

use super::settings::PlanSettings;
use crate::keys::keyring::EpochKeys;

/// A feeder's first setting has room for so many meters, however few ask.
const MIN_ROOM: u32 = 255;

/// What settings of feeders are chosen by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// `None`: the feeder's reference and size decide.
    pub profile: Option<&'static Profile>,
    pub shape: Shape,
    /// Of the newest key.
    pub norms: KeyNorms,
    /// The most intervals that a bill adds up; 0: there are no bills.
    pub bill_intervals: u32,
}

impl Choice {
    /// As the configuration says, for feeders whose reports are encrypted under `newest`.
    pub(super) fn new(settings: &PlanSettings, shape: Shape, newest: &EpochKeys) -> Self {
        Self {
            profile: settings.profile,
            shape,
            norms: newest.norms(),
            bill_intervals: settings.bill_intervals(),
        }
    }

    /// The setting of a feeder with this reference, a power of two, on which `meters` are to be enrolled. The plan gives it
    /// its version and its first window. `None` where no profile can carry the reference.
    pub(crate) fn setting(
        &self,
        feeder: &FeederId,
        reference_wh: u64,
        meters: u32,
    ) -> Option<FeederPlan> {
        let (profile, max_meters) = self.profile(reference_wh, meters);
        let norms = &self.norms;
        // A bill adds up readings of one meter as a total does those of many.
        let added = max_meters.max(self.bill_intervals);
        let square_unit_wh2 = match self.shape.layout() {
            Layout::Profile | Layout::Maxima | Layout::Histogram => None,
            Layout::Moments => Some(noise::square_unit_wh2(profile, norms, reference_wh, added)?),
        };
        let quantum_wh = noise::quantum_wh(profile, norms, reference_wh, added);
        Encoding::new(
            profile,
            self.shape,
            reference_wh,
            quantum_wh,
            square_unit_wh2,
        )
        .ok()?;
        Some(FeederPlan {
            feeder: feeder.clone(),
            areas: None,
            profile: name(profile.name),
            reference_wh,
            quantum_wh,
            square_unit_wh2,
            rating_wh: None,
            max_meters,
            since: PlanVersion(0),
            first_window: WindowStart(0),
        })
    }

    /// The profile of such a feeder, and the most meters that a sum of it may have.
    fn profile(&self, reference_wh: u64, meters: u32) -> (&'static Profile, u32) {
        if let Some(profile) = self.profile {
            return (profile, room(profile, meters));
        }
        let choose = |meters: u32| {
            let added = meters.max(self.bill_intervals);
            noise::choose(self.shape.layout(), reference_wh, added, &self.norms)
        };
        let max_meters = room(choose(meters), meters);
        // What is 1 Wh for the meters there are may be more with the room for others.
        (choose(max_meters), max_meters)
    }
}

/// Room for twice as many meters as ask, one less than a power of two, as far as the profile goes.
fn room(profile: &Profile, meters: u32) -> u32 {
    let twice = meters.saturating_mul(2).max(MIN_ROOM);
    // One less than a power of two: the least that is no less than `twice`.
    let room = twice
        .checked_add(1)
        .and_then(u32::checked_next_power_of_two);
    let room = room.map_or(u32::MAX, |room| room - 1);
    room.min(profile.max_contributors())
        .min(wire::MAX_CONTRIBUTORS)
}

/// The name of a layout or profile for the plan. They are compiled in, and short.
pub(super) fn name<T: for<'t> TryFrom<&'t str, Error = wire::IdError>>(name: &'static str) -> T {
    T::try_from(name).expect("a name of `packed` is an id")
}

/// How reports under a setting of `plan` are encoded.
///
/// # Errors
/// The plan names what this build does not know, or what does not fit together: never for a plan of this operator.
pub(crate) fn encoding(plan: &Plan, setting: &FeederPlan) -> Result<Encoding, Reason> {
    let mismatch = Reason::ProfileMismatch;
    let profile = Profile::by_name(setting.profile.as_str()).map_err(|_| mismatch)?;
    let layout = plan.layout.as_str().parse().map_err(|_| mismatch)?;
    let shape = Shape::with_edges(layout, &plan.histogram_edges_wh, plan.batch);
    let shape = shape.map_err(|_| mismatch)?;
    let FeederPlan {
        reference_wh,
        quantum_wh,
        square_unit_wh2,
        ..
    } = *setting;
    Encoding::new(profile, shape, reference_wh, quantum_wh, square_unit_wh2).map_err(|_| mismatch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use packed::{ADDITIVE, ADDITIVE_FINE, ADDITIVE_SMALL, ADDITIVE_WIDE};

    fn choice(profile: Option<&'static Profile>, layout: Layout) -> Choice {
        Choice {
            profile,
            shape: Shape::new(layout, 96).unwrap(),
            norms: KeyNorms::expected(),
            bill_intervals: 0,
        }
    }

    fn setting(choice: &Choice, reference_wh: u64, meters: u32) -> FeederPlan {
        let feeder = "feeder-1".parse().unwrap();
        choice.setting(&feeder, reference_wh, meters).unwrap()
    }

    #[test]
    fn a_profile_carries_the_intervals_of_a_bill_as_it_does_the_meters_of_a_total() {
        let with = |bill_intervals| Choice {
            bill_intervals,
            ..choice(None, Layout::Profile)
        };
        for (intervals, profile) in [(744, "additive-small"), (2_976, "additive")] {
            let setting = setting(&with(intervals), 4_096, 50);
            assert_eq!(setting.profile.as_str(), profile, "{intervals}");
            assert_eq!((setting.quantum_wh, setting.max_meters), (1, 255));
        }
    }

    #[test]
    fn homes_have_the_smallest_reports_and_a_quantum_of_one_watt_hour() {
        let auto = choice(None, Layout::Profile);
        for (meters, max_meters) in [
            (1, 255),
            (127, 255),
            (128, 511),
            (511, 1_023),
            (1_000, 1_023),
        ] {
            let setting = setting(&auto, 16_384, meters);
            assert_eq!(setting.profile.as_str(), ADDITIVE_SMALL.name, "{meters}");
            assert_eq!(
                (setting.max_meters, setting.quantum_wh),
                (max_meters, 1),
                "{meters}"
            );
            assert_eq!(setting.square_unit_wh2, None);
        }
        let many = setting(&auto, 16_384, 1_100);
        assert_eq!(
            (many.profile.as_str(), many.max_meters),
            (ADDITIVE.name, 4_095)
        );
        let town = setting(&auto, 16_384, 600_000);
        assert_eq!(
            (town.profile.as_str(), town.max_meters),
            (ADDITIVE_WIDE.name, 1_048_575)
        );
    }

    #[test]
    fn large_references_and_squares_have_the_finest_steps() {
        let large = setting(&choice(None, Layout::Profile), 1 << 27, 1_000);
        assert_eq!(large.profile.as_str(), ADDITIVE_FINE.name);
        assert!(large.quantum_wh > 1 && large.quantum_wh.is_power_of_two());
        let squares = setting(&choice(None, Layout::Moments), 16_384, 100);
        assert_eq!(squares.profile.as_str(), ADDITIVE_FINE.name);
        assert!(squares.square_unit_wh2.is_some_and(u64::is_power_of_two));
    }

    #[test]
    fn a_named_profile_holds_for_every_feeder_as_far_as_it_goes() {
        let named = choice(Some(&ADDITIVE_SMALL), Layout::Profile);
        for (meters, max_meters) in [(10, 255), (800, 1_023), (5_000, 1_023)] {
            let setting = setting(&named, 4_096, meters);
            assert_eq!(
                (setting.profile.as_str(), setting.max_meters),
                (ADDITIVE_SMALL.name, max_meters)
            );
        }
    }

    #[test]
    fn a_reference_that_no_profile_carries_has_no_setting() {
        let feeder = "feeder-1".parse().unwrap();
        let auto = choice(None, Layout::Profile);
        assert_eq!(auto.setting(&feeder, 1 << 43, 20), None);
    }
}
