//! What is kept, as it is computed with.

use bytes::Bytes;
use service::trust::HeldPlan;
use wire::{Comparison, Digest, Question, Sum};

/// What the operator calls a comparison by.
pub(super) fn digest(comparison: &Comparison) -> Digest {
    Digest::of(&wire::Message::to_cbor(comparison, None))
}

/// The ciphertext of a kept sum.
pub(super) fn lifted(held: &HeldPlan, message: &Bytes) -> Option<packed::Lifted> {
    let unverified = wire::decode_shared::<Sum>(message, message.len()).ok()?;
    let sum = unverified.claimed();
    let setting = held.plan.feeder(&sum.feeder, sum.window)?;
    let encoding = held.encoding(setting);
    let coefficients = encoding.shape.coefficients();
    let limbs = unverified.claimed_limbs();
    packed::sum::lift(encoding.profile, coefficients, limbs, sum.contributors()).ok()
}

/// A question about a kept sum, and its limbs, without what a reading could be decrypted from.
pub(super) fn shown(held: &HeldPlan, message: &Bytes) -> Option<(Question, Vec<u8>)> {
    let unverified = wire::decode_shared::<Sum>(message, message.len()).ok()?;
    let sum = unverified.claimed();
    let shape = held
        .encoding(held.plan.feeder(&sum.feeder, sum.window)?)
        .shape;
    let limbs = packed::sum::without_readings(&shape, unverified.claimed_limbs()).ok()?;
    let question = Question {
        feeder: sum.feeder.clone(),
        sum: unverified.signed_part(),
    };
    Some((question, limbs))
}
