//! What gateways are told of the parts that their reports are in, and until when they are asked for them again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod scene;

use std::collections::BTreeMap;

use scene::{IDLE_MS, METERS, Said, Scene, ToBoth};
use wire::{Part, Reason, SettlementOutcome as Outcome, Status, SumStatus};

fn parts<const N: usize>(parts: [(u16, Outcome); N]) -> ToBoth {
    [(), ()].map(|()| Said {
        reports: BTreeMap::new(),
        parts: BTreeMap::from(parts),
    })
}

#[test]
fn each_gateway_hears_once_of_a_part_that_the_operator_took_or_refused() {
    for (status, outcome) in [
        (SumStatus::Taken, Outcome::Released),
        (SumStatus::Duplicate, Outcome::Released),
        (SumStatus::Rejected(Reason::AlreadyOpened), Outcome::Refused),
    ] {
        let mut scene = Scene::new();
        let release = scene.release();
        assert!(release.message.set.iter().eq(0..METERS));
        assert_eq!(release.message.replaces, None);
        assert_eq!(scene.settle(&release, status), parts([(0, outcome)]));
        assert_eq!(scene.settle(&release, status), parts([]));
    }
    // What passes settles nothing.
    let mut scene = Scene::new();
    let release = scene.release();
    for reason in [Reason::NotReady, Reason::KeySpent, Reason::ReportTooEarly] {
        assert_eq!(
            scene.settle(&release, SumStatus::Rejected(reason)),
            parts([])
        );
    }
    assert_eq!(
        scene.settle(&release, SumStatus::Taken),
        parts([(0, Outcome::Released)])
    );
}

#[test]
fn a_gateway_that_missed_it_hears_of_it_again_when_its_report_comes_again() {
    for (status, outcome) in [
        (SumStatus::Taken, Outcome::Released),
        (SumStatus::Rejected(Reason::NotOpened), Outcome::Refused),
    ] {
        let mut scene = Scene::new();
        let release = scene.release();
        let again = |scene: &mut Scene| {
            let effects = scene.receive([3]);
            scene.said(&effects.outgoing)
        };
        let duplicate = || BTreeMap::from([(3, (Status::Duplicate, 0))]);
        let mut expected = ToBoth::default();
        expected[1].reports = duplicate();
        assert_eq!(again(&mut scene), expected, "not settled");
        scene.settle(&release, status);
        expected[1].parts.insert(0, outcome);
        assert_eq!(again(&mut scene), expected);
        scene.restart();
        assert_eq!(again(&mut scene), expected, "after a restart");
    }
}

#[test]
fn what_became_of_a_part_is_said_after_what_is_in_it_however_many_messages_that_takes() {
    let mut scene = Scene::new();
    let release = scene.release();
    scene.settle(&release, SumStatus::Taken);
    let effects = scene.receive(0..METERS);
    // Each holds two reports.
    assert_eq!(effects.outgoing.len(), 2 + 2);
    let said = scene.said(&effects.outgoing);
    assert_eq!(said.each_ref().map(|said| said.reports.len()), [4, 3]);
    let settled = BTreeMap::from([(0, Outcome::Released)]);
    assert!(said.iter().all(|said| said.parts == settled));
}

/// The meters of the two parts that the release is divided into: three and four.
fn groups() -> [Vec<u32>; 2] {
    let mut scene = Scene::new();
    let release = scene.release();
    scene.settle(&release, SumStatus::Divide);
    let effects = scene.receive(0..METERS);
    let mut releases = scene.releases(&effects.outgoing);
    releases.sort_by_key(|release| release.message.part);
    let groups = releases
        .iter()
        .map(|release| release.message.set.iter().collect());
    groups.collect::<Vec<_>>().try_into().unwrap()
}

/// What gateways are told of a part that only these meters are in.
fn of(meters: &[u32], part: u16, outcome: Outcome) -> ToBoth {
    let mut said = ToBoth::default();
    for meter in meters {
        said[*meter as usize % 2].parts.insert(part, outcome);
    }
    said
}

#[test]
fn a_part_that_did_not_open_is_asked_for_again_in_disjoint_parts() {
    let [first, second] = groups();
    let mut all: Vec<u32> = first.iter().chain(&second).copied().collect();
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..METERS), "{first:?} {second:?}");
    assert_eq!((first.len(), second.len()), (3, 4));

    let mut scene = Scene::new();
    let release = scene.release();
    let wanted = parts([(0, Outcome::Wanted)]);
    assert_eq!(scene.settle(&release, SumStatus::Divide), wanted);
    assert_eq!(
        scene.engine.unsettled(None, 9).unwrap(),
        [],
        "it is not sent again"
    );
    // Some come; the others are asked for again, also by another process, and not at every tick.
    scene.receive(first[..2].iter().chain(&second[..2]).copied());
    scene.restart();
    let missing = [first[2], second[2], second[3]];
    let asked = scene.tick();
    assert_eq!(
        scene.said(&asked.outgoing),
        of(&missing, 0, Outcome::Wanted)
    );
    let at_once = scene.tick();
    assert_eq!(scene.said(&at_once.outgoing), ToBoth::default());

    let effects = scene.receive([first[2], second[2]]);
    let folded = scene.said(&effects.outgoing).map(|said| said.reports);
    let folded: BTreeMap<_, _> = folded.into_iter().flatten().collect();
    let into = |part| (Status::Folded, part);
    assert_eq!(
        folded,
        BTreeMap::from([(first[2], into(1)), (second[2], into(2))])
    );
    let release = scene.releases(&effects.outgoing).pop().unwrap();
    assert_eq!(
        (release.message.part, release.message.replaces),
        (Part(1), Some(Part(0)))
    );
    assert!(release.message.set.iter().eq(first.iter().copied()));
    let refused = SumStatus::Rejected(Reason::NotOpened);
    assert_eq!(
        scene.settle(&release, refused),
        of(&first, 1, Outcome::Refused)
    );
    without_the_last(&mut scene, &second);
}

