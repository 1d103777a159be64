use privacy::Spent;
use wire::FeederId;

use super::*;
use crate::testing::{FEEDERS, World};

const DAY: u64 = 86_400;

fn feeder(name: &str) -> FeederId {
    name.parse().unwrap()
}

fn consented(content: u8, numbers: std::ops::Range<u32>) -> Consented {
    Consented {
        content: Digest([content; 32]),
        epoch: KeyEpoch(1),
        is_part: false,
        subject: Digest([9; 32]),
        terms: Digest([8; 32]),
        set: ContributorSet::from_numbers(numbers).unwrap(),
    }
}

fn consent(ledger: &mut Ledger, day: u64, feeder: &FeederId, what: &Consented) {
    enter(ledger, day, (feeder, what), false);
}

fn enter(ledger: &mut Ledger, day: u64, share: (&FeederId, &Consented), is_audited: bool) {
    let entered = Entered {
        window: WindowStart(day * DAY),
        shares: vec![(share.0, share.1.clone())],
        signed: &Bytes::from(vec![share.1.content.0[0]; 3]),
        ciphertext: Digest([6; 32]),
        is_audited,
        charge: None,
    };
    let keep = Keep {
        consents_s: 10 * DAY,
        sums_s: 2 * DAY,
    };
    ledger.consent(&entered, keep).unwrap();
}

#[test]
fn what_is_to_be_audited_stays_until_it_was_and_other_sums_for_as_long_as_is_said() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(ledger.any_sum(7).unwrap(), None);
    let (a, b) = (feeder("a"), feeder("b"));
    let what = [consented(1, 0..3), consented(2, 0..3), consented(3, 3..6)];
    enter(&mut ledger, 100, (&a, &what[0]), true);
    enter(&mut ledger, 100, (&b, &what[1]), false);
    enter(&mut ledger, 102, (&a, &what[2]), false);
    let contents = |sums: Vec<KeptSum>| -> Vec<u8> {
        let all = sums.iter();
        all.map(|sum| {
            assert_eq!(&sum.signed[..], [sum.key.content.0[0]; 3]);
            sum.signed[0]
        })
        .collect()
    };
    let of = |ledger: &Ledger, day: u64| contents(ledger.sums_of(WindowStart(day * DAY)).unwrap());
    assert_eq!((of(&ledger, 100), of(&ledger, 102)), (vec![1, 2], vec![3]));
    enter(&mut ledger, 103, (&b, &what[1]), false);
    assert_eq!(of(&ledger, 100), [1], "it is still to be audited");
    drop(ledger);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let [first] = &ledger.to_audit().unwrap()[..] else {
        panic!("one")
    };
    ledger.audit(first, true).unwrap();
    assert_eq!(ledger.to_audit().unwrap(), []);
    let other = &ledger.sums_of(WindowStart(102 * DAY)).unwrap()[0];
    ledger.audit(&other.key, false).unwrap();
    let to_audit = ledger.to_audit().unwrap();
    let sums = to_audit.iter();
    let sums = sums.filter_map(|key| ledger.sum(key).unwrap()).collect();
    assert_eq!(contents(sums), [3]);
    let mut drawn: Vec<_> = (0..3)
        .flat_map(|drawn| contents(ledger.any_sum(drawn).unwrap().into_iter().collect()))
        .collect();
    drawn.sort_unstable();
    assert_eq!(drawn, [1, 2, 3]);
    enter(&mut ledger, 104, (&a, &what[0]), false);
    assert_eq!((of(&ledger, 100), of(&ledger, 102)), (vec![], vec![3]));
}

#[test]
fn a_ledger_of_format_1_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let (a, what) = (feeder("a"), consented(1, 0..3));
    consent(&mut ledger, 100, &a, &what);
    let changes = ledger.database.begin_write().unwrap();
    changes.delete_table(PAGES).unwrap();
    changes.delete_table(SUMS).unwrap();
    changes.delete_table(CIPHERTEXTS).unwrap();
    changes.delete_table(GIVEN).unwrap();
    let mut meta = changes.open_table(META).unwrap();
    meta.insert("format", "1").unwrap();
    drop(meta);
    changes.commit().unwrap();
    drop(ledger);
    let mut ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(ledger.window(&a, WindowStart(100 * DAY)).unwrap(), [what]);
    assert!(ledger.page_versions().unwrap().is_empty());
    assert_eq!(ledger.newest_given().unwrap(), []);
    let view = ledger.database.begin_read().unwrap();
    assert!(view.open_table(GIVEN).is_ok(), "it has every table");
    consent(&mut ledger, 101, &a, &consented(2, 0..3));
    assert_eq!(ledger.sums_of(WindowStart(101 * DAY)).unwrap().len(), 1);
}

/// It had the ciphertexts of sums that it still had as they were signed.
#[test]
fn a_ledger_of_format_2_is_taken_over_with_the_ciphertexts_of_its_sums() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let world = World::new((2, 2, 2), 3);
    let sum = world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    let signed = world.ask(wire::Step::Consent, &sum).sum;
    let what = consented(1, 0..3);
    let entered = Entered {
        window: sum.window,
        shares: vec![(&sum.feeder, what.clone())],
        signed: &signed,
        ciphertext: Digest([6; 32]),
        is_audited: false,
        charge: None,
    };
    let keep = Keep {
        consents_s: 10 * DAY,
        sums_s: DAY,
    };
    ledger.consent(&entered, keep).unwrap();
    let changes = ledger.database.begin_write().unwrap();
    changes.delete_table(CIPHERTEXTS).unwrap();
    let mut meta = changes.open_table(META).unwrap();
    meta.insert("format", "2").unwrap();
    drop(meta);
    changes.commit().unwrap();
    drop(ledger);
    let ledger = Ledger::open(dir.path()).unwrap();
    let of = |content| ledger.ciphertext(sum.window, &content).unwrap();
    assert_eq!(of(what.content), Some(Digest([5; 32])), "as it is signed");
    assert_eq!(of(Digest([2; 32])), None);
}

