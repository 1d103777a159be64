//! Who has which streams, and one agreement after another.

use std::collections::BTreeSet;

use bytes::Bytes;
use wire::{
    Agreement, AgreementError, Closing, ContributorSet, Digest, HolderSet, KeyEpoch, Terms,
};

use super::super::agree::{accept, assemble, close};
use super::*;
use crate::ledger::{Consented, Entered, Keep, Ledger};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[test]
fn any_threshold_of_holders_have_all_streams_and_one_fewer_lack_one() {
    for n in 2..=5 {
        for threshold in 2..=n {
            let dir = tempfile::tempdir().unwrap();
            let settings = settings(&dir, &NAMES[..n]);
            let numbers = Numbers {
                threshold: threshold as u8,
                consents: n as u8,
            };
            let agreement = together(&settings, numbers, (FROM, None), None).unwrap();
            let digest = agreement.terms.digest();
            let has = |of: &Settings| {
                let mut parts = Folder::open(of).unwrap().parts().unwrap();
                let secrets = parts.remove(&digest).unwrap().secrets;
                let streams = secrets.into_iter().map(|(stream, _)| stream);
                streams.collect::<BTreeSet<_>>()
            };
            let has: Vec<_> = settings.iter().map(has).collect();
            let all = agreement.terms.streams.len();
            for size in 1..=n {
                for together in HolderSet::all_of(size, n) {
                    let union: BTreeSet<_> = together.iter().flat_map(|at| &has[at]).collect();
                    assert_eq!(union.len() == all, size >= threshold, "{threshold} of {n}");
                }
            }
        }
    }
}

/// The first agreement of four holders, and a second one after it that three of them would close: `d` is lost, `e` new.
struct Second {
    dir: TempDir,
    first: Terms,
    proposed: Proposed,
    dealt: Dealt,
    acceptances: Vec<Bytes>,
}

const LATER: WindowStart = WindowStart(1_800);

impl Second {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let first = together(&settings(&dir, &NAMES[..4]), TWO, (FROM, None), None).unwrap();
        let of_second = settings(&dir, &["a", "b", "c", "e"]);
        let made = of_second.iter().map(|of| Folder::make(of).unwrap());
        let folders: Vec<_> = made.collect();
        let (proposed, dealt) = proposal(&folders, LATER, &first.terms);
        let accepted = |folder| accept(&proposed, &dealt, folder).unwrap();
        let acceptances = folders.iter().map(accepted).collect();
        Self {
            first: first.terms,
            dir,
            proposed,
            dealt,
            acceptances,
        }
    }

    fn folder(&self, name: &str) -> Folder {
        Folder::open(&settings(&self.dir, &[name])[0]).unwrap()
    }

    fn close(&self, name: &str) -> Result<Bytes, SetupError> {
        close(&self.dealt, &self.acceptances, &self.folder(name))
    }

    fn assemble(&self, closings: &[Bytes]) -> Result<Agreement, SetupError> {
        assemble(&self.proposed, &self.dealt, &self.acceptances, closings)
    }
}

fn proposal(folders: &[Folder], from: WindowStart, after: &Terms) -> (Proposed, Dealt) {
    let cards = folders.iter().map(card).collect();
    let deployment = &folders[0].deployment;
    let proposed = propose(deployment, wanted(Some(from)), Some(after.clone()), cards).unwrap();
    let deals = folders
        .iter()
        .map(|folder| deal(&proposed, folder).unwrap());
    let dealt = proposed.collect(&deals.collect::<Vec<_>>()).unwrap();
    (proposed, dealt)
}

#[test]
fn a_holder_that_is_lost_is_replaced_once_enough_of_the_others_closed() {
    let second = Second::new();
    let mut closings: Vec<_> = ["a", "b"].map(|name| second.close(name).unwrap()).into();
    let error = second.assemble(&closings).unwrap_err();
    let few = AgreementError::NotClosed {
        generation: 2,
        found: 2,
        needed: 3,
    };
    assert!(
        matches!(&error, SetupError::Agreement(error) if *error == few),
        "{error}"
    );
    closings.push(second.close("c").unwrap());
    let agreement = second.assemble(&closings).unwrap();
    assert_eq!(agreement.terms.generation, 2);
    assert_eq!(
        second.close("c").unwrap(),
        closings[2],
        "again, for who lost the file"
    );

    let parts = second.folder("a").parts().unwrap();
    assert_eq!(parts.len(), 2, "the streams of both are needed");
    let closed = parts[&second.first.digest()].closed.unwrap();
    assert_eq!(
        (closed.from, closed.next),
        (LATER, agreement.terms.digest())
    );
    assert_eq!(parts[&agreement.terms.digest()].closed, None);
    let error = second.close("e").unwrap_err();
    assert!(matches!(error, SetupError::NotBefore), "{error}");

    let deployment = &second.folder("a").deployment;
    let chain = agreement.verify(deployment, None).unwrap_err();
    assert!(matches!(chain, AgreementError::Chain { generation: 2 }));
    let replayed = agreement
        .verify(deployment, Some(&agreement.terms))
        .unwrap_err();
    assert!(matches!(replayed, AgreementError::Chain { generation: 2 }));
}

