//! A proposal and its cards.

use bytes::Bytes;
use privacy::Guarantee;
use service::config::PinnedHolder;
use wire::{
    Agreement, Card, DeploymentId, Detached, Digest, HolderEntry, HolderSet, Message as _,
    NoiseTerms, Proposal, Stream, Terms, WindowStart,
};

use super::error::SetupError;
use crate::keys::Folder;

/// How many holders it takes.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// How many together have every mask key.
    pub threshold: u8,
    /// How many have to consent.
    pub consents: u8,
}

/// A proposal with its cards, all of which their holders signed.
pub(super) struct Proposed {
    pub(super) proposal: Proposal,
    pub(super) digest: Digest,
    pub(super) cards: Vec<Card>,
}

/// The holder's card, signed.
pub(super) fn card(folder: &Folder) -> Bytes {
    let card = Card {
        deployment: folder.deployment.clone(),
        holder: folder.id.clone(),
        key: folder.signing.verifying_key(),
        exchange_key: wire::MaskKey(folder.exchange.public()),
    };
    folder.sign(&card)
}

/// What is proposed beside the holders themselves.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) numbers: Numbers,
    /// May be left out for the first agreement: it is then for every window.
    pub(super) from: Option<WindowStart>,
    pub(super) noise: Option<NoiseTerms>,
}

/// A proposal of these cards.
pub(super) fn propose(
    deployment: &DeploymentId,
    wanted: Wanted,
    after: Option<Terms>,
    cards: Vec<Bytes>,
) -> Result<Proposed, SetupError> {
    let Wanted {
        numbers,
        from,
        noise,
    } = wanted;
    let from = match (from, &after) {
        (Some(from), _) => from,
        (None, None) => WindowStart(0),
        (None, Some(_)) => return Err(SetupError::FromMissing),
    };
    let mut named = Vec::new();
    for signed in cards {
        let card = Detached::<Card>::decode(&signed).map_err(|cause| SetupError::Unreadable {
            what: "a card",
            cause,
        })?;
        named.push((card.claimed().holder.clone(), signed));
    }
    named.sort();
    let proposal = Proposal {
        deployment: deployment.clone(),
        from,
        previous: after,
        threshold: numbers.threshold,
        consents: numbers.consents,
        noise,
        cards: named.into_iter().map(|(_, signed)| signed).collect(),
    };
    Proposed::of(proposal, deployment)
}

impl Proposed {
    pub(super) fn read(bytes: &[u8], deployment: &DeploymentId) -> Result<Self, SetupError> {
        let (proposal, _) = Proposal::from_cbor(bytes).map_err(|cause| SetupError::Unreadable {
            what: "the proposal",
            cause,
        })?;
        Self::of(proposal, deployment)
    }

    fn of(proposal: Proposal, deployment: &DeploymentId) -> Result<Self, SetupError> {
        proposal.check().map_err(|cause| SetupError::Unreadable {
            what: "the proposal",
            cause,
        })?;
        if proposal.deployment != *deployment {
            return Err(SetupError::Deployment {
                what: "the proposal",
                found: proposal.deployment,
                own: deployment.clone(),
            });
        }
        if let Some(previous) = &proposal.previous
            && previous.from >= proposal.from
        {
            return Err(SetupError::FromNotLater {
                from: proposal.from,
                previous: previous.from,
            });
        }
        if let Some(noise) = &proposal.noise {
            Guarantee::agreed(noise).map_err(SetupError::Noise)?;
        }
        let cards = proposal.cards.iter().map(|card| verified(card, deployment));
        let cards: Vec<_> = cards.collect::<Result<_, _>>()?;
        let twice = |(at, card): (usize, &Card)| {
            let mut before = cards[..at].iter();
            let same = before.any(|other| {
                other.holder >= card.holder
                    || other.key == card.key
                    || other.exchange_key == card.exchange_key
            });
            same.then(|| card.holder.clone())
        };
        if let Some(holder) = cards.iter().enumerate().find_map(twice) {
            return Err(SetupError::CardTwice { holder });
        }
        Ok(Self {
            digest: proposal.digest(),
            proposal,
            cards,
        })
    }

