//! The noise that holders of mask keys agreed on.
//!
//! Each stream of masks brings a whole draw with it, which all holders of the stream can compute and nobody else. `threshold` − 1 holders
//! lack a stream, whichever they are, so that they and the operator together know all draws but one. That one alone gives what is
//! promised; what is added to it takes nothing away.

use std::ops::Range;

use wire::{FeederId, FeederPlan, NoiseTerms, Plan, PrivacyUnit, Reason, Terms, WindowStart};

use crate::guarantee::Guarantee;
use crate::noise::Noise;
use crate::parameters::{Delta, Epsilon, ParameterError};
use crate::sensitivity::sensitivity;
use crate::spent::Spent;

/// Seconds in a day.
const DAY: u32 = 86_400;

/// Floating point and rounding up may be this much of a budget.
const ROUNDING: f64 = 1e-6;

/// What holders agreed to add to the totals of a feeder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreed {
    /// What the one draw that colluding holders do not know promises.
    pub guarantee: Guarantee,
    rho: Option<u64>,
    clip_w: Option<u64>,
    /// How many draws there are: the streams.
    pub shares: u32,
    /// The most ε of a feeder in a period that each holder lets pass.
    pub limit: f64,
    period_s: u64,
}

impl Guarantee {
    /// What these terms promise.
    ///
    /// # Errors
    /// They have no ε or δ that noise can be made for, or a ρ that promises less than they do.
    pub fn agreed(noise: &NoiseTerms) -> Result<Self, ParameterError> {
        let delta = Some(noise.delta_quadrillionths).filter(|delta| *delta > 0);
        let guarantee = Self {
            unit: noise.unit,
            epsilon: Epsilon::from_millionths(noise.epsilon_millionths)?,
            delta: delta.map(Delta::from_quadrillionths).transpose()?,
        };
        let rho = Some(noise.rho_trillionths).filter(|rho| *rho > 0);
        // Two machines may compute it as two numbers that are next to each other.
        let most = guarantee
            .rho()
            .map(|most| most.saturating_add(1 + most / 1_000_000_000));
        match rho.is_some() == most.is_some() && rho <= most {
            true => Ok(guarantee),
            false => Err(ParameterError::Rho),
        }
    }
}

impl Agreed {
    /// The noise of a sum of these feeders; none if its total is exact.
    ///
    /// # Errors
    /// As [`Guarantee::agreed`].
    pub fn of<'f>(
        terms: &Terms,
        feeders: impl Iterator<Item = &'f FeederId>,
    ) -> Result<Option<Self>, ParameterError> {
        let Some(noise) = terms.noise_of(feeders) else {
            return Ok(None);
        };
        let guarantee = Guarantee::agreed(noise)?;
        Ok(Some(Self {
            guarantee,
            rho: Some(noise.rho_trillionths).filter(|rho| *rho > 0),
            clip_w: Some(noise.clip_w).filter(|clip| *clip > 0),
            shares: terms.streams.len() as u32,
            limit: noise.budget_millionths as f64 / 1e6 * share_of_budget(terms),
            period_s: noise.period_s.max(1),
        }))
    }

    /// The greatest difference that a meter makes to an interval of a sum under this setting, in quanta. It is the same for everybody
    /// who has plan and terms, whatever they know of the meters.
    pub fn sensitivity(&self, setting: &FeederPlan, interval_s: u32) -> u64 {
        let quantum = setting.quantum_wh.max(1);
        let most = 2 * (setting.reference_wh / quantum);
        self.clip_w.map_or(most, |clip| {
            sensitivity(clip, interval_s, quantum).min(most)
        })
    }

    /// The noise of each interval of such a sum, all shares of it.
    pub fn noise(&self, setting: &FeederPlan, plan: &Plan) -> Noise {
        let sensitivity = self.sensitivity(setting, plan.interval_s);
        let noise = self.guarantee.noise_of(self.rho, sensitivity, day(plan));
        noise.of_shares(self.shares)
    }

    /// Whether the noise leaves something to read of a sum of so many contributors under this setting, whose energies have room for
    /// `room` quanta of either sign: the group is large enough for what ε is about, and the total with its noise does not wrap around.
    ///
    /// # Errors
    /// [`Reason::MinMeters`] with fewer than `day_min_meters` under a promise about household-days, [`Reason::BeyondProfile`].
    pub fn check(
        &self,
        contributors: u32,
        (setting, plan): (&FeederPlan, &Plan),
        room: u64,
        day_min_meters: u32,
    ) -> Result<(), Reason> {
        if self.guarantee.unit == PrivacyUnit::HouseholdDay && contributors < day_min_meters {
            return Err(Reason::MinMeters);
        }
        let largest = setting.reference_wh / setting.quantum_wh.max(1);
        let total = largest.saturating_mul(contributors.into());
        let reach = self.noise(setting, plan).reach();
        match total.saturating_add(reach) <= room {
            true => Ok(()),
            false => Err(Reason::BeyondProfile),
        }
    }

    /// What a sum of so many intervals gives away of a household in it.
    pub fn cost(&self, intervals: u16, plan: &Plan) -> Spent {
        let guarantee = self.guarantee;
        guarantee.cost_of(self.rho, intervals.into(), day(plan))
    }

    /// The window starts of a window's period.
    pub fn period(&self, window: WindowStart) -> Range<u64> {
        let start = window.0 - window.0 % self.period_s;
        start..start.saturating_add(self.period_s)
    }

    /// What may still be given away, as ε; below 0: more than may be is.
    pub fn left(&self, spent: &Spent) -> f64 {
        self.limit * (1.0 + ROUNDING) - spent.epsilon(self.guarantee.delta)
    }
}

