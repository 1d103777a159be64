//! From the ciphertext of a sum to the totals in it.

use packed::layout::{Layout, Totals};
use wire::{Opened, Reason, Sum};

use crate::keys::keyring::Keyring;

/// What the slots of a sum stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    pub layout: Layout,
    /// Intervals of the window.
    pub batch: u16,
    /// What a slot of 1 stands for, in Wh.
    pub reference_wh: u64,
}

/// The totals in a sum whose signature holds.
///
/// # Errors
/// There is no key of its epoch, or its limbs are not a sum of so many reports under that key.
pub(crate) fn decrypt(
    opened: &Opened<Sum>,
    meaning: &Slots,
    keyring: &Keyring,
) -> Result<Totals, Reason> {
    let sum = &opened.message;
    let keys = keyring.get(sum.epoch).ok_or(Reason::UnknownEpoch)?;
    let slots = keys.secret.decrypt(&opened.limbs);
    let slots = slots.map_err(|error| match error {
        openfhe::Error::Packed(packed::PackError::WrongLength { .. }) => Reason::WrongLength,
        openfhe::Error::Packed(_) => Reason::LimbOutOfRange,
        error => failed(sum, &error),
    })?;
    check_range(sum, &slots, keyring)?;
    let batch = usize::from(meaning.batch);
    packed::layout::decode(meaning.layout, &slots, batch, meaning.reference_wh)
        .map_err(|error| failed(sum, &error))
}

/// Every slot of a report is within ±1, so a sum beyond its contributors is not one of this key or these meters.
fn check_range(sum: &Sum, slots: &[f64], keyring: &Keyring) -> Result<(), Reason> {
    let noise = packed::noise::bound(keyring.profile(), sum.contributors);
    let limit = f64::from(sum.contributors) + noise;
    let beyond = |slot: &f64| slot.abs() > limit || slot.is_nan();
    match slots.iter().position(beyond) {
        None => Ok(()),
        Some(slot) => {
            let problem = format!("slot {slot} is beyond {} contributors", sum.contributors);
            Err(failed(sum, &problem))
        }
    }
}

/// The sender learns one reason only, whatever is wrong inside: more would be an oracle for the key.
fn failed(sum: &Sum, error: &dyn std::fmt::Display) -> Reason {
    tracing::error!(feeder = %sum.feeder, window = %sum.window, part = %sum.part, %error, "a sum does not decrypt");
    Reason::InvalidMessage
}
