//! Whatever is changed on its way between holders is refused, and the error says what it was.

use wire::{Agreement, Card, Deal, Detached, HolderSet, MaskKey, Message};

use super::super::agree::{accept, assemble};
use super::*;

/// What a signed file says.
fn content<M: Message + Clone>(signed: &Bytes) -> M {
    Detached::<M>::decode(signed).unwrap().claimed().clone()
}

/// Why a deal that its holder changed, and signed again, is refused.
fn changed_deal(place: usize, change: impl Fn(&mut Deal)) -> SetupError {
    let mut group = group();
    let mut deal: Deal = content(&group.deals[place]);
    change(&mut deal);
    group.deals[place] = group.folders[place].sign(&deal);
    refused(&group)
}

/// Why the holder `b` refuses what was dealt.
fn refused(group: &Group) -> SetupError {
    let Group {
        proposed, folders, ..
    } = group;
    match proposed.collect(&group.deals) {
        Ok(dealt) => accept(proposed, &dealt, &folders[1]).unwrap_err(),
        Err(error) => error,
    }
}

#[test]
fn what_nobody_changed_is_accepted_by_all_and_two_make_no_other_agreement() {
    let group = group();
    let dealt = group.dealt();
    let accepted = |folder| accept(&group.proposed, &dealt, folder).unwrap();
    let mut acceptances: Vec<_> = group.folders.iter().map(accepted).collect();
    acceptances.reverse();
    let agreement = assemble(&group.proposed, &dealt, &acceptances, &[]).unwrap();
    assert_eq!(agreement.terms.streams.len(), 4);
    let acceptance = acceptances.remove(2);
    let error = assemble(&group.proposed, &dealt, &acceptances, &[]).unwrap_err();
    assert!(
        error.to_string().contains("holder b did not sign"),
        "{error}"
    );
    let twice = [acceptance.clone(), acceptance];
    let error = assemble(&group.proposed, &dealt, &twice, &[]).unwrap_err();
    assert!(matches!(error, SetupError::Twice { .. }), "{error}");
}

#[test]
fn a_card_that_somebody_changed_is_refused() {
    let group = group();
    let (folders, deployment) = (&group.folders, &group.folders[0].deployment);
    let propose = |cards| propose(deployment, wanted(Some(FROM)), None, cards);
    let cards: Vec<_> = folders.iter().map(card).collect();

    // The keys of another, under a signature that is not of them.
    let mut forged: Card = content(&cards[1]);
    forged.key = folders[0].signing.verifying_key();
    let with = |signed: Bytes| {
        let mut cards = cards.clone();
        cards[1] = signed;
        propose(cards)
    };
    let error = with(folders[1].sign(&forged)).err().unwrap();
    assert!(
        matches!(error, SetupError::Signature { what: "card", .. }),
        "{error}"
    );

    // Keys of its own under the name of another: everybody would deal to them, and the one they are not of sees it.
    let dir = tempfile::tempdir().unwrap();
    let stranger = Folder::make(&settings(&dir, &["b"])[0]).unwrap();
    let proposed = with(card(&stranger)).unwrap();
    let error = deal(&proposed, &folders[1]).unwrap_err();
    assert!(matches!(error, SetupError::NotOwnCard { .. }), "{error}");

    let mut elsewhere: Card = content(&cards[1]);
    elsewhere.deployment = "elsewhere".parse().unwrap();
    let error = with(folders[1].sign(&elsewhere)).err().unwrap();
    assert!(matches!(error, SetupError::Deployment { .. }), "{error}");

    let error = with(cards[0].clone()).err().unwrap();
    assert!(matches!(error, SetupError::CardTwice { .. }), "{error}");
    let error = propose(cards[..1].to_vec()).err().unwrap();
    assert!(matches!(error, SetupError::Unreadable { .. }), "{error}");
}

#[test]
fn a_deal_is_of_its_holder_for_one_proposal_and_there_once() {
    let mut group = group();
    group.deals[0] = {
        let later = Some(WindowStart(1_800));
        let cards = group.folders.iter().map(card).collect();
        let other = propose(&group.folders[0].deployment, wanted(later), None, cards).unwrap();
        deal(&other, &group.folders[0]).unwrap()
    };
    let error = refused(&group);
    assert!(matches!(error, SetupError::OtherProposal { .. }), "{error}");

    let content: Deal = content(&super::group().deals[0]);
    group.deals[0] = group.folders[2].sign(&content);
    let error = refused(&group);
    assert!(
        matches!(error, SetupError::Signature { what: "deal", .. }),
        "{error}"
    );

    group.deals[0] = group.deals[1].clone();
    let error = refused(&group);
    assert!(
        matches!(error, SetupError::Twice { what: "deal", .. }),
        "{error}"
    );
    group.deals.remove(0);
    let error = refused(&group);
    assert!(
        matches!(error, SetupError::Missing { what: "deal", .. }),
        "{error}"
    );
}

