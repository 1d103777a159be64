//! Pages of the roster that holders countersigned.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use wire::{Countersignature, DeploymentId, Detached, Digest, RosterPage, Terms, Topic, Topics};

/// The newest version of the roster with which as many holders of these terms as consent to a sum countersigned just what a page has;
/// `None` where they are too few. `entries` is the page's [digest](RosterPage::entries_digest).
///
/// Who has seen a later version of the page does not take it: see [`Countersignature::version`].
pub fn countersigned(
    page: &RosterPage,
    entries: Digest,
    terms: &Terms,
    (deployment, topics): (&DeploymentId, &Topics),
) -> Option<u64> {
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
        is_of_it.then_some((message.version, place))
    };
    let mut signers: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for (version, place) in page.countersignatures.iter().filter_map(signer) {
        signers.entry(version).or_default().insert(place);
    }
    let enough = usize::from(terms.consents);
    let mut versions = signers.into_iter().rev();
    versions.find_map(|(version, places)| (places.len() >= enough).then_some(version))
}
