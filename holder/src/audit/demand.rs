//! What gateways are asked for.

use std::collections::BTreeMap;

use service::trust::HeldPlan;
use wire::{AuditDemand, FeederId, GatewayId, MeterId, Topic, UnixMillis, WindowStart};

use super::check::{Audit, Place};
use super::records::Named;
use crate::answers::{Answers, Outgoing};
use crate::roster::OwnRoster;

/// What one gateway is asked for.
pub(super) struct Demand {
    gateway: GatewayId,
    feeder: FeederId,
    window: WindowStart,
    meters: Vec<MeterId>,
}

/// A demand, signed for its gateway.
pub(super) fn sealed(
    demand: Demand,
    issued_at: UnixMillis,
    (held, answers): (&HeldPlan, &Answers),
) -> Option<Outgoing> {
    let terms = held.plan.terms_for(demand.window)?.digest();
    let message = AuditDemand {
        holder: answers.id.clone(),
        terms,
        issued_at,
        feeder: demand.feeder,
        window: demand.window,
        meters: demand.meters,
    };
    let topic = answers.topics.of(&Topic::AuditDemand {
        gateway: demand.gateway,
    });
    Some(answers.signed(&message, topic))
}

/// The reports of these meters, gateway by gateway and feeder by feeder.
pub(super) fn demands(audit: &Audit, places: &[Place], roster: &OwnRoster) -> Vec<Demand> {
    let mut of_gateway: BTreeMap<(GatewayId, usize), Vec<MeterId>> = BTreeMap::new();
    for place in places {
        let Some(Named { meter, gateway }) = named(audit, place, roster) else {
            continue;
        };
        of_gateway
            .entry((gateway, place.0))
            .or_default()
            .push(meter);
    }
    let demand = |((gateway, share), mut meters): ((GatewayId, usize), Vec<MeterId>)| {
        meters.sort_unstable();
        Demand {
            gateway,
            feeder: audit.feeder(share).clone(),
            window: audit.sum.window,
            meters,
        }
    };
    of_gateway.into_iter().map(demand).collect()
}

/// Who is at a place of a sum: nothing is consented to with a meter that is not in the roster, and none ever leaves that.
pub(super) fn named(audit: &Audit, (share, number): &Place, roster: &OwnRoster) -> Option<Named> {
    let members = roster.members(audit.feeder(*share)).ok()?;
    let member = members.get(*number)?;
    Some(Named {
        meter: member.meter.clone(),
        gateway: member.gateway.clone(),
    })
}
