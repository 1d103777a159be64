//! What is kept, what waits, and what a second question gets.

use wire::{ComparedSum, KeyEpoch};

use super::*;

const WINDOW: WindowStart = WindowStart(3_600);

fn place(feeder: &FeederId) -> (WindowStart, &FeederId, Part) {
    (WINDOW, feeder, Part(0))
}

fn comparison(feeders: &[&FeederId]) -> Comparison {
    let sum = |feeder: &&FeederId| ComparedSum {
        feeder: (*feeder).clone(),
        part: Part(0),
        digest: Digest([1; 32]),
    };
    Comparison {
        epoch: KeyEpoch(1),
        window: WINDOW,
        sums: feeders.iter().map(sum).collect(),
        intervals: vec![0],
        multiplier: 1,
        numbers: vec![7],
    }
}

/// A sum waits for its question, the comparison for its answer, and neither again after a restart.
#[test]
fn a_sum_is_asked_about_once_and_a_comparison_answered_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path()).unwrap();
    let [one, two] = ["feeder-1", "feeder-2"].map(|id| id.parse::<FeederId>().unwrap());
    let digest = Digest([1; 32]);
    for (feeder, kept) in [(&one, Kept::New), (&one, Kept::Known), (&two, Kept::New)] {
        let found = store.keep(place(feeder), (&digest, b"sum"), 2);
        assert_eq!(found.unwrap(), kept);
    }
    let other = store.keep(place(&one), (&Digest([2; 32]), b"another"), 9);
    assert_eq!(other.unwrap(), Kept::Other);
    let third = "feeder-3".parse().unwrap();
    let full = store.keep(place(&third), (&digest, b"sum"), 2);
    assert_eq!(full.unwrap(), Kept::Full);
    assert_eq!(store.unasked().unwrap().len(), 2);

    let asked = Digest([3; 32]);
    let rating = comparison(&[&one]);
    assert_eq!(store.ask(&rating, (&asked, b"ask")).unwrap(), Kept::New);
    assert_eq!(store.ask(&rating, (&asked, b"ask")).unwrap(), Kept::Known);
    let again = store.ask(&rating, (&Digest([4; 32]), b"another"));
    assert_eq!(again.unwrap(), Kept::Other);
    // One of several sums together is another question, and leaves the one about a rating open.
    let ranking = Digest([5; 32]);
    let ranked = store.ask(&comparison(&[&one, &two]), (&ranking, b"rank"));
    assert_eq!(ranked.unwrap(), Kept::New);
    assert_eq!(store.unasked().unwrap().len(), 1);
    assert_eq!(
        store.unanswered().unwrap(),
        ["ask", "rank"].map(Bytes::from)
    );
    assert!(!store.drop_sum(place(&one), &digest).unwrap());

    store.answered(WINDOW, &asked, b"bits").unwrap();
    drop(store);
    let mut store = Store::open(folder.path()).unwrap();
    assert_eq!(store.unanswered().unwrap(), [Bytes::from("rank")]);
    assert_eq!(store.answer(WINDOW, &asked).unwrap().unwrap(), "bits");
    assert_eq!(store.answer(WINDOW, &ranking).unwrap(), None);
    assert!(store.drop_sum(place(&two), &digest).unwrap());
    assert_eq!(store.unasked().unwrap().len(), 0);
    store.forget(WindowStart(7_200)).unwrap();
    assert_eq!(
        (store.sums().unwrap(), store.unanswered().unwrap().len()),
        (0, 0)
    );
}

#[test]
fn a_store_of_another_format_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let changes = store.database.begin_write().unwrap();
    changes
        .open_table(META)
        .unwrap()
        .insert("format", "2")
        .unwrap();
    changes.commit().unwrap();
    drop(store);
    let refused = Store::open(folder.path()).err().unwrap().to_string();
    assert!(
        refused.contains("of format \"2\", and this version has 1"),
        "{refused}"
    );

    // The first version's had no table for its format.
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let changes = store.database.begin_write().unwrap();
    changes.delete_table(META).unwrap();
    changes.commit().unwrap();
    drop(store);
    let refused = Store::open(folder.path()).err().unwrap().to_string();
    assert!(refused.contains("of format \"none\""), "{refused}");
}
