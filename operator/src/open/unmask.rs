//! The masks of the contributors that a sum names.

use masks::{Label, PadSum};
use packed::RING;
use wire::{Digest, Reason, Sum};

use crate::keys::pads::FeederPads;
use crate::plan::members::Members;

/// The sum of the contributors' masks, for so many coefficients.
///
/// # Errors
/// A contributor is not on the feeder.
pub(super) fn masks(
    sum: &Sum,
    setting: &Digest,
    members: &Members,
    mut pads: FeederPads<'_>,
    coefficients: usize,
) -> Result<PadSum, Reason> {
    let mut masks = PadSum::new(coefficients, RING.modulus);
    for (number, salt) in sum.set.iter().zip(&sum.salts) {
        let member = members.get(number).ok_or(Reason::UnknownMeter)?;
        let pad = pads.get(number, member).map_err(|error| {
            tracing::error!(meter = %member.meter, %error, "the mask key of an enrolled meter cannot be used");
            Reason::UnknownMeter
        })?;
        let label = Label {
            setting: &setting.0,
            window: sum.window.0,
            salt: salt.0,
        };
        masks.add(pad, &label);
    }
    Ok(masks)
}
