//! Who gets noisy totals of what, from the settings.

use std::ops::Range;

use privacy::{Agreed, Delta, Epsilon, Guarantee};
use service::config::{Publish, Settings};
use wire::{FeederId, RecipientId, Terms, WindowStart};

use crate::error::OperatorError;
use crate::holders::agreements;
use crate::plan::error::PlanError;
use crate::release::ledger::NoiseBudget;

/// At which δ Gaussian noise of earlier settings is counted, if no recipient has one now.
const FALLBACK_DELTA: f64 = 1e-9;

/// Who gets noisy totals.
#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    pub name: RecipientId,
    pub guarantee: Guarantee,
    /// Empty: all.
    feeders: Vec<FeederId>,
}

/// All of them, and what they may learn together.
#[derive(Clone, Debug)]
pub(crate) struct Recipients {
    all: Vec<Recipient>,
    epsilon: f64,
    period_s: u64,
    delta: Option<Delta>,
    /// Of the holders' agreements, which say what feeders give away whose noise holders add.
    terms: Vec<Terms>,
    /// The least meters of a sum of which household-days are published.
    pub day_min_meters: u32,
}

impl Recipients {
    /// # Errors
    /// An ε or a δ is none, or an agreement of holders cannot be read.
    pub(crate) fn new(settings: &Settings) -> Result<Self, OperatorError> {
        let Publish {
            recipients,
            budget_epsilon,
            budget_period,
            household_day_min_meters,
        } = &settings.publish;
        let wrong =
            |name: &RecipientId, which: &str, value: f64, problem: String| OperatorError::Setting {
                key: "publish.recipients",
                problem: format!("{name}: {which} is {value}; {problem}"),
            };
        let all = recipients.iter().map(|recipient| {
            let name = &recipient.name;
            let epsilon = Epsilon::try_from(recipient.epsilon)
                .map_err(|error| wrong(name, "epsilon", recipient.epsilon, error.to_string()))?;
            let delta = recipient.delta.map(|delta| {
                Delta::try_from(delta)
                    .map_err(|error| wrong(name, "delta", delta, error.to_string()))
            });
            Ok(Recipient {
                name: name.clone(),
                guarantee: Guarantee {
                    unit: recipient.unit,
                    epsilon,
                    delta: delta.transpose()?,
                },
                feeders: recipient.feeders.clone(),
            })
        });
        let all = all.collect::<Result<Vec<_>, OperatorError>>()?;
        let smallest = all
            .iter()
            .filter_map(|recipient| recipient.guarantee.delta)
            .min();
        let files = &settings.holders.agreements;
        let agreements =
            agreements::read(files, &settings.deployment.id).map_err(PlanError::from)?;
        Ok(Self {
            terms: agreements
                .into_iter()
                .map(|agreement| agreement.terms)
                .collect(),
            delta: smallest.or_else(|| Delta::try_from(FALLBACK_DELTA).ok()),
            all,
            epsilon: *budget_epsilon,
            period_s: budget_period.as_secs().max(1),
            day_min_meters: *household_day_min_meters,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those that get totals of a feeder.
    pub(crate) fn of<'a>(&'a self, feeder: &'a FeederId) -> impl Iterator<Item = &'a Recipient> {
        let wants = |recipient: &&Recipient| {
            recipient.feeders.is_empty() || recipient.feeders.contains(feeder)
        };
        self.all.iter().filter(wants)
    }

    /// What a feeder may give away in the period of a window.
    pub(crate) fn budget(&self, feeder: &FeederId, window: WindowStart) -> NoiseBudget {
        if let Some(agreed) = self.agreed(feeder, window) {
            return NoiseBudget {
                period: agreed.period(window),
                epsilon: agreed.limit,
                delta: agreed.guarantee.delta,
            };
        }
        NoiseBudget {
            period: self.period(window.0),
            epsilon: self.epsilon,
            delta: self.delta,
        }
    }

    /// The noise that holders add to a feeder's totals of a window, if they do.
    pub(crate) fn agreed(&self, feeder: &FeederId, window: WindowStart) -> Option<Agreed> {
        let mut terms = self.terms.iter();
        let terms = terms.rfind(|terms| terms.from <= window)?;
        Agreed::of(terms, [feeder].into_iter()).ok()?
    }

    fn period(&self, at: u64) -> Range<u64> {
        let start = at - at % self.period_s;
        start..start.saturating_add(self.period_s)
    }
}
