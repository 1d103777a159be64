//! Noisy totals. What ε and δ may be in detail the operator says, which makes the noise.

use super::super::{Publish, PublishMechanism};
use super::{Check, positive, range, require};

const RECIPIENTS: &str = "publish.recipients";

pub(super) fn publish(publish: &Publish) -> Check {
    for (at, recipient) in publish.recipients.iter().enumerate() {
        let name = &recipient.name;
        let mut before = publish.recipients[..at].iter();
        require(RECIPIENTS, before.all(|other| other.name != *name), || {
            format!("two recipients are called {name}: give each a name of its own")
        })?;
        let epsilon = recipient.epsilon;
        require(RECIPIENTS, epsilon > 0.0 && epsilon.is_finite(), || {
            format!("{name}: epsilon is {epsilon}; expected a number above 0, such as 0.5")
        })?;
        let mend = match (recipient.mechanism, recipient.delta) {
            (PublishMechanism::Laplace, Some(_)) => {
                "laplace noise has no delta: leave it out, or choose \"gaussian\""
            }
            (PublishMechanism::Gaussian, None) => {
                "gaussian noise needs a delta, far below one in the number of meters, such as 1e-9"
            }
            _ => continue,
        };
        return require(RECIPIENTS, false, || format!("{name}: {mend}"));
    }
    publish.check_readers().or_else(|refused| {
        require(RECIPIENTS, false, || {
            format!(
                "{refused}: give each reader one recipient, or recipients with feeders of their own"
            )
        })
    })?;
    let budget = publish.budget_epsilon;
    require(
        "publish.budget_epsilon",
        budget > 0.0 && budget.is_finite(),
        || "expected a number above 0, such as 30".to_owned(),
    )?;
    positive("publish.budget_period", publish.budget_period)?;
    require(
        "publish.budget_period",
        publish.budget_period.subsec_nanos() == 0,
        || "expected whole seconds, such as \"30days\"".to_owned(),
    )?;
    range(
        "publish.household_day_min_meters",
        publish.household_day_min_meters,
        2,
        u32::MAX,
    )
}
