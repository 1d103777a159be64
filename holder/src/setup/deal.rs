//! Mask keys are drawn, each by the first holder that is to have it, and wrapped for all that are.

use bytes::Bytes;
use masks::MaskSecret;
use wire::{Agreement, Deal, DealtKey, Detached, HolderSet, MaskKey, Stream, Terms};

use super::error::SetupError;
use super::proposal::Proposed;
use super::wrap::{self, Way};
use crate::keys::{self, Folder};

/// The deals of all holders, signed by them and for one proposal.
pub(super) struct Dealt {
    pub(super) terms: Terms,
    /// Of each stream of the terms.
    keys: Vec<DealtKey>,
}

/// The keys that this holder has to draw, drawn anew, signed.
pub(super) fn deal(proposed: &Proposed, folder: &Folder) -> Result<Bytes, SetupError> {
    let dealer = proposed.place_of(folder)?;
    let own = proposed
        .absent_sets()
        .filter(|absent| dealer_of(*absent) == dealer);
    let keys = own
        .map(|absent| draw(proposed, absent))
        .collect::<Result<_, _>>()?;
    Ok(folder.sign(&Deal {
        proposal: proposed.digest,
        holder: folder.id.clone(),
        keys,
    }))
}

/// The first holder that is to have the stream.
fn dealer_of(absent: HolderSet) -> usize {
    let mut places = 0..;
    // At least one of any `threshold` holders is not among one fewer.
    places
        .find(|place| !absent.contains(*place))
        .unwrap_or_default()
}

fn draw(proposed: &Proposed, absent: HolderSet) -> Result<DealtKey, SetupError> {
    let secret = keys::generate()?;
    let wrap_for = |receiver: usize| {
        let card = &proposed.cards[receiver];
        let way = proposed.way(absent, receiver);
        let wrapped = wrap::wrap(&secret, &card.exchange_key, &way);
        let wrapped = wrapped.map_err(|cause| SetupError::Wrap {
            holder: card.holder.clone(),
            cause,
        })?;
        // Places are below five.
        Ok((receiver as u8, wrapped))
    };
    let wrapped = proposed.receivers(absent).map(wrap_for);
    Ok(DealtKey {
        absent,
        key: MaskKey(secret.public()),
        wrapped: wrapped.collect::<Result<_, SetupError>>()?,
    })
}

impl Proposed {
    fn way(&self, absent: HolderSet, receiver: usize) -> Way {
        Way {
            proposal: self.digest,
            absent,
            dealer: dealer_of(absent),
            receiver,
        }
    }

    fn receivers(&self, absent: HolderSet) -> impl Iterator<Item = usize> {
        (0..self.cards.len()).filter(move |place| !absent.contains(*place))
    }

    fn names(&self, set: HolderSet) -> String {
        let names = set.iter().filter_map(|place| self.cards.get(place));
        let names: Vec<_> = names.map(|card| card.holder.as_str()).collect();
        names.join(", ")
    }

    /// Checks the deals of all holders, and makes the terms of them.
    pub(super) fn collect(&self, deals: &[Bytes]) -> Result<Dealt, SetupError> {
        let mut by_dealer: Vec<Option<Deal>> = self.cards.iter().map(|_| None).collect();
        for signed in deals {
            let (place, deal) = self.verified(signed)?;
            let holder = deal.holder.clone();
            if by_dealer[place].replace(deal).is_some() {
                return Err(SetupError::Twice {
                    what: "deal",
                    holder,
                });
            }
        }
        let mut dealt = Vec::new();
        for (place, deal) in by_dealer.into_iter().enumerate() {
            let deal = deal.ok_or_else(|| SetupError::Missing {
                what: "deal",
                holder: self.cards[place].holder.clone(),
            })?;
            dealt.extend(deal.keys);
        }
        dealt.sort_by_key(|dealt| dealt.absent);
        // Each was dealt by its dealer, and in one deal each is there once, so only some may be missing.
        for absent in self.absent_sets() {
            if !dealt.iter().any(|dealt| dealt.absent == absent) {
                return Err(SetupError::StreamMissing {
                    holder: self.cards[dealer_of(absent)].holder.clone(),
                    absent: self.names(absent),
                });
            }
        }
        let stream = |dealt: &DealtKey| Stream {
            absent: dealt.absent,
            key: dealt.key,
        };
        let terms = self.terms(dealt.iter().map(stream).collect());
        wire::Message::check(&terms).map_err(|cause| SetupError::Unreadable {
            what: "what the holders dealt",
            cause,
        })?;
        Ok(Dealt { terms, keys: dealt })
    }

    /// The deal, which its holder signed for this proposal and of streams that it has to deal, to all that are to have them.
    fn verified(&self, signed: &Bytes) -> Result<(usize, Deal), SetupError> {
        let deal = Detached::<Deal>::decode(signed).map_err(|cause| SetupError::Unreadable {
            what: "a deal",
            cause,
        })?;
        let holder = deal.claimed().holder.clone();
        let place = self.cards.iter().position(|card| card.holder == holder);
        let Some(place) = place else {
            return Err(SetupError::NotProposed { holder });
        };
        let verified = deal.verify(
            &self.proposal.deployment,
            Agreement::TOPIC,
            &self.cards[place].key,
        );
        let Ok((deal, _)) = verified else {
            return Err(SetupError::Signature {
                what: "deal",
                holder,
            });
        };
        if deal.proposal != self.digest {
            return Err(SetupError::OtherProposal { holder });
        }
        for dealt in &deal.keys {
            let absent = dealt.absent;
            let names = || self.names(absent);
            if dealer_of(absent) != place || !self.absent_sets().any(|set| set == absent) {
                return Err(SetupError::WrongDealer {
                    holder,
                    absent: names(),
                });
            }
            let receivers = dealt.wrapped.iter().map(|(place, _)| usize::from(*place));
            if !receivers.eq(self.receivers(absent)) {
                return Err(SetupError::WrongReceivers {
                    holder,
                    absent: names(),
                });
            }
        }
        Ok((place, deal))
    }
}

impl Dealt {
    /// The secrets of the holder at `place`, each with the place of its stream; each is that of its stream.
    pub(super) fn secrets(
        &self,
        proposed: &Proposed,
        folder: &Folder,
        place: usize,
    ) -> Result<Vec<(usize, MaskSecret)>, SetupError> {
        let open = |stream: usize| {
            let dealt = &self.keys[stream];
            let wrapped = dealt
                .wrapped
                .iter()
                .find(|(to, _)| usize::from(*to) == place);
            let way = proposed.way(dealt.absent, place);
            let opened =
                wrapped.and_then(|(_, wrapped)| wrap::unwrap(wrapped, &folder.exchange, &way).ok());
            let is_right =
                |secret: &MaskSecret| secret.public() == dealt.key.0 && !secret.has_twin();
            let right = opened.filter(is_right);
            let right = right.ok_or_else(|| SetupError::WrongSecret {
                holder: proposed.cards[way.dealer].holder.clone(),
                absent: proposed.names(dealt.absent),
            })?;
            Ok((stream, right))
        };
        self.terms.streams_of(place).map(open).collect()
    }
}
