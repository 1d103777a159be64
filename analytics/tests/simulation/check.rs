//! The invariants, once everything has healed.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use wire::SettlementOutcome;

use crate::gateways::{Gateways, Told};
use crate::operator::{Operator, Taken};
use crate::world::{HANDED_OVER, METERS, MIN_METERS, Slot, Stage, WORLD, slot_of};

/// Holds all invariants against what gateways were told and what the operator took.
pub(crate) fn check(gateways: &Gateways, operator: &Operator) -> Result<(), String> {
    let mut released: BTreeMap<Slot, u8> = BTreeMap::new();
    for taken in operator.taken.values() {
        for (slot, variant) in contributors(taken)? {
            // Every meter's window is in at most one release.
            if released.insert(slot, variant).is_some() {
                return Err(format!("{slot:?} is in two releases"));
            }
        }
        check_digest(taken)?;
    }
    let failed: BTreeSet<Slot> = (operator.failed.values())
        .flat_map(|failed| failed.seals.iter().map(|(slot, _, _)| *slot))
        .collect();
    check_settled(gateways, &released)?;
    check_heard(gateways, &released)?;
    // Nothing settled is lost: what counts and is not released are too few to be released.
    // So are those that the new owner of a feeder added to a window that the owner before had released.
    let mut withheld: BTreeMap<(usize, u64, usize), BTreeSet<usize>> = BTreeMap::new();
    for slot in gateways
        .counted
        .keys()
        .filter(|slot| !released.contains_key(slot))
    {
        let by = gateways.counted_by[slot];
        if slot.feeder == HANDED_OVER && by == 1 && operator.collected.contains(&slot.window) {
            continue;
        }
        // It was in a release that did not open, came too late for its part or was in one that failed again, and its
        // gateway was told.
        let told = gateways.settled_as(*slot);
        if failed.contains(slot) && told == Some(SettlementOutcome::Refused) {
            continue;
        }
        let group = withheld.entry((slot.feeder, slot.window, by)).or_default();
        group.insert(slot.meter);
    }
    match withheld
        .iter()
        .find(|(_, meters)| meters.len() >= MIN_METERS as usize)
    {
        Some((window, meters)) => Err(format!(
            "{meters:?} of {window:?} count and are not released"
        )),
        None => Ok(()),
    }
}

/// Every report was settled, and as it ended.
fn check_settled(gateways: &Gateways, released: &BTreeMap<Slot, u8>) -> Result<(), String> {
    for ((slot, variant), entry) in &gateways.entries {
        match (entry.told, released.get(slot)) {
            (None, _) => return Err(format!("{slot:?} variant {variant} was never settled")),
            (Some(Told::Counted), Some(released)) if released != variant => {
                return Err(format!(
                    "{slot:?} counts with variant {variant}, not that released"
                ));
            }
            (Some(Told::Refused(wire::Reason::Conflict)), Some(released))
                if released == variant =>
            {
                return Err(format!(
                    "{slot:?} variant {variant} is refused, and released"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whoever has a report in a release knows it.
fn check_heard(gateways: &Gateways, released: &BTreeMap<Slot, u8>) -> Result<(), String> {
    let unheard = released.keys().find(|slot| {
        // Who has the feeder now does not know what became of the sums of before.
        let whole = matches!(gateways.stage, Some(Stage::Whole | Stage::Pool));
        let handed_over = !whole && slot.feeder == HANDED_OVER;
        let told = gateways.settled_as(**slot);
        !handed_over && gateways.is_kept(**slot) && told != Some(SettlementOutcome::Released)
    });
    if let Some(slot) = unheard {
        return Err(format!(
            "{slot:?} is released, and its gateway still keeps its report"
        ));
    }
    Ok(())
}

/// Who is in a sum, as its own words say.
fn contributors(taken: &Taken) -> Result<Vec<(Slot, u8)>, String> {
    let of_window = |meter| {
        let name = format!(
            "meter-{}-{meter}",
            taken.sum.feeder.as_str().trim_start_matches("feeder-")
        );
        slot_of(&name.parse().unwrap(), taken.sum.window)
    };
    let mut found = Vec::new();
    for variant in 0..2 {
        let ledger = taken.words[usize::from(variant)];
        for meter in 0..METERS {
            let slot = of_window(meter);
            match ledger >> (4 * meter) & 0xf {
                0 => {}
                1 => found.push((slot, variant)),
                times => return Err(format!("{slot:?} is {times} times in {}", taken.sum.part)),
            }
        }
    }
    let numbers: BTreeSet<u32> = found.iter().map(|(slot, _)| slot.meter as u32).collect();
    if found.len() != numbers.len() || !taken.sum.set.iter().eq(numbers) {
        return Err(format!("{:?} contains {found:?}", taken.sum));
    }
    Ok(found)
}

/// The digest of a release is over its contributors' in the order of their numbers.
fn check_digest(taken: &Taken) -> Result<(), String> {
    let mut found = contributors(taken)?;
    found.sort_unstable_by_key(|(slot, _)| slot.meter);
    let digests: Vec<_> = found
        .iter()
        .map(|(slot, variant)| WORLD.report(*slot, true, *variant).digest.0)
        .collect();
    let digest: [u8; 32] = Sha256::digest(digests.concat()).into();
    if digest != taken.sum.contributors_digest.0 {
        return Err(format!(
            "the contributors' digest of {:?} is wrong",
            taken.sum
        ));
    }
    Ok(())
}
