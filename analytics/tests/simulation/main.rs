//! Analytics between gateways, an operator and a network that are as bad as they may be, thousands of times.
//!
//! A case is a seed: it draws a schedule of operations (send, deliver out of order, duplicate, drop, turn, crash before
//! the commit or between commit and publish, commits that fail before or after they took effect, restart from the
//! store, idle, the next hour, a conflicting report, a new plan with a new epoch) and runs it on the real engine with
//! real messages. Then everything heals, and the invariants of `check.rs` are held against what the operator took.
//! Those see each meter's share in each released sum, without help from the engine or its store: see
//! [`world::word`]. The operator sees it too, as a real one does by the masks: it refuses what is not the sum of the very
//! reports that a release names. Of some releases it says that they do not open, which are then divided.
//!
//! # What is not a failure
//! * A report that is in no released sum although it was answered `folded`, if fewer than `min_meters` of its window
//!   are in that position: the sum is held, and withheld for good once its retention is over.
//! * `rejected(report_too_late)` for a report that was folded, if its receipt was lost and its window is past the
//!   retention since. Outboxes give up long before.
//! * A receipt that comes twice, or says `duplicate` where none said `folded`.
//! * A release that is sent many times, as long as its bytes are the same.
//! * Reports of one window in several parts.
//! * `rejected(not_ready)` for a feeder that is being given up; the new owner answers. `rejected(batch_collected)` from the
//!   new owner, or readings it has answered and not released, of a window that the owner before has released.
//! * `rejected` for a plan or an epoch that a gateway had not heard of yet; it seals again.
//!
//! * A report that was in a release which did not open, and in no total: it came too late for the part that replaces it, or
//!   that did not open either. Its gateway is told so.
//!
//! # What is taken for granted
//! Analytics has a plan before the first window that the plan changes ends, and never goes back to an older one.
//!
//! `SIMULATION_CASES=10000 cargo test --release -p analytics --test simulation` runs more; the seeds of cases that
//! once failed are tests of their own.

#![allow(clippy::unwrap_used, reason = "tests")]

mod check;
mod gateways;
mod model;
mod operator;
mod pool;
mod stores;
mod world;

use model::{Kind, run};

fn cases(default: u64) -> u64 {
    std::env::var("SIMULATION_CASES").map_or(default, |cases| cases.parse().unwrap())
}

/// The seed of a failing case is the test to write: `run(seed, kind).unwrap()`.
fn all(seeds: std::ops::Range<u64>, kind: Kind) {
    let mut seen = model::Seen::default();
    for seed in seeds {
        match run(seed, kind) {
            Ok(case) => seen.add(&case),
            Err(problem) => panic!("case {seed} on {kind:?}: {problem}"),
        }
    }
    println!("{seen:?}");
    // A simulation in which nothing happens holds every invariant.
    assert!(seen.is_rich(), "{seen:?}");
}

#[test]
fn every_schedule_keeps_the_contract() {
    all(0..cases(400), Kind::Memory);
}

#[test]
fn every_schedule_keeps_the_contract_on_the_file() {
    // Enough for what happens least, a part that fails for good, to happen in one of them.
    all(0..cases(400) * 3 / 20, Kind::File);
}

/// What follows from masks at a real operator. The next test sees that this one can fail.
#[test]
fn every_release_is_the_sum_of_the_reports_that_it_names() {
    for seed in 1_000..1_040 {
        if let Err(problem) = run(seed, Kind::Memory) {
            assert!(
                !problem.contains(operator::LEDGER),
                "case {seed}: {problem}"
            );
        }
    }
}

/// An engine that folds what it has folded before is noticed by the operator. The safeguard is left out for a whole process.
#[test]
fn a_doubled_report_is_noticed_by_the_operator() {
    let program = std::env::current_exe().unwrap();
    let tested = std::process::Command::new(program)
        .args([
            "--exact",
            "every_release_is_the_sum_of_the_reports_that_it_names",
        ])
        .env(service::failpoint::SABOTAGE, "dedup")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tested.stdout);
    assert!(!tested.status.success(), "{said}");
    assert!(said.contains(operator::LEDGER), "{said}");
}

#[test]
fn every_handover_counts_every_report_at_most_once_and_loses_none_that_is_large_enough() {
    let mut seen = model::Seen::default();
    for seed in 0..cases(400) {
        match run(seed, Kind::Handover) {
            Ok(case) => seen.add(&case),
            Err(problem) => panic!("case {seed}: {problem}"),
        }
    }
    println!("{seen:?}");
    assert!(seen.hands_over(), "{seen:?}");
}

#[test]
fn a_pool_counts_every_report_once_whoever_stands_still_is_killed_or_cut_off() {
    let mut seen = model::Seen::default();
    for seed in 0..cases(400) {
        match run(seed, Kind::Pool) {
            Ok(case) => seen.add(&case),
            Err(problem) => panic!("case {seed}: {problem}"),
        }
    }
    println!("{seen:?}");
    assert!(seen.moves(), "{seen:?}");
}

/// A store that writes what is not fenced is noticed. The safeguard is left out for a whole process.
#[test]
fn a_left_out_fence_is_noticed() {
    let program = std::env::current_exe().unwrap();
    let tested = std::process::Command::new(program)
        .args([
            "--exact",
            "a_pool_counts_every_report_once_whoever_stands_still_is_killed_or_cut_off",
        ])
        .env(service::failpoint::SABOTAGE, "fence")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tested.stdout);
    assert!(!tested.status.success(), "{said}");
    assert!(said.contains("case "), "{said}");
}

/// The simulation notices an owner that gives a feeder up before its windows are released.
#[test]
fn a_hasty_handover_is_noticed() {
    let failed = (0..40).filter(|seed| run(*seed, Kind::Hasty).is_err());
    assert!(failed.count() > 5);
}

/// The simulation notices an engine that forgets who contributed.
#[test]
fn forgetting_contributors_is_noticed() {
    let failed = (0..20).filter(|seed| run(*seed, Kind::Forgetful).is_err());
    assert!(failed.count() > 5);
}

/// The simulation notices a store that reports commits it did not make.
#[test]
fn losing_commits_is_noticed() {
    let failed = (0..20).filter(|seed| run(*seed, Kind::Lossy).is_err());
    assert!(failed.count() > 5);
}
