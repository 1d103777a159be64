//! Countersignatures of holders under the pages.

use bytes::Bytes;
use service::trust::countersigned;
use wire::{Countersignature, Terms, Topic};

use super::{Page, RosterBook};
use crate::keys::keyring::Keyring;

impl RosterBook {
    /// Pages that too few holders of these terms countersigned.
    pub(crate) fn lacking(&mut self, terms: &Terms) -> Vec<u16> {
        let (digest, enough) = (terms.digest(), usize::from(terms.consents));
        let place = (&self.deployment, &self.topics);
        // The digest of a full page takes 10 ms, and this is asked at every round of publishing.
        let is_agreed = |page: &mut Page| {
            let message = &page.message;
            if page.agreed != Some(digest) && message.countersignatures.len() >= enough {
                let version = countersigned(message, message.entries_digest(), terms, place);
                page.agreed = (version == Some(page.changed)).then_some(digest);
            }
            page.agreed == Some(digest)
        };
        let pages = self.pages.iter_mut();
        pages
            .filter_map(|page| (!is_agreed(page)).then_some(page.message.page))
            .collect()
    }

    /// A page as it is proposed to the holders, signed: its topic and bytes.
    pub(crate) fn proposed(&mut self, page: u16, keyring: &Keyring) -> Option<(String, Bytes)> {
        let changed = self.pages.get(usize::from(page))?.changed;
        let topic = self.topics.of(&Topic::ProposedRoster { page });
        self.sealed_for(page, (topic, changed), keyring)
    }

    /// Keeps a countersignature with its page; `false` if it is of something else than the page has. Those of a holder's earlier
    /// terms make way.
    pub(crate) fn countersign(&mut self, message: &Countersignature, signed: Bytes) -> bool {
        let Some(page) = self.pages.get_mut(usize::from(message.page)) else {
            return false;
        };
        if (page.changed, page.message.entries_digest()) != (message.version, message.entries) {
            return false;
        }
        let kept = &mut page.message.countersignatures;
        if kept.contains(&signed) {
            return true;
        }
        let is_of_another = |signed: &Bytes| {
            let signed = wire::Detached::<Countersignature>::decode(signed);
            signed.is_ok_and(|signed| {
                let other = signed.claimed();
                other.holder != message.holder && other.terms == message.terms
            })
        };
        kept.retain(is_of_another);
        kept.push(signed);
        (page.unsaved, page.agreed) = (true, None);
        true
    }
}
