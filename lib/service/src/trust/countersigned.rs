//! Pages of the roster that holders countersigned.

use bytes::Bytes;
use wire::{Countersignature, DeploymentId, Detached, Digest, RosterPage, Terms, Topic, Topics};

/// The places of the holders that countersigned what a page has, under these terms. `entries` is the page's
/// [digest](RosterPage::entries_digest).
pub fn signers(
    page: &RosterPage,
    entries: Digest,
    terms: &Terms,
    (deployment, topics): (&DeploymentId, &Topics),
) -> Vec<usize> {
    let digest = terms.digest();
    let signer = |signed: &Bytes| {
        let signed = Detached::<Countersignature>::decode(signed).ok()?;
        let place = terms.place(&signed.claimed().holder)?;
        let holder = &terms.holders[place];
        let topic = topics.of(&Topic::Countersignature {
            holder: holder.id.clone(),
        });
        let (message, _) = signed.verify(deployment, &topic, &holder.key).ok()?;
        let is_of_it =
            message.terms == digest && message.page == page.page && message.entries == entries;
        is_of_it.then_some(place)
    };
    let mut signers: Vec<_> = page.countersignatures.iter().filter_map(signer).collect();
    signers.sort_unstable();
    signers.dedup();
    signers
}