    /// The terms, once there are streams.
    pub(super) fn terms(&self, streams: Vec<Stream>) -> Terms {
        let Proposal {
            deployment,
            from,
            previous,
            threshold,
            consents,
            noise,
            ..
        } = self.proposal.clone();
        let holder = |card: &Card| HolderEntry {
            id: card.holder.clone(),
            key: card.key,
        };
        Terms {
            deployment,
            generation: previous.as_ref().map_or(1, |terms| terms.generation + 1),
            from,
            previous: previous.map(|terms| terms.digest()),
            threshold,
            consents,
            noise,
            holders: self.cards.iter().map(holder).collect(),
            streams,
        }
    }

    /// Every set of holders for whom there is a stream that they do not have.
    pub(super) fn absent_sets(&self) -> impl Iterator<Item = HolderSet> {
        let size = usize::from(self.proposal.threshold) - 1;
        HolderSet::all_of(size, self.cards.len())
    }

    /// The place of the holder whose folder this is, whose keys must be those on its card.
    pub(super) fn place_of(&self, folder: &Folder) -> Result<usize, SetupError> {
        let holder = || folder.id.clone();
        let place = self.cards.iter().position(|card| card.holder == folder.id);
        let place = place.ok_or_else(|| SetupError::NotProposed { holder: holder() })?;
        let card = &self.cards[place];
        let own = card.key == folder.signing.verifying_key()
            && card.exchange_key.0 == folder.exchange.public();
        match own {
            true => Ok(place),
            false => Err(SetupError::NotOwnCard { holder: holder() }),
        }
    }

    /// Refuses numbers that are weak unless somebody wants them.
    pub(super) fn check_strength(&self, weak: bool) -> Result<(), SetupError> {
        let terms = self.terms(Vec::new());
        match weak || terms.is_strong() {
            true => Ok(()),
            false => Err(SetupError::Weak {
                threshold: terms.threshold,
                consents: terms.consents,
                holders: terms.holders.len(),
            }),
        }
    }

    /// Refuses the first agreement of holders or numbers other than those that are pinned, where some are.
    pub(super) fn check_pinned(
        &self,
        pinned: &[PinnedHolder],
        numbers: Numbers,
    ) -> Result<(), SetupError> {
        if pinned.is_empty() || self.proposal.previous.is_some() {
            return Ok(());
        }
        let is_pinned = |card: &Card| {
            let mut pinned = pinned.iter();
            pinned.any(|pinned| pinned.id == card.holder && pinned.key == card.key)
        };
        let other = self.cards.iter().find(|card| !is_pinned(card));
        let counts = (pinned.len(), numbers.threshold, numbers.consents);
        let proposed = &self.proposal;
        match other {
            Some(card) => Err(SetupError::NotPinned {
                holder: card.holder.clone(),
                key: card.key,
            }),
            None if counts == (self.cards.len(), proposed.threshold, proposed.consents) => Ok(()),
            None => Err(SetupError::NumbersNotPinned),
        }
    }
}

fn verified(signed: &Bytes, deployment: &DeploymentId) -> Result<Card, SetupError> {
    let card = Detached::<Card>::decode(signed).map_err(|cause| SetupError::Unreadable {
        what: "a card",
        cause,
    })?;
    let Card {
        deployment: found,
        holder,
        key,
        ..
    } = card.claimed().clone();
    if found != *deployment {
        return Err(SetupError::Deployment {
            what: "a card",
            found,
            own: deployment.clone(),
        });
    }
    let verified = card.verify(deployment, Agreement::TOPIC, &key);
    let (card, _) = verified.map_err(|_| SetupError::Signature {
        what: "card",
        holder,
    })?;
    Ok(card)
}
