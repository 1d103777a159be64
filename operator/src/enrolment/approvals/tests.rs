use super::desk::MAX_SENDER_PARTS;
use super::*;
use crate::enrolment::message::tests::{analytics, deployment, gateway, signing, topics};
use std::time::{Duration, SystemTime};

const LIMITS: DeskLimits = DeskLimits {
    requests: 4,
    max_age: Duration::from_secs(60),
};

fn approvals() -> (tempfile::TempDir, Approvals) {
    let dir = tempfile::tempdir().unwrap();
    let approvals = Approvals::new(dir.path());
    (dir, approvals)
}

/// The message of a request of the sender with this key.
fn message(request: &EnrolmentRequest, seed: u8) -> Vec<u8> {
    let topic = EnrolmentRequest::topic(&topics(), request.kind(), request.id()).unwrap();
    let key = signing(seed);
    match request {
        EnrolmentRequest::Gateway(request) => {
            wire::seal(request, None, &deployment(), &topic, &key).0
        }
        EnrolmentRequest::Analytics(request) => {
            wire::seal(request, None, &deployment(), &topic, &key).0
        }
    }
}

fn hold(
    approvals: &Approvals,
    request: &EnrolmentRequest,
    seed: u8,
) -> Result<bool, ApprovalError> {
    approvals.hold(request, &message(request, seed), &LIMITS)
}

fn from_gateway(name: &str, seed: u8, meters: &[(u8, &str, u64)]) -> EnrolmentRequest {
    EnrolmentRequest::Gateway(gateway(name, seed, meters))
}

fn from_analytics(seed: u8, feeders: &[&str]) -> EnrolmentRequest {
    EnrolmentRequest::Analytics(analytics("analytics-1", seed, feeders))
}

/// The digest of what waits of a sender.
fn digest(approvals: &Approvals, subject: &str) -> String {
    let requests = approvals.requests().unwrap();
    let found = requests.iter().find(|request| request.subject() == subject);
    found.unwrap().digest()
}

fn names(approvals: &Approvals) -> Vec<String> {
    let waiting = approvals.waiting().unwrap();
    waiting.into_iter().map(|held| held.id).collect()
}

#[test]
fn a_request_waits_is_approved_and_removed() {
    let (_dir, approvals) = approvals();
    let request = from_gateway("gateway-1", 1, &[(1, "feeder-1", 7_000)]);
    assert!(hold(&approvals, &request, 1).unwrap());
    assert!(
        !hold(&approvals, &request, 1).unwrap(),
        "the same request waits once"
    );
    assert!(approvals.approved().unwrap().is_empty());
    let shown = digest(&approvals, &Held::of(&request).subject());
    let held = approvals.approve("gateway-1", &shown).unwrap();
    assert_eq!(held, [Held::of(&request)]);
    assert!(approvals.waiting().unwrap().is_empty());
    let bytes = message(&request, 1);
    assert_eq!(
        approvals.approved().unwrap(),
        [(held[0].clone(), bytes.clone())]
    );
    approvals.remove_approved(&held[0], b"another").unwrap();
    assert_eq!(
        approvals.approved().unwrap().len(),
        1,
        "it was replaced meanwhile"
    );
    approvals.remove_approved(&held[0], &bytes).unwrap();
    assert!(approvals.approved().unwrap().is_empty());
    assert!(matches!(
        approvals.approve("gateway-1", &shown),
        Err(ApprovalError::Unknown { .. })
    ));
}

/// A gateway shows one meter to the person, and asks for 200 just before the command.
#[test]
fn a_request_that_changed_since_it_was_shown_is_not_approved() {
    let (_dir, approvals) = approvals();
    let request = from_gateway("gateway-1", 1, &[(1, "feeder-1", 7_000)]);
    hold(&approvals, &request, 1).unwrap();
    let shown = digest(&approvals, &Held::of(&request).subject());
    let more: Vec<_> = (1..100).map(|number| (number, "feeder-1", 7_000)).collect();
    let mut larger = gateway("gateway-1", 1, &more);
    larger.feeders = Vec::new();
    let mut coarser = gateway("gateway-1", 1, &[(1, "feeder-1", 7_000)]);
    coarser.feeders = vec![wire::EnrolFeeder {
        feeder: "feeder-1".parse().unwrap(),
        max_capacity: wire::CapacityClass::MAX,
        meters: 1,
    }];
    let mut other_mask = gateway("gateway-1", 1, &[(1, "feeder-1", 7_000)]);
    other_mask.meters[0].mask_key = wire::MaskKey([99; 32]);
    for changed in [larger, coarser, other_mask] {
        let changed = EnrolmentRequest::Gateway(changed);
        assert!(!hold(&approvals, &changed, 1).unwrap());
        assert!(matches!(
            approvals.approve("gateway-1", &shown),
            Err(ApprovalError::Changed { .. })
        ));
        assert_eq!(approvals.approved().unwrap(), []);
    }
    // The same at another time is the same.
    let mut later = gateway("gateway-1", 1, &[(1, "feeder-1", 7_000)]);
    later.issued_at = UnixMillis(99);
    hold(&approvals, &EnrolmentRequest::Gateway(later), 1).unwrap();
    assert_eq!(approvals.approve("gateway-1", &shown).unwrap().len(), 1);
}

