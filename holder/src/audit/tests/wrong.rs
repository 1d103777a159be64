//! Sums and reports that are not what they should be.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_sum_that_analytics_added_whole_quanta_to_is_wrong() {
    let mut auditing = Auditing::new();
    let sum = auditing.world.sum(FEEDERS[0], 0, &[0, 1, 2]);
    let reports = all(&auditing.world, &sum);
    let words = auditing.world.holders[0]
        .held
        .as_ref()
        .unwrap()
        .shape
        .coefficients();
    let limbs = added(&auditing.world, &reports);
    let mut doctored = packed::unpack(&RING, words + RING.dimension, &limbs).unwrap();
    doctored[3] = (doctored[3] + (1 << 20)) % RING.modulus;
    auditing.consent(&sum, &packed::pack(&RING, &doctored).unwrap());
    let now = Instant::now();
    auditing.tick(now);
    for report in &reports {
        auditing.show(report, now).unwrap();
    }
    assert_eq!(auditing.result(now), AuditResult::Wrong);
    let record = auditing.record();
    let verdict = record.verdict.unwrap();
    assert!(verdict.differs && verdict.other.is_empty() && verdict.missing.is_empty());
    assert_eq!(record.analytics.as_str(), "analytics-1");
}

/// Analytics and the meter went along: its report was sent, and another one of it is in the sum.
#[tokio::test(start_paused = true)]
async fn a_report_that_was_left_out_and_replaced_by_another_is_named() {
    let (mut auditing, sum, reports) = Auditing::of_three();
    let now = Instant::now();
    auditing.tick(now);
    let sent = sealed(&auditing.world, &sum, (1, Salt([9; 8])), 7);
    auditing.show(&sent, now).unwrap();
    auditing.show(&reports[0], now).unwrap();
    assert_eq!(auditing.tick(now), []);
    assert_eq!(auditing.record().verdict, None, "one may still come");
    auditing.show(&reports[2], now).unwrap();
    assert_eq!(auditing.result(now), AuditResult::Wrong);
    let verdict = auditing.record().verdict.unwrap();
    assert_eq!(
        (verdict.other, verdict.missing),
        (vec![named(&sent)], vec![])
    );
}

#[tokio::test(start_paused = true)]
async fn what_no_audit_awaits_or_its_meter_did_not_sign_is_refused_by_reason() {
    let (mut auditing, sum, reports) = Auditing::of_three();
    let now = Instant::now();
    auditing.tick(now);
    let world = &auditing.world;
    let salt = sum.salts[1];
    let elsewhere = world.sum(FEEDERS[1], 0, &[0, 1, 2]);
    let later = world.sum(FEEDERS[0], 1, &[0, 1, 2]);
    let mut garbled = reports[0].message.to_vec();
    garbled.truncate(40);
    for (sent, expected) in [
        (sealed(world, &sum, (1, salt), 66), Reason::BadSignature),
        (sealed(world, &sum, (3, salt), 7), Reason::Conflict),
        (sealed(world, &sum, (METERS, salt), 7), Reason::UnknownMeter),
        (sealed(world, &elsewhere, (1, salt), 7), Reason::Conflict),
        (sealed(world, &later, (1, salt), 7), Reason::Conflict),
        (
            Sent {
                message: garbled.into(),
                ..sealed(world, &sum, (1, salt), 7)
            },
            Reason::InvalidMessage,
        ),
    ] {
        let place = (&auditing.world.holders[0], LIMIT);
        assert_eq!(
            auditing.audits.take(&sent.message, place, now),
            Err(expected)
        );
    }
    for report in &reports {
        auditing.show(report, now).unwrap();
    }
    assert_eq!(auditing.result(now), AuditResult::Right);
}
