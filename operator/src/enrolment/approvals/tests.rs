use super::*;
use crate::enrolment::message::tests::{analytics, gateway};

fn approvals() -> (tempfile::TempDir, Approvals) {
    let dir = tempfile::tempdir().unwrap();
    let approvals = Approvals::new(dir.path());
    (dir, approvals)
}

#[test]
fn a_request_waits_is_approved_and_removed() {
    let (_dir, approvals) = approvals();
    let request = EnrolmentRequest::Gateway(gateway("gateway-1", 1, &[(1, "feeder-1", 7_000)]));
    assert!(approvals.hold(&request, b"message").unwrap());
    assert!(
        !approvals.hold(&request, b"message").unwrap(),
        "the same request waits once"
    );
    assert!(approvals.approved().unwrap().is_empty());
    let held = approvals.approve("gateway-1").unwrap();
    assert_eq!(held, [Held::of(&request)]);
    assert!(approvals.waiting().unwrap().is_empty());
    assert_eq!(
        approvals.approved().unwrap(),
        [(held[0].clone(), b"message".to_vec())]
    );
    approvals.remove_approved(&held[0], b"another").unwrap();
    assert_eq!(
        approvals.approved().unwrap().len(),
        1,
        "it was replaced meanwhile"
    );
    approvals.remove_approved(&held[0], b"message").unwrap();
    assert!(approvals.approved().unwrap().is_empty());
    assert!(matches!(
        approvals.approve("gateway-1"),
        Err(ApprovalError::Unknown { .. })
    ));
}

/// A request to give a feeder up that waits while its sender is started again with the old list would else be
/// approved when the feeder has open windows.
#[test]
fn a_newer_message_replaces_an_older_one_whether_it_is_approved_or_not() {
    let (_dir, approvals) = approvals();
    let shorter = EnrolmentRequest::Analytics(analytics("analytics-1", 1, &["a"]));
    let longer = EnrolmentRequest::Analytics(analytics("analytics-1", 1, &["a", "b"]));
    let other_key = EnrolmentRequest::Analytics(analytics("analytics-1", 2, &["a"]));
    approvals.hold(&other_key, b"other key").unwrap();
    approvals.hold(&shorter, b"shorter").unwrap();
    let subject = Held::of(&shorter).subject();
    approvals.approve(&subject).unwrap();
    // What is approved and asked for again still counts, and needs no second approval.
    assert!(!approvals.hold(&shorter, b"shorter").unwrap());
    assert_eq!(approvals.approved().unwrap().len(), 1);
    assert_eq!(approvals.waiting().unwrap().len(), 1);
    assert!(approvals.hold(&longer, b"longer").unwrap());
    assert_eq!(approvals.approved().unwrap(), []);
    approvals.approve(&subject).unwrap();
    let approved = approvals.approved().unwrap();
    assert_eq!(approved, [(Held::of(&longer), b"longer".to_vec())]);
    // The sender has what it wants by now.
    approvals.hold(&shorter, b"shorter").unwrap();
    assert!(approvals.forget(&longer).unwrap());
    assert!(!approvals.forget(&longer).unwrap());
    assert_eq!(approvals.approved().unwrap(), []);
    assert_eq!(approvals.waiting().unwrap(), [Held::of(&other_key)]);
}

#[test]
fn two_keys_for_one_name_need_the_key() {
    let (_dir, approvals) = approvals();
    let (mine, theirs) = (
        analytics("analytics-1", 1, &[]),
        analytics("analytics-1", 2, &[]),
    );
    approvals
        .hold(&EnrolmentRequest::Analytics(mine.clone()), b"mine")
        .unwrap();
    approvals
        .hold(&EnrolmentRequest::Analytics(theirs), b"theirs")
        .unwrap();
    assert!(matches!(
        approvals.approve("analytics-1"),
        Err(ApprovalError::Ambiguous { .. })
    ));
    let held = Held::of(&EnrolmentRequest::Analytics(mine));
    assert_eq!(approvals.approve(&held.subject()).unwrap(), [held]);
    assert_eq!(approvals.waiting().unwrap().len(), 1);
}

#[test]
fn chunks_are_approved_together_and_strange_files_ignored() {
    let (dir, approvals) = approvals();
    for chunk in 0..3 {
        let mut request = gateway("gateway-1", 1, &[]);
        (request.chunk, request.chunks) = (chunk, 3);
        approvals
            .hold(&EnrolmentRequest::Gateway(request), &[chunk as u8])
            .unwrap();
    }
    std::fs::write(dir.path().join("pending/notes.txt"), "x").unwrap();
    assert_eq!(approvals.approve("gateway/gateway-1").unwrap().len(), 3);
}

#[test]
fn only_so_many_wait() {
    let (_dir, approvals) = approvals();
    for chunk in 0..=MAX_PENDING as u32 {
        let mut request = gateway("gateway-1", 1, &[]);
        (request.chunk, request.chunks) = (chunk, u32::MAX);
        let held = approvals.hold(&EnrolmentRequest::Gateway(request), b"x");
        assert_eq!(held.is_ok(), chunk < MAX_PENDING as u32, "{chunk}");
    }
}