#[test]
fn streams_are_dealt_once_by_the_first_that_has_them_and_to_all_that_do() {
    // `a` deals all streams but its own, which is for `b`.
    let error = changed_deal(0, |deal| {
        deal.keys.pop();
    });
    assert!(
        matches!(&error, SetupError::StreamMissing { absent, .. } if absent == "d"),
        "{error}"
    );
    let error = changed_deal(1, |deal| deal.keys.clear());
    assert!(
        matches!(&error, SetupError::StreamMissing { absent, .. } if absent == "a"),
        "{error}"
    );
    let error = changed_deal(0, |deal| deal.keys[1] = deal.keys[0].clone());
    assert!(
        matches!(error, SetupError::Unreadable { what: "a deal", .. }),
        "{error}"
    );
    let error = changed_deal(0, |deal| deal.keys[1].key = deal.keys[0].key);
    assert!(matches!(error, SetupError::Unreadable { .. }), "{error}");
    for absent in [HolderSet::of([2]), HolderSet::of([0, 1]), HolderSet::of([])] {
        let error = changed_deal(1, |deal| deal.keys[0].absent = absent);
        assert!(matches!(error, SetupError::WrongDealer { .. }), "{error}");
    }
    let error = changed_deal(0, |deal| {
        deal.keys[0].wrapped.pop();
    });
    assert!(
        matches!(error, SetupError::WrongReceivers { .. }),
        "{error}"
    );
}

#[test]
fn a_secret_that_is_swapped_changed_or_not_of_its_stream_is_refused() {
    let swapped_between_holders = changed_deal(0, |deal| {
        // Of the stream without `d`: for `b` what is for `c`.
        deal.keys[2].wrapped[1].1 = deal.keys[2].wrapped[2].1.clone();
    });
    let swapped_between_streams = changed_deal(0, |deal| {
        deal.keys[2].wrapped[1].1 = deal.keys[1].wrapped[1].1.clone();
    });
    let changed = changed_deal(0, |deal| {
        let wrapped = &mut deal.keys[2].wrapped[1].1;
        let mut bytes = wrapped.to_vec();
        bytes[40] ^= 1;
        *wrapped = bytes.into();
    });
    let of_another_key = changed_deal(0, |deal| {
        deal.keys[2].key = MaskKey(crate::keys::generate().unwrap().public());
    });
    for error in [
        swapped_between_holders,
        swapped_between_streams,
        changed,
        of_another_key,
    ] {
        assert!(matches!(error, SetupError::WrongSecret { .. }), "{error}");
        assert!(error.to_string().contains("that a dealt"), "{error}");
    }
}

#[test]
fn an_acceptance_is_for_its_terms_and_of_its_holder() {
    let group = group();
    let dealt = group.dealt();
    let other = super::group();
    let accepted = |folder| accept(&group.proposed, &dealt, folder).unwrap();
    let mut acceptances: Vec<_> = group.folders.iter().map(accepted).collect();
    let refused =
        |acceptances: &[Bytes]| assemble(&group.proposed, &dealt, acceptances, &[]).unwrap_err();
    let mut content: wire::Acceptance = content(&acceptances[0]);
    let kept = std::mem::replace(&mut acceptances[0], other.folders[0].sign(&content));
    let error = refused(&acceptances);
    assert!(matches!(error, SetupError::Agreement(_)), "{error}");
    content.terms.0[0] ^= 1;
    acceptances[0] = group.folders[0].sign(&content);
    let error = refused(&acceptances);
    assert!(matches!(error, SetupError::OtherTerms { .. }), "{error}");
    content.holder = "e".parse().unwrap();
    acceptances[0] = group.folders[0].sign(&content);
    let error = refused(&acceptances);
    assert!(matches!(error, SetupError::NotProposed { .. }), "{error}");
    acceptances[0] = kept;
    let agreement = assemble(&group.proposed, &dealt, &acceptances, &[]).unwrap();
    let bytes = agreement.to_bytes();
    assert_eq!(Agreement::from_bytes(&bytes), Ok(agreement));
}
