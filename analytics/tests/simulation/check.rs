//! The invariants, once everything has healed.

use std::collections::{BTreeMap, BTreeSet};

use packed::ADDITIVE;
use sha2::{Digest as _, Sha256};

use crate::gateways::{Gateways, Told};
use crate::operator::{Operator, Taken};
use crate::world::{
    HANDED_OVER, METERS, MIN_METERS, SECOND_EPOCH, SECOND_SETTING, Slot, WORLD, slot_of, word,
};

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
        exact(taken)?;
    }
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
    if found.len() != taken.sum.contributors as usize
        || u64::from(taken.sum.contributors) != taken.sum.clamped
    {
        return Err(format!("{:?} contains {found:?}", taken.sum));
    }
    Ok(found)
}

/// The released sum is the sum of its contributors' ciphertexts, word by word, and its digest is over theirs.
fn exact(taken: &Taken) -> Result<(), String> {
    let found = contributors(taken)?;
    let q = ADDITIVE.moduli[0];
    let differs = |slot: &Slot| {
        slot.window >= SECOND_EPOCH || (slot.feeder == 1 && slot.window >= SECOND_SETTING)
    };
    for (index, sum) in taken.words.iter().enumerate() {
        let expected = found.iter().fold(0, |sum, (slot, variant)| {
            (sum + word(*slot, differs(slot), *variant, index as u64)) % q
        });
        if expected != *sum {
            return Err(format!(
                "word {index} of {:?} is {sum}, not {expected}",
                taken.sum
            ));
        }
    }
    let mut digests: Vec<_> = found
        .iter()
        .map(|(slot, variant)| WORLD.report(*slot, true, *variant).digest.0)
        .collect();
    digests.sort_unstable();
    let digest: [u8; 32] = Sha256::digest(digests.concat()).into();
    if digest != taken.sum.contributors_digest.0 {
        return Err(format!(
            "the contributors' digest of {:?} is wrong",
            taken.sum
        ));
    }
    Ok(())
}
