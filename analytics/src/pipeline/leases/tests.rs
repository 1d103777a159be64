//! Turns that are told to stop, and turns that fail.

use super::*;
use crate::ownership::{Member, SharedMemory};

const TERMS: Terms = Terms {
    shards: 4,
    ttl: Duration::from_secs(10),
};
/// The turns between are those that somebody is told of.
const EVERY: Duration = Duration::from_secs(3600);

struct Panicking;

impl Leases for Panicking {
    fn turn(&mut self, _: &Terms) -> Result<Vec<Lease>, StoreError> {
        panic!("a bug");
    }

    fn give_up(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn leases(shared: &SharedMemory, id: &str) -> Box<dyn Leases> {
    Box::new(shared.leases(Member {
        id: id.parse().unwrap(),
        run: 1,
    }))
}

/// Says whether the process can work, and waits for the turn.
async fn take_part(sharing: &mut Option<Sharing>, can_work: bool) -> usize {
    Sharing::take_part(sharing, can_work);
    loop {
        Sharing::turned(sharing).await.unwrap();
        let turns = &sharing.as_ref().unwrap().turns;
        let held = turns.last().unwrap().leases.len();
        if (held > 0) == can_work {
            return held;
        }
    }
}

#[tokio::test]
async fn whoever_cannot_work_has_no_leases_and_is_not_counted() {
    let shared = SharedMemory::default();
    let mut other = leases(&shared, "other");
    let turns = Turns::begin(leases(&shared, "one"), TERMS, EVERY);
    let mut sharing = Some(Sharing::new(turns));
    assert_eq!(take_part(&mut sharing, false).await, 0);
    assert_eq!(other.turn(&TERMS).unwrap().len(), 4);
    other.give_up().unwrap();
    assert_eq!(take_part(&mut sharing, true).await, 4);
    // The clock of the leases stands: none of them has ended.
    assert_eq!(take_part(&mut sharing, false).await, 0);
    assert_eq!(other.turn(&TERMS).unwrap().len(), 4);
    other.give_up().unwrap();
    assert_eq!(take_part(&mut sharing, true).await, 4);
    Sharing::close(sharing).await.unwrap();
    assert_eq!(other.turn(&TERMS).unwrap().len(), 4);
}

#[tokio::test]
async fn a_turn_that_panics_is_an_error_that_says_so() {
    let mut sharing = Some(Sharing::new(Turns::begin(
        Box::new(Panicking),
        TERMS,
        EVERY,
    )));
    Sharing::take_part(&mut sharing, true);
    let error = loop {
        if let Err(error) = Sharing::turned(&mut sharing).await {
            break error;
        }
    };
    assert!(matches!(error, AnalyticsError::Turns(_)));
    assert!(error.to_string().contains("leases"), "{error}");
}
