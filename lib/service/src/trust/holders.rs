//! Whether the holders in a plan are those that this process pins.
//!
//! The pins are one agreement's: an agreement of just these holders and numbers has to be in the plan, and each one after another has to
//! follow it, with the closings of enough of the holders before. That is so of those before the pinned one, too, which its holders
//! signed the digests of. A plan alone can add nothing to that chain.

use wire::{Agreement, DeploymentId, Plan, Reason, Terms};

use super::Refused;
use crate::config::Holders;
use crate::failpoint;

/// Checks the agreements of a plan.
///
/// # Errors
/// [`Reason::UnknownHolder`] if the pinned holders have no agreement in it, or one of its agreements is not signed as it has to be.
pub(super) fn check(pins: &Holders, plan: &Plan) -> Result<(), Refused> {
    let agreements = &plan.holders;
    if !has_pinned(pins, agreements) {
        let detail = format!(
            "plan {} has no agreement of the holders in holders.pinned with holders.threshold = {} and holders.consents = {}: if the \
             holders have changed, pin the new ones; ask them for their keys, not the operator",
            plan.version, pins.threshold, pins.consents
        );
        return Err(Refused::new(Reason::UnknownHolder, detail));
    }
    follow(&plan.deployment, agreements).map_err(|problem| {
        let detail = format!("plan {}: {problem}", plan.version);
        Refused::new(Reason::UnknownHolder, detail)
    })
}

/// Whether one of the agreements is the pinned one; without pins, any will do.
fn has_pinned(pins: &Holders, agreements: &[Agreement]) -> bool {
    let mut terms = agreements.iter().map(|agreement| &agreement.terms);
    pins.pinned.is_empty()
        || failpoint::sabotaged("holder_pins")
        || terms.any(|terms| is_pinned(pins, terms))
}

fn is_pinned(pins: &Holders, terms: &Terms) -> bool {
    let is_there = |pinned: &crate::config::PinnedHolder| {
        let place = terms.place(&pinned.id);
        place.is_some_and(|place| terms.holders[place].key == pinned.key)
    };
    (pins.threshold, pins.consents) == (terms.threshold, terms.consents)
        && pins.pinned.len() == terms.holders.len()
        && pins.pinned.iter().all(is_there)
}

/// The first agreement is signed by its holders, and each other one follows the one before it.
fn follow(deployment: &DeploymentId, agreements: &[Agreement]) -> Result<(), wire::AgreementError> {
    let mut previous: Option<&Agreement> = None;
    for agreement in agreements {
        match previous {
            Some(previous) if !failpoint::sabotaged("closings") => {
                agreement.verify(deployment, Some(&previous.terms))?;
            }
            _ => agreement.verify_accepted(deployment)?,
        }
        previous = Some(agreement);
    }
    Ok(())
}