#[test]
fn who_closed_an_agreement_helps_no_other_to_follow_it() {
    let second = Second::new();
    for name in ["a", "b", "c"] {
        second.close(name).unwrap();
    }
    let folders = ["a", "b", "c"].map(|name| second.folder(name));
    for from in [LATER, WindowStart(2_700)] {
        let (proposed, dealt) = proposal(&folders, from, &second.first);
        let error = accept(&proposed, &dealt, &folders[0]).unwrap_err();
        assert!(matches!(error, SetupError::ClosedForOther), "{error}");
    }
    // One that accepted the other before it closed.
    let dir = tempfile::tempdir().unwrap();
    let first = together(&settings(&dir, &NAMES[..4]), TWO, (FROM, None), None).unwrap();
    let opened = settings(&dir, &NAMES[..4]);
    let folders: Vec<_> = opened.iter().map(|of| Folder::open(of).unwrap()).collect();
    let two = [LATER, WindowStart(2_700)].map(|from| proposal(&folders, from, &first.terms));
    let [one, other] = two.map(|(proposed, dealt)| {
        let accepted = |folder| accept(&proposed, &dealt, folder).unwrap();
        let acceptances: Vec<_> = folders.iter().map(accepted).collect();
        (dealt, acceptances)
    });
    close(&one.0, &one.1, &folders[0]).unwrap();
    let error = close(&other.0, &other.1, &folders[0]).unwrap_err();
    assert!(matches!(error, SetupError::ClosedForOther), "{error}");
}

#[test]
fn nobody_closes_for_terms_that_not_all_their_holders_accepted() {
    let second = Second::new();
    let a = second.folder("a");
    let error = close(&second.dealt, &second.acceptances[..3], &a).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("holder e did not sign agreement 2"),
        "{error}"
    );
    assert_eq!(a.parts().unwrap()[&second.first.digest()].closed, None);
    let group = group();
    let error = close(&group.dealt(), &[], &group.folders[0]).unwrap_err();
    assert!(matches!(error, SetupError::NothingBefore), "{error}");
}

#[test]
fn a_holder_that_runs_or_has_answered_for_a_later_window_does_not_close() {
    let second = Second::new();
    let a = second.folder("a");
    Ledger::make(a.path()).unwrap();
    let mut ledger = Ledger::open(a.path()).unwrap();
    let consented = |terms: &Terms| Consented {
        content: Digest([1; 32]),
        epoch: KeyEpoch(1),
        is_part: false,
        subject: Digest([2; 32]),
        terms: terms.digest(),
        set: ContributorSet::from_numbers([0, 1]).unwrap(),
    };
    let feeder = "feeder-1".parse().unwrap();
    let consent = |ledger: &mut Ledger, window, terms: &Terms| {
        let entered = Entered {
            window,
            shares: vec![(&feeder, consented(terms))],
            signed: &Bytes::new(),
            ciphertext: Digest([6; 32]),
            is_audited: false,
            charge: None,
        };
        let keep = Keep {
            consents_s: 86_400,
            sums_s: 86_400,
        };
        ledger.consent(&entered, keep).unwrap();
    };
    // Before the first window of the later terms, or under those.
    consent(&mut ledger, FROM, &second.first);
    consent(&mut ledger, LATER, &second.dealt.terms);
    let error = second.close("a").unwrap_err();
    assert!(error.to_string().contains("stop that first"), "{error}");
    drop(ledger);
    second.close("a").unwrap();

    Ledger::make(second.folder("b").path()).unwrap();
    let mut ledger = Ledger::open(second.folder("b").path()).unwrap();
    consent(&mut ledger, LATER, &second.first);
    drop(ledger);
    let error = second.close("b").unwrap_err();
    assert!(
        matches!(error, SetupError::Answered { from: LATER }),
        "{error}"
    );
    let parts = second.folder("b").parts().unwrap();
    assert_eq!(parts[&second.first.digest()].closed, None);
}

#[test]
fn a_closing_is_for_its_terms_and_first_window() {
    let second = Second::new();
    let closing = Closing {
        terms: second.dealt.terms.digest(),
        previous: second.first.digest(),
        from: LATER,
        holder: "a".parse().unwrap(),
    };
    let wrong = [
        Closing {
            from: WindowStart(2_700),
            ..closing.clone()
        },
        Closing {
            terms: second.first.digest(),
            ..closing.clone()
        },
        Closing {
            previous: closing.terms,
            ..closing.clone()
        },
    ];
    for wrong in wrong {
        let error = second
            .assemble(&[second.folder("a").sign(&wrong)])
            .unwrap_err();
        assert!(
            matches!(
                error,
                SetupError::OtherTerms {
                    what: "closing",
                    ..
                }
            ),
            "{error}"
        );
    }
    // Another than the holder signs it, and who is none of those before.
    let error = second
        .assemble(&[second.folder("b").sign(&closing)])
        .unwrap_err();
    assert!(matches!(error, SetupError::Agreement(_)), "{error}");
    let stranger = Closing {
        holder: "e".parse().unwrap(),
        ..closing
    };
    let error = second
        .assemble(&[second.folder("e").sign(&stranger)])
        .unwrap_err();
    assert!(matches!(error, SetupError::NotProposed { .. }), "{error}");
}

#[test]
fn a_later_agreement_begins_later() {
    let second = Second::new();
    let folders = ["a", "b", "c"].map(|name| second.folder(name));
    let cards = || folders.iter().map(card).collect();
    let deployment = &folders[0].deployment;
    let propose = |from| {
        propose(
            deployment,
            wanted(from),
            Some(second.first.clone()),
            cards(),
        )
    };
    let error = propose(Some(FROM)).err().unwrap();
    assert!(matches!(error, SetupError::FromNotLater { .. }), "{error}");
    let error = propose(None).err().unwrap();
    assert!(matches!(error, SetupError::FromMissing), "{error}");
}