/// A request to give a feeder up that waits while its sender is started again with the old list would else be
/// approved when the feeder has open windows.
#[test]
fn a_newer_message_replaces_an_older_one_whether_it_is_approved_or_not() {
    let (_dir, approvals) = approvals();
    let (shorter, longer) = (from_analytics(1, &["a"]), from_analytics(1, &["a", "b"]));
    let other_key = from_analytics(2, &["a"]);
    hold(&approvals, &other_key, 2).unwrap();
    hold(&approvals, &shorter, 1).unwrap();
    let subject = Held::of(&shorter).subject();
    approvals
        .approve(&subject, &digest(&approvals, &subject))
        .unwrap();
    // What is approved and asked for again still counts, and needs no second approval.
    assert!(!hold(&approvals, &shorter, 1).unwrap());
    assert_eq!(approvals.approved().unwrap().len(), 1);
    assert_eq!(approvals.waiting().unwrap().len(), 1);
    assert!(hold(&approvals, &longer, 1).unwrap());
    assert_eq!(approvals.approved().unwrap(), []);
    approvals
        .approve(&subject, &digest(&approvals, &subject))
        .unwrap();
    let approved = approvals.approved().unwrap();
    assert_eq!(approved, [(Held::of(&longer), message(&longer, 1))]);
    // The sender has what it wants by now.
    hold(&approvals, &shorter, 1).unwrap();
    assert!(approvals.forget(&longer).unwrap());
    assert!(!approvals.forget(&longer).unwrap());
    assert_eq!(approvals.approved().unwrap(), []);
    assert_eq!(approvals.waiting().unwrap(), [Held::of(&other_key)]);
}

#[test]
fn of_two_keys_for_one_name_the_digest_says_which() {
    let (_dir, approvals) = approvals();
    let (mine, theirs) = (from_analytics(1, &[]), from_analytics(2, &[]));
    hold(&approvals, &mine, 1).unwrap();
    hold(&approvals, &theirs, 2).unwrap();
    let held = Held::of(&mine);
    let shown = digest(&approvals, &held.subject());
    assert_eq!(approvals.approve("analytics-1", &shown).unwrap(), [held]);
    assert_eq!(approvals.waiting().unwrap(), [Held::of(&theirs)]);
}

#[test]
fn chunks_are_approved_together_and_strange_files_ignored() {
    let (dir, approvals) = approvals();
    let chunk = |chunk, chunks| {
        let mut request = gateway("gateway-1", 1, &[(chunk as u8, "feeder-1", 7_000)]);
        (request.chunk, request.chunks) = (chunk, chunks);
        EnrolmentRequest::Gateway(request)
    };
    for number in 0..3 {
        hold(&approvals, &chunk(number, 3), 1).unwrap();
    }
    std::fs::write(dir.path().join("pending/notes.txt"), "x").unwrap();
    let subject = Held::of(&chunk(0, 3)).subject();
    let all = digest(&approvals, &subject);
    assert_eq!(
        approvals.approve("gateway/gateway-1", &all).unwrap().len(),
        3
    );
    // Of a request that became shorter no part of the longer one stays.
    for number in 0..3 {
        hold(&approvals, &chunk(number, 3), 1).unwrap();
        remove(
            &approvals
                .approved
                .join(Held::of(&chunk(number, 3)).file_name()),
        )
        .unwrap();
    }
    for number in 0..3 {
        hold(&approvals, &chunk(number, 3), 1).unwrap();
    }
    hold(&approvals, &chunk(0, 1), 1).unwrap();
    assert_eq!(approvals.waiting().unwrap().len(), 1);
}

/// Whoever can publish can ask under any number of names.
#[test]
fn a_flood_of_names_does_not_keep_out_who_goes_on_asking() {
    let (dir, approvals) = approvals();
    let honest = from_gateway("honest", 1, &[(1, "feeder-1", 7_000)]);
    let services = from_analytics(7, &[]);
    hold(&approvals, &services, 7).unwrap();
    let ago = |name: &str, seconds: u64| {
        let request = from_gateway(name, 1, &[]);
        let path = dir
            .path()
            .join("pending")
            .join(Held::of(&request).file_name());
        let then = SystemTime::now() - Duration::from_secs(seconds);
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(then).unwrap();
    };
    hold(&approvals, &honest, 1).unwrap();
    for number in 0..20_u64 {
        let name = format!("stranger-{number}");
        assert!(hold(&approvals, &from_gateway(&name, 1, &[]), 1).unwrap());
        ago(&name, 20 - number);
        ago("honest", 1);
        hold(&approvals, &honest, 1).unwrap();
        let names = names(&approvals);
        assert!(names.contains(&"honest".to_owned()), "{number}: {names:?}");
        assert!(names.len() <= LIMITS.requests + 1, "{names:?}");
    }
    assert!(
        names(&approvals).contains(&"analytics-1".to_owned()),
        "they have a list of their own"
    );
    // Who has not asked for long leaves room.
    ago("stranger-19", 61);
    hold(&approvals, &from_gateway("new", 1, &[]), 1).unwrap();
    assert!(!names(&approvals).contains(&"stranger-19".to_owned()));
}

#[test]
fn one_sender_has_so_many_parts_and_no_more() {
    let (_dir, approvals) = approvals();
    let mut request = gateway("gateway-1", 1, &[]);
    (request.chunk, request.chunks) = (MAX_SENDER_PARTS, MAX_SENDER_PARTS + 1);
    let held = hold(&approvals, &EnrolmentRequest::Gateway(request), 1);
    assert!(
        matches!(held, Err(ApprovalError::TooLarge { .. })),
        "{held:?}"
    );
}
