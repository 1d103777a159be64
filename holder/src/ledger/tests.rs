use wire::FeederId;

use super::*;

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
    let shares = [(feeder, what)].into_iter();
    let window = WindowStart(day * DAY);
    ledger.consent(window, shares, 10 * DAY, None).unwrap();
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
        .insert("format", "2")
        .unwrap();
    changes.commit().unwrap();
    drop(ledger);
    let error = Ledger::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("format \"2\""), "{error}");
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
