//! Audits that wait for one another.

use super::*;

/// More at a time than have a place.
const ABSENT: u64 = 40;

/// A minute is what each of them waits.
#[tokio::test(start_paused = true)]
async fn audits_of_gateways_that_are_away_hold_no_other_up_and_end_all_the_same() {
    let mut auditing = Auditing::new();
    for window in 0..ABSENT {
        let sum = auditing.world.sum(FEEDERS[1], window, &[0, 1, 2]);
        auditing.consent_to_honest(&sum);
    }
    let mut now = Instant::now();
    assert!(!auditing.tick(now).is_empty());
    let sum = auditing.world.sum(FEEDERS[0], ABSENT, &[0, 1, 2]);
    let reports = auditing.consent_to_honest(&sum);
    let record = |auditing: &Auditing, window| {
        let records = read_all(auditing.world.folder(0).path()).unwrap();
        let mut records = records.into_iter();
        records.find(|record| record.window == window)?.verdict
    };
    let began = now;
    while record(&auditing, sum.window).is_none() {
        now += SECOND;
        assert!(now - began <= 20 * SECOND, "it waits for its place");
        let own = |meters: &Vec<MeterId>| meters.contains(&reports[0].meter);
        if auditing.tick(now).iter().any(|(_, meters)| own(meters)) {
            for report in &reports {
                auditing.show(report, now).unwrap();
            }
        }
    }
    let verdict = record(&auditing, sum.window).unwrap();
    assert_eq!(verdict.outcome, Outcome::Right);
    // Those that gave their places up have the whole time that each has, and end.
    let mut ended = 0;
    while ended < ABSENT {
        now += SECOND;
        assert!(now - began <= 12 * 60 * SECOND);
        auditing.tick(now);
        let records = read_all(auditing.world.folder(0).path()).unwrap();
        let incomplete = records.iter().filter_map(|record| record.verdict.as_ref());
        ended = incomplete
            .filter(|verdict| verdict.outcome == Outcome::Incomplete)
            .count() as u64;
        assert!(ended == 0 || now - began >= 60 * SECOND);
    }
}

/// Whoever answers late is heard all the same.
#[tokio::test(start_paused = true)]
async fn an_audit_that_gave_its_place_up_takes_what_comes_late() {
    let mut auditing = Auditing::new();
    let late = auditing.world.sum(FEEDERS[1], 0, &[0, 1, 2]);
    let reports = auditing.consent_to_honest(&late);
    for window in 1..ABSENT {
        let sum = auditing.world.sum(FEEDERS[1], window, &[0, 1, 2]);
        auditing.consent_to_honest(&sum);
    }
    let now = Instant::now();
    auditing.tick(now);
    let now = now + 11 * SECOND;
    auditing.tick(now);
    for report in &reports {
        auditing.show(report, now).unwrap();
    }
    auditing.tick(now);
    let records = read_all(auditing.world.folder(0).path()).unwrap();
    let own = records.iter().find(|record| record.window == late.window);
    let verdict = own.unwrap().verdict.as_ref().unwrap();
    assert_eq!(verdict.outcome, Outcome::Right);
}
