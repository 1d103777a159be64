use wire::{RosterEntry, VerifyingKey};

use super::*;
use crate::ledger::Ledger;
use crate::roster::OwnRoster;
use crate::testing::{self, entry};

fn page(version: u64, meters: &[u32]) -> RosterPage {
    let entries = meters.iter().map(|number| RosterEntry {
        key: VerifyingKey::from_bytes([*number as u8; 32]),
        ..entry(&format!("meter-{number}"), "feeder-1", *number, [9; 32])
    });
    testing::page(version, entries)
}

#[test]
fn a_page_waits_until_a_person_approves_just_what_was_shown_and_so_does_one_that_a_meter_left() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    Ledger::make(folder).unwrap();
    let mut ledger = Ledger::open(folder).unwrap();
    let mut roster = OwnRoster::open(&ledger).unwrap();
    let mut decide = |page: &RosterPage| {
        let change = roster.compare(page, page.version).unwrap();
        assert!(!change.is_known());
        let is_approved = is_approved(folder, page, &change);
        if is_approved {
            roster.take(change, &mut ledger).unwrap();
        }
        is_approved
    };
    let first = page(1, &[1, 2, 3]);
    assert!(!decide(&first));
    let shown = show(&waiting(folder).unwrap()).unwrap();
    assert!(
        shown.contains("new: 3 meters of gateway gateway-1 on feeder-1: meter-1 (10000 W, keys "),
        "{shown}"
    );
    let digest = first.entries_digest();
    assert!(
        shown.contains(&format!("holder approve {digest}")),
        "{shown}"
    );

    // One more is another page.
    let more = page(1, &[1, 2, 3, 4]);
    approve(folder, digest).unwrap();
    assert!(!decide(&more));
    assert!(matches!(
        approve(folder, digest),
        Err(ApprovalError::Unknown(_))
    ));
    assert!(decide(&first));

    let without = page(2, &[1, 3]);
    assert!(!decide(&without));
    let shown = show(&waiting(folder).unwrap()).unwrap();
    assert!(shown.contains("gone: meter-2"), "{shown}");
    approve(folder, without.entries_digest()).unwrap();
    assert!(decide(&without));
    let back = page(3, &[1, 2, 3]);
    assert!(!decide(&back));
    assert!(
        show(&waiting(folder).unwrap())
            .unwrap()
            .contains("back: meter-2")
    );
}
