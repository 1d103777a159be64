//! From the reports that came to the meters that spoil the sum.

use std::hash::{BuildHasher as _, RandomState};

use packed::Accumulator;
use wire::{Digest, GatewayId, Reason};

use super::bisect::bisect;
use super::collect::{Collection, Received};
use super::found::Found;
use crate::open::Opener;
use crate::open::checks::ChecksOpener;

/// Looks for the meters that spoil the sum of a collection, until there have been so many `refusals`.
///
/// # Errors
/// The sum's setting or keys are gone.
pub(crate) fn find(
    opener: &mut Opener,
    collection: &Collection,
    refusals: u32,
) -> Result<Found, Reason> {
    let judged = &collection.judged;
    let mut checks = opener.checks(&judged.sum, &judged.plan, &judged.members)?;
    let twice = &collection.signed_twice;
    let honest = collection
        .reports
        .iter()
        .filter(|(number, _)| !twice.contains(number));
    let mut reports: Vec<(u32, &Received)> =
        honest.map(|(number, report)| (*number, report)).collect();
    // Analytics refuses what is not of the profile, so such a report is not in the sum.
    let mut named = twice | &collection.malformed;
    reports.retain(|(number, report)| {
        let is_of_profile = checks.check(&report.limbs).is_ok();
        if !is_of_profile {
            named.insert(*number);
        }
        is_of_profile
    });
    // Culprits cannot arrange to cancel each other out in every half.
    let order = RandomState::new();
    reports.sort_by_cached_key(|(number, _)| order.hash_one(number));

    let members = &judged.members;
    let gateway_of = |(number, _): &(u32, _)| members.get(*number).map(|member| &member.gateway);
    let gateways: Vec<Option<&GatewayId>> = reports.iter().map(gateway_of).collect();
    let bisected = bisect(&gateways, refusals as usize, |group| {
        let group = group.iter().map(|place| reports[*place]);
        is_spoiled(&mut checks, group)
    });
    let number = |place: &usize| reports[*place].0;
    let alone = bisected.culprits.iter().map(number);
    named.extend(alone);
    let mut together: Vec<u32> = bisected.together.iter().flatten().map(number).collect();
    together.sort_unstable();
    Ok(Found {
        sum_differs: differs(collection, &checks),
        culprits: named.into_iter().collect(),
        together,
        gateways: bisected
            .gateways
            .iter()
            .flatten()
            .map(|gateway| (*gateway).clone())
            .collect(),
        refusals: (bisected.culprits.len() + bisected.together.len()) as u32,
        openings: bisected.openings,
        is_cut_short: bisected.is_cut_short || (refusals == 0 && !reports.is_empty()),
    })
}

fn is_spoiled<'a>(
    checks: &mut ChecksOpener<'_>,
    group: impl Iterator<Item = (u32, &'a Received)> + Clone,
) -> bool {
    let mut sum = checks.empty();
    for (_, report) in group.clone() {
        // It was added alone before.
        let _ = sum.add(&report.limbs);
    }
    let contributors = group.map(|(number, report)| (number, report.salt));
    checks.pass(&sum, contributors) == Ok(false)
}

/// Whether analytics counted just these reports and released another sum.
fn differs(collection: &Collection, checks: &ChecksOpener<'_>) -> bool {
    let judged = &collection.judged;
    let reports = collection.reports.values();
    let digests: Vec<u8> = reports.flat_map(|report| report.digest.0).collect();
    if collection.missing() > 0 || Digest::of(&digests) != judged.sum.contributors_digest {
        return false;
    }
    let mut sum: Accumulator = checks.empty();
    let mut reports = collection.reports.values();
    reports.all(|report| sum.add(&report.limbs).is_ok())
        && Digest::of(&sum.to_packed()) != judged.digest
}
