//! Audits that wait for one another.

use wire::WindowStart;

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
    assert_eq!(verdict.result, AuditResult::Right);
    // Those that gave their places up have the whole time that each has, and end.
    let mut ended = 0;
    while ended < ABSENT {
        now += SECOND;
        assert!(now - began <= 12 * 60 * SECOND);
        auditing.tick(now);
        let records = read_all(auditing.world.folder(0).path()).unwrap();
        let incomplete = records.iter().filter_map(|record| record.verdict.as_ref());
        ended = incomplete
            .filter(|verdict| verdict.result == AuditResult::Incomplete)
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
    assert_eq!(verdict.result, AuditResult::Right);
}

fn verdicts(auditing: &Auditing) -> Vec<(WindowStart, Option<AuditResult>)> {
    let records = read_all(auditing.world.folder(0).path()).unwrap();
    let verdict = |record: Record| (record.window, record.verdict.map(|verdict| verdict.result));
    records.into_iter().map(verdict).collect()
}

/// Windows of four hours, of which two days are kept.
#[tokio::test(start_paused = true)]
async fn what_waits_until_its_sum_is_not_kept_any_more_ends_as_incomplete() {
    let mut auditing = Auditing::new();
    for window in 0..ABSENT {
        let sum = auditing.world.sum(FEEDERS[1], window, &[0, 1, 2]);
        auditing.consent_to_honest(&sum);
    }
    let now = Instant::now();
    auditing.tick(now);
    let waiting = auditing.audits.queue.len();
    let begun = verdicts(&auditing);
    let later = auditing.world.sum(FEEDERS[1], ABSENT + 20, &[0, 1, 2]);
    auditing.consent_to_honest(&later);
    auditing.tick(now);
    let ended = verdicts(&auditing);
    let incomplete =
        |(_, result): &&(_, Option<AuditResult>)| *result == Some(AuditResult::Incomplete);
    assert_eq!(ended.iter().filter(incomplete).count(), waiting);
    assert!(
        begun.iter().all(|audit| ended.contains(audit)),
        "these go on"
    );
    let key = &auditing.audits.queue[0];
    assert_eq!((key.window, auditing.audits.queue.len()), (later.window, 1));
    auditing.restart();
    assert_eq!(
        auditing.audits.queue.len(),
        begun.len() + 1,
        "nor do they come back"
    );
}

#[tokio::test(start_paused = true)]
async fn of_more_audits_than_may_wait_the_first_end_as_incomplete() {
    let mut auditing = Auditing::new();
    auditing.audits.most_waiting = 3;
    for window in 0..ABSENT {
        let sum = auditing.world.sum(FEEDERS[1], window, &[0, 1, 2]);
        auditing.consent_to_honest(&sum);
    }
    auditing.tick(Instant::now());
    assert_eq!(auditing.audits.queue.len(), 3);
    let to_audit = auditing.world.holders[0].ledger.to_audit().unwrap();
    let audits = verdicts(&auditing);
    let going_on = audits.iter().filter(|(_, result)| result.is_none());
    assert_eq!(to_audit.len(), going_on.count() + 3);
}

/// Gateways of many sums are away for long: each audit has a sum in memory.
#[tokio::test(start_paused = true)]
async fn audits_that_gave_their_places_up_are_not_more_than_fit_into_memory() {
    let mut auditing = Auditing::new();
    let mut now = Instant::now();
    for window in 0..300 {
        let sum = auditing.world.sum(FEEDERS[1], window, &[0, 1, 2]);
        auditing.consent_to_honest(&sum);
        now += SECOND;
        auditing.tick(now);
    }
    let audits = verdicts(&auditing);
    let going_on = audits.iter().filter(|(_, result)| result.is_none());
    assert!(going_on.count() <= desk::MAX_BEGUN);
}