/// The last does not come in time. The rest is released, and its gateway need not keep it any longer.
fn without_the_last(scene: &mut Scene, second: &[u32]) {
    scene.now_ms += IDLE_MS;
    let effects = scene.tick();
    let release = scene.releases(&effects.outgoing).pop().unwrap();
    assert!(release.message.set.iter().eq(second[..3].iter().copied()));
    let last = &second[3..];
    assert_eq!(scene.said(&effects.outgoing), of(last, 0, Outcome::Refused));
    let taken = scene.settle(&release, SumStatus::Taken);
    assert_eq!(taken, of(&second[..3], 2, Outcome::Released));
    let effects = scene.receive(last.iter().copied());
    let mut late = of(last, 0, Outcome::Refused);
    late[last[0] as usize % 2]
        .reports
        .insert(last[0], (Status::Duplicate, 0));
    assert_eq!(scene.said(&effects.outgoing), late);
}

/// The operator says so of a part that has a meter which spoils sums, and the roster without that meter may come later.
#[test]
fn a_part_that_replaces_another_is_made_again_without_whoever_has_left_the_roster() {
    let [first, second] = groups();
    let mut scene = Scene::new();
    let release = scene.release();
    scene.settle(&release, SumStatus::Divide);
    let effects = scene.receive(0..METERS);
    let mut releases = scene.releases(&effects.outgoing);
    releases.sort_by_key(|release| release.message.part);
    for release in &releases {
        let told = scene.settle(release, SumStatus::Divide);
        assert_eq!(told, ToBoth::default(), "everybody is in the roster");
    }
    scene.leave(first[0]);
    assert_eq!(
        scene.settle(&releases[0], SumStatus::Divide),
        of(&first[1..], 1, Outcome::Refused),
        "two are too few"
    );
    scene.leave(second[0]);
    let rest = &second[1..];
    assert_eq!(
        scene.settle(&releases[1], SumStatus::Divide),
        of(rest, 2, Outcome::Wanted)
    );
    let effects = scene.receive(rest.iter().copied());
    let release = scene.releases(&effects.outgoing).pop().unwrap();
    assert!(release.message.set.iter().eq(rest.iter().copied()));
    assert_eq!(
        (release.message.part, release.message.replaces),
        (Part(3), Some(Part(0))),
        "the one that the operator knows"
    );
    let taken = scene.settle(&release, SumStatus::Taken);
    assert_eq!(taken, of(rest, 3, Outcome::Released));
}

#[test]
fn a_wanted_report_counts_although_no_plan_admits_it_any_more() {
    let [first, second] = groups();
    let mut scene = Scene::new();
    let release = scene.release();
    scene.settle(&release, SumStatus::Divide);
    scene.rotate();
    // A new report would be refused, and so is the sum to be told.
    let effects = scene.receive(first.iter().chain(&second).copied());
    let folded = scene.said(&effects.outgoing).map(|said| said.reports);
    let folded: BTreeMap<_, _> = folded.into_iter().flatten().collect();
    let into = |part| move |meter: &u32| (*meter, (Status::Folded, part));
    let expected = first.iter().map(into(1)).chain(second.iter().map(into(2)));
    assert_eq!(folded, expected.collect());
    assert_eq!(scene.releases(&effects.outgoing).len(), 2);
    // What is in its part is a duplicate, whatever the plan says.
    let effects = scene.receive([first[0]]);
    let [told] = scene
        .said(&effects.outgoing)
        .map(|said| said.reports)
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()[..]
    else {
        panic!("one answer")
    };
    assert_eq!(told, (first[0], (Status::Duplicate, 1)));
}

#[test]
fn a_release_that_is_put_off_until_its_retention_is_over_is_refused() {
    let mut scene = Scene::new();
    let release = scene.release();
    let waiting = |scene: &mut Scene| scene.engine.unsettled(None, 9).unwrap().len();
    assert_eq!(waiting(&mut scene), 1);
    let key_spent = SumStatus::Rejected(Reason::KeySpent);
    assert_eq!(scene.settle(&release, key_spent), parts([]));
    assert_eq!(waiting(&mut scene), 0, "not at once");
    scene.now_ms += 5_000;
    scene.tick();
    assert_eq!(waiting(&mut scene), 1, "but later");
    scene.settle(&release, key_spent);

    // An hour is the least that it is tried for.
    scene.retention_is_over();
    let effects = scene.tick();
    assert_eq!(scene.said(&effects.outgoing), parts([]));
    scene.now_ms += 3_600_000;
    let effects = scene.tick();
    let refused = parts([(0, Outcome::Refused)]);
    assert_eq!(scene.said(&effects.outgoing), refused);
    scene.now_ms += 100_000;
    scene.tick();
    assert_eq!(waiting(&mut scene), 0);
    assert_eq!(scene.settle(&release, SumStatus::Taken), parts([]));
}
