//! The roster before it is published: each page goes to the holders first, and out only with as many countersignatures as it takes
//! consents to open a sum.

use bytes::Bytes;
use wire::{Countersignature, DeploymentId, HolderId, Reason, Terms, Topic, Topics};

/// The longest countersignature that is read, in bytes.
const MAX_LEN: usize = 1 << 10;

/// Reads what a holder signed under a page: who it is, which page, and the signed part to keep with the page.
///
/// # Errors
/// It is no countersignature of a holder of these terms.
pub(crate) fn read(
    payload: &Bytes,
    holder: &HolderId,
    terms: &Terms,
    (deployment, topics): (&DeploymentId, &Topics),
) -> Result<(Countersignature, Bytes), Reason> {
    let unverified = wire::decode_shared::<Countersignature>(payload, MAX_LEN)
        .map_err(|error| error.reason())?;
    let signed = unverified.signed_part();
    let place = terms.place(holder).ok_or(Reason::UnknownHolder)?;
    let topic = topics.of(&Topic::Countersignature {
        holder: holder.clone(),
    });
    let key = &terms.holders[place].key;
    let opened = unverified.verify(deployment, &topic, key);
    let countersignature = opened.map_err(|error| error.reason())?.message;
    match countersignature.holder == *holder && countersignature.terms == terms.digest() {
        true => Ok((countersignature, signed)),
        false => Err(Reason::WrongTopic),
    }
}
