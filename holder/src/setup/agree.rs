//! Holders accept terms, those before them close theirs, and an agreement is made of both.

use bytes::Bytes;
use wire::{Acceptance, Agreement, Closing, Detached, HolderEntry, HolderId, Message, Terms};

use super::deal::Dealt;
use super::error::SetupError;
use super::proposal::Proposed;
use crate::keys::{Closed, Folder, Part};
use crate::ledger::Ledger;

/// Keeps this holder's part of the mask keys, and then accepts the terms.
pub(super) fn accept(
    proposed: &Proposed,
    dealt: &Dealt,
    folder: &Folder,
) -> Result<Bytes, SetupError> {
    let place = proposed.place_of(folder)?;
    let terms = dealt.terms.clone();
    let digest = terms.digest();
    let parts = folder.parts()?;
    let before = terms.previous.and_then(|previous| parts.get(&previous));
    if let Some(closed) = before.and_then(|part| part.closed)
        && closed.next != digest
    {
        return Err(SetupError::ClosedForOther);
    }
    // With the first part comes the ledger. One that is lost later is never made again.
    match parts.is_empty() {
        true => Ledger::make(folder.path())?,
        false => Ledger::is_there(folder.path())?,
    }
    let secrets = dealt.secrets(proposed, folder, place)?;
    folder.keep(&Part {
        terms,
        place,
        secrets,
        closed: None,
    })?;
    Ok(folder.sign(&Acceptance {
        terms: digest,
        holder: folder.id.clone(),
    }))
}

/// Closes the terms before, which this holder has a part of, for the sake of these, which all their holders have accepted: so that
/// it never has to be taken back.
pub(super) fn close(
    dealt: &Dealt,
    acceptances: &[Bytes],
    folder: &Folder,
) -> Result<Bytes, SetupError> {
    let terms = &dealt.terms;
    let (from, next) = (terms.from, terms.digest());
    let previous = terms.previous.ok_or(SetupError::NothingBefore)?;
    let agreement = Agreement {
        terms: terms.clone(),
        acceptances: in_order(&terms.holders, acceptances, of_acceptance(terms))?,
        closings: Vec::new(),
    };
    agreement.verify_accepted(&folder.deployment)?;
    let parts = folder.parts()?;
    let part = parts.get(&previous).ok_or(SetupError::NotBefore)?;
    match part.closed {
        Some(closed) if closed.next != next => return Err(SetupError::ClosedForOther),
        // Again, for who lost the file.
        Some(_) => {}
        None => close_for_good(folder, &part.terms, &Closed { from, next })?,
    }
    Ok(folder.sign(&Closing {
        terms: next,
        previous,
        from,
        holder: folder.id.clone(),
    }))
}

/// With the ledger open no holder runs, and none that starts later overlooks the mark.
fn close_for_good(folder: &Folder, terms: &Terms, closed: &Closed) -> Result<(), SetupError> {
    let ledger = Ledger::open(folder.path())?;
    match ledger.has_consented_from(&terms.digest(), closed.from)? {
        true => Err(SetupError::Answered { from: closed.from }),
        false => Ok(folder.close(terms, closed)?),
    }
}

/// The agreement of the terms, whole.
pub(super) fn assemble(
    proposed: &Proposed,
    dealt: &Dealt,
    acceptances: &[Bytes],
    closings: &[Bytes],
) -> Result<Agreement, SetupError> {
    let terms = dealt.terms.clone();
    let previous = proposed.proposal.previous.as_ref();
    let before = previous.map_or(&[][..], |previous| &previous.holders);
    let agreement = Agreement {
        acceptances: in_order(&terms.holders, acceptances, of_acceptance(&terms))?,
        closings: in_order(before, closings, of_closing(&terms))?,
        terms,
    };
    agreement.verify(&proposed.proposal.deployment, previous)?;
    Ok(agreement)
}

/// What is signed, of whom, and whether it is for the terms at hand.
struct Signed {
    what: &'static str,
    holder: HolderId,
    fits: bool,
}

fn of_acceptance(terms: &Terms) -> impl Fn(&Bytes) -> Result<Signed, SetupError> {
    let digest = terms.digest();
    move |signed| {
        let Acceptance { terms, holder } = claimed(signed, "an acceptance")?;
        Ok(Signed {
            what: "acceptance",
            holder,
            fits: terms == digest,
        })
    }
}

fn of_closing(terms: &Terms) -> impl Fn(&Bytes) -> Result<Signed, SetupError> {
    let expected = (terms.digest(), terms.previous, terms.from);
    move |signed| {
        let closing: Closing = claimed(signed, "a closing")?;
        Ok(Signed {
            what: "closing",
            holder: closing.holder,
            fits: (closing.terms, Some(closing.previous), closing.from) == expected,
        })
    }
}

fn claimed<M: Message + Clone>(signed: &Bytes, what: &'static str) -> Result<M, SetupError> {
    let decoded = Detached::<M>::decode(signed);
    let decoded = decoded.map_err(|cause| SetupError::Unreadable { what, cause })?;
    Ok(decoded.claimed().clone())
}

/// The signed parts in the order of the holders, each for the terms at hand; some may be missing. Signatures are checked once the
/// agreement is whole.
fn in_order(
    holders: &[HolderEntry],
    parts: &[Bytes],
    read: impl Fn(&Bytes) -> Result<Signed, SetupError>,
) -> Result<Vec<Bytes>, SetupError> {
    let mut by_place = vec![None; holders.len()];
    for part in parts {
        let Signed { what, holder, fits } = read(part)?;
        let Some(place) = holders.iter().position(|entry| entry.id == holder) else {
            return Err(SetupError::NotProposed { holder });
        };
        if !fits {
            return Err(SetupError::OtherTerms { what, holder });
        }
        if by_place[place].replace(part.clone()).is_some() {
            return Err(SetupError::Twice { what, holder });
        }
    }
    Ok(by_place.into_iter().flatten().collect())
}