/// What of a budget each holder lets pass. `threshold` − 1 dishonest holders and an operator that asks now these, now those of the others
/// need `consents` − `threshold` + 1 honest ones for each sum, so that all honest ones together let no more than the budget pass.
fn share_of_budget(terms: &Terms) -> f64 {
    let honest = |all: usize| (all + 1).saturating_sub(usize::from(terms.threshold)) as f64;
    honest(terms.consents.into()) / honest(terms.holders.len()).max(1.0)
}

/// The most intervals of a day.
pub fn day(plan: &Plan) -> u32 {
    match plan.time_zone {
        // The longest local day.
        Some(_) => plan.batch.into(),
        None => DAY.div_ceil(plan.interval_s.max(1)),
    }
}

#[cfg(test)]
mod tests {
    use wire::{HolderEntry, HolderSet, MaskKey, SigningKey, Stream};

    use super::*;

    fn terms(threshold: u8, consents: u8, n: u8, change: impl FnOnce(&mut NoiseTerms)) -> Terms {
        let mut noise = NoiseTerms {
            unit: PrivacyUnit::Interval,
            epsilon_millionths: 500_000,
            delta_quadrillionths: 0,
            rho_trillionths: 0,
            clip_w: 0,
            budget_millionths: 30_000_000,
            period_s: 1_000,
            feeders: Vec::new(),
        };
        change(&mut noise);
        let stream = |absent| Stream {
            absent,
            key: MaskKey([7; 32]),
        };
        let holder = |place: u8| HolderEntry {
            id: format!("holder-{place}").parse().unwrap(),
            key: SigningKey::from_bytes(&[place + 1; 32]).verifying_key(),
        };
        Terms {
            deployment: "dev".parse().unwrap(),
            generation: 1,
            from: WindowStart(0),
            previous: None,
            threshold,
            consents,
            noise: Some(noise),
            holders: (0..n).map(holder).collect(),
            streams: HolderSet::all_of(usize::from(threshold) - 1, n.into())
                .map(stream)
                .collect(),
        }
    }

    fn agreed(terms: &Terms) -> Result<Option<Agreed>, ParameterError> {
        let feeder = "feeder-1".parse().unwrap();
        Agreed::of(terms, [&feeder].into_iter())
    }

    #[test]
    fn whoever_of_the_honest_is_asked_no_more_than_the_budget_passes() {
        // W sums take q − t + 1 honest holders each; n − t + 1 of them let `limit` pass each.
        for (t, q, n, share) in [
            (2, 3, 3, 1.0),
            (2, 3, 4, 2.0 / 3.0),
            (3, 4, 5, 2.0 / 3.0),
            (2, 2, 2, 1.0),
        ] {
            let agreed = agreed(&terms(t, q, n, |_| {})).unwrap().unwrap();
            assert!((agreed.limit - 30.0 * share).abs() < 1e-9, "{t}of{n}");
        }
        let agreed = agreed(&terms(2, 3, 4, |_| {})).unwrap().unwrap();
        assert_eq!(
            (agreed.shares, agreed.period(WindowStart(2_500))),
            (4, 2_000..3_000)
        );
    }

    #[test]
    fn a_feeder_that_the_terms_do_not_name_has_exact_totals() {
        let elsewhere = terms(2, 3, 3, |noise| {
            noise.feeders = vec!["feeder-2".parse().unwrap()];
        });
        assert_eq!(agreed(&elsewhere), Ok(None));
        let mut exact = elsewhere;
        exact.noise = None;
        assert_eq!(agreed(&exact), Ok(None));
    }

    #[test]
    fn a_rho_that_promises_less_than_epsilon_and_delta_is_refused() {
        let guarantee = Guarantee {
            unit: PrivacyUnit::Interval,
            epsilon: 0.5.try_into().unwrap(),
            delta: Some(1e-9.try_into().unwrap()),
        };
        let rho = guarantee.rho().unwrap();
        let with = |rho| {
            let terms = terms(2, 3, 3, |noise| {
                (noise.delta_quadrillionths, noise.rho_trillionths) = (1_000_000, rho);
            });
            agreed(&terms).map(|agreed| agreed.map(|agreed| agreed.rho))
        };
        assert_eq!(with(rho), Ok(Some(Some(rho))));
        assert_eq!(
            with(rho - 5),
            Ok(Some(Some(rho - 5))),
            "more noise is allowed"
        );
        assert_eq!(with(rho + rho / 1_000), Err(ParameterError::Rho));
        assert_eq!(with(0), Err(ParameterError::Rho));
    }
}