#[test]
fn what_was_consented_to_is_there_after_a_restart_feeder_by_feeder_and_window_by_window() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let (a, b) = (feeder("a"), feeder("a-1"));
    let (first, second) = (consented(0xff, 0..3), consented(0, 5..9));
    consent(&mut ledger, 100, &a, &first);
    consent(&mut ledger, 100, &a, &second);
    consent(&mut ledger, 101, &b, &first);
    drop(ledger);
    Ledger::make(dir.path()).unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let of = |feeder: &FeederId, day| ledger.window(feeder, WindowStart(day * DAY)).unwrap();
    assert_eq!(of(&a, 100), [second, first.clone()]);
    assert_eq!(of(&b, 100), []);
    assert_eq!(of(&a, 101), []);
    assert_eq!(of(&b, 101), [first]);
}

#[test]
fn a_window_that_was_forgotten_is_remembered_to_have_been() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let a = feeder("a");
    let what = consented(1, 0..3);
    consent(&mut ledger, 100, &a, &what);
    consent(&mut ledger, 110, &a, &what);
    assert_eq!(ledger.first_window().unwrap(), WindowStart(100 * DAY));
    assert_eq!(ledger.window(&a, WindowStart(100 * DAY)).unwrap().len(), 1);
    consent(&mut ledger, 111, &a, &what);
    // An older window moves nothing back.
    consent(&mut ledger, 105, &a, &what);
    drop(ledger);
    Ledger::make(dir.path()).unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    assert_eq!(ledger.first_window().unwrap(), WindowStart(101 * DAY));
    assert_eq!(ledger.window(&a, WindowStart(100 * DAY)).unwrap(), []);
    assert_eq!(ledger.window(&a, WindowStart(105 * DAY)).unwrap().len(), 1);
}

#[test]
fn whoever_consented_from_a_window_on_cannot_say_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let terms = Digest([8; 32]);
    let has = |ledger: &Ledger, terms: &Digest, day: u64| {
        let from = WindowStart(day * DAY);
        ledger.has_consented_from(terms, from).unwrap()
    };
    assert!(!has(&ledger, &terms, 0));
    consent(&mut ledger, 100, &feeder("a"), &consented(1, 0..3));
    assert!(has(&ledger, &terms, 100));
    assert!(!has(&ledger, &terms, 101));
    assert!(!has(&ledger, &Digest([7; 32]), 100), "of other terms");
    assert!(
        has(&ledger, &terms, 89),
        "what was forgotten may have been of these"
    );
}

#[test]
fn a_ledger_is_one_process_and_of_this_version() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let error = Ledger::open(dir.path()).unwrap_err();
    assert!(
        matches!(
            error,
            LedgerError::Store {
                source: Fault::InUse,
                ..
            }
        ),
        "{error:?}"
    );
    let changes = ledger.database.begin_write().unwrap();
    changes
        .open_table(META)
        .unwrap()
        .insert("format", "9")
        .unwrap();
    changes.commit().unwrap();
    drop(ledger);
    let error = Ledger::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("format \"9\""), "{error}");
}

/// A new one would not know what was consented to, and consent to it again.
#[test]
fn a_ledger_that_is_lost_is_not_made_again() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    drop(Ledger::open(dir.path()).unwrap());
    std::fs::remove_file(dir.path().join(FILE)).unwrap();
    let error = Ledger::open(dir.path()).unwrap_err();
    assert!(matches!(error, LedgerError::Lost { .. }), "{error}");
}

#[test]
fn what_a_period_gave_away_counts_as_long_as_one_of_its_windows_is_answered_for() {
    let dir = tempfile::tempdir().unwrap();
    Ledger::make(dir.path()).unwrap();
    let mut ledger = Ledger::open(dir.path()).unwrap();
    let (a, signed) = (feeder("a"), Bytes::new());
    let period = |day: u64| day / 10 * 10 * DAY..(day / 10 + 1) * 10 * DAY;
    let cost = Spent { epsilon: 7, rho: 0 };
    let mut consent = |day: u64| {
        let entered = Entered {
            window: WindowStart(day * DAY),
            shares: vec![(&a, consented(day as u8, 0..3))],
            signed: &signed,
            ciphertext: Digest([6; 32]),
            is_audited: false,
            charge: Some(Charge {
                cost,
                period: period(day),
            }),
        };
        let keep = Keep {
            consents_s: 10 * DAY,
            sums_s: DAY,
        };
        ledger.consent(&entered, keep).unwrap();
        let given = ledger.given_away(&a, &period(100), WindowStart(109 * DAY));
        given.unwrap().epsilon
    };
    assert_eq!((consent(100), consent(103)), (7, 14));
    // Windows from day 104 on are still answered for, and of one period with these.
    assert_eq!(consent(114), 14);
    assert_eq!(consent(121), 0);
}
