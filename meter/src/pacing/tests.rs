use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod deployment;

const REPORT: usize = 27_300;

fn limits(reports: usize) -> Limits {
    Limits {
        reports,
        bytes: 1 << 30,
        delay_target: Duration::from_millis(250),
        retry_min: Duration::from_secs(2),
        retry_max: Duration::from_secs(60),
    }
}

#[test]
fn a_report_that_is_overtaken_is_sent_again_without_a_standstill() {
    let mut pace = Pace::new(limits(64));
    pace.sent(0, REPORT, false, 0);
    pace.receipt(&0, 40);
    for key in 1..=3 {
        pace.sent(key, REPORT, false, 100 + key);
    }
    pace.receipt(&3, 143);
    assert_eq!(pace.lost(143), None, "the others may be in the same commit");
    pace.receipt(&2, 144);
    let lost_ms = pace.next_lost_ms().unwrap();
    assert!((150..300).contains(&lost_ms), "{lost_ms}");
    assert_eq!(pace.lost(lost_ms), Some(1));
    assert_eq!((pace.lost(lost_ms), pace.under_way()), (None, 0));
    assert!(pace.allowance() >= allowance::INITIAL as usize);
    // It comes after all: nothing is left to do.
    pace.receipt(&1, lost_ms + 1);
    assert_eq!((pace.lost(u64::MAX), pace.next_lost_ms()), (None, None));
}

#[test]
fn a_report_that_is_never_answered_is_sent_again_less_and_less_often() {
    let mut pace = Pace::new(limits(64));
    pace.sent(0, REPORT, false, 0);
    let mut sent_ms = vec![0];
    for now_ms in 0..200_000 {
        let other = 1 + now_ms / 10;
        if now_ms % 10 == 0 {
            pace.sent(other, REPORT, false, now_ms);
        }
        if now_ms % 10 == 5 {
            pace.receipt(&other, now_ms);
        }
        while let Some(key) = pace.lost(now_ms) {
            assert_eq!(key, 0);
            pace.sent(0, REPORT, true, now_ms);
            sent_ms.push(now_ms);
        }
    }
    assert!((10..20).contains(&sent_ms.len()), "{sent_ms:?}");
    let last = sent_ms.last_chunk::<2>().unwrap();
    assert!(last[1] - last[0] >= 60_000, "{sent_ms:?}");
}

#[test]
fn the_last_report_is_probed_for_halfway_to_a_standstill_and_tells_of_those_before_it() {
    let mut pace = Pace::new(limits(64));
    for key in 0..20 {
        pace.sent(key, REPORT, false, key * 100);
        pace.receipt(&key, key * 100 + 40);
    }
    for key in 20..24 {
        pace.sent(key, REPORT, false, 2_000);
    }
    let probe_ms = pace.next_lost_ms().unwrap();
    assert!((3_000..=3_200).contains(&probe_ms), "{probe_ms}");
    assert_eq!(pace.lost(probe_ms - 1), None);
    assert_eq!(pace.lost(probe_ms), Some(23));
    assert_eq!((pace.lost(probe_ms), pace.under_way()), (None, 3));
    let allowance = pace.allowance();
    pace.sent(23, REPORT, true, probe_ms);
    assert!(pace.next_lost_ms() >= Some(4_000), "one probe a silence");
    pace.receipt(&23, probe_ms + 40);
    let lost: Vec<u64> = std::iter::from_fn(|| pace.lost(probe_ms + 100)).collect();
    assert_eq!(lost, [20, 21, 22]);
    assert!(pace.allowance() >= allowance);
}

#[test]
fn silence_is_a_standstill_and_everything_under_way_is_sent_again_one_at_a_time() {
    let mut pace = Pace::new(limits(64));
    for key in 0..10 {
        pace.sent(key, REPORT, false, key);
    }
    let probe_ms = pace.next_lost_ms().unwrap();
    assert_eq!(pace.lost(probe_ms), Some(9));
    pace.sent(9, REPORT, true, probe_ms);
    let silent_ms = pace.next_lost_ms().unwrap();
    assert!((2_000..=2_400).contains(&silent_ms), "{silent_ms}");
    let lost: Vec<u64> = std::iter::from_fn(|| pace.lost(silent_ms)).collect();
    assert_eq!(lost, (0..10).collect::<Vec<u64>>());
    assert_eq!((pace.allowance(), pace.under_way()), (1, 0));
    assert_eq!(pace.next_lost_ms(), None, "there is nothing to wait for");
    pace.sent(0, REPORT, true, 100_000);
    assert!(!pace.has_room(1));
    assert!(pace.next_lost_ms() >= Some(104_000), "twice the patience");
}

#[test]
fn patience_follows_the_time_receipts_take_within_its_bounds() {
    let mut pace = Pace::new(limits(64));
    assert_eq!(pace.patience_ms(), 2_000);
    for key in 0..100 {
        pace.sent(key, REPORT, false, key * 1_000);
        pace.receipt(&key, key * 1_000 + 20);
    }
    assert_eq!(pace.patience_ms(), 2_000, "never less than retry_min");
    let mut now_ms = 200_000;
    for key in 0..100 {
        pace.sent(key, REPORT, false, now_ms);
        now_ms += if key % 2 == 0 { 3_000 } else { 5_000 };
        pace.receipt(&key, now_ms);
    }
    let patience_ms = pace.patience_ms();
    assert!((6_000..12_000).contains(&patience_ms), "{patience_ms}");
    pace.sent(0, REPORT, false, now_ms);
    for _ in 0..10 {
        now_ms = pace.next_lost_ms().unwrap();
        assert_eq!(pace.lost(now_ms), Some(0));
        pace.sent(0, REPORT, true, now_ms);
    }
    assert_eq!(pace.patience_ms(), 60_000, "never more than retry_max");
    pace.receipt(&0, now_ms + 1);
    assert_eq!(
        pace.patience_ms(),
        60_000,
        "which copy was answered is not known"
    );
    pace.sent(1, REPORT, false, now_ms + 1);
    pace.receipt(&1, now_ms + 2);
    assert_eq!(pace.backoff, 0);
}

#[test]
fn after_an_outage_the_allowance_grows_with_receipts_for_what_is_sent_again() {
    let mut pace = Pace::new(limits(512));
    for key in 0..64 {
        pace.sent(key, REPORT, false, 0);
    }
    while pace.lost(120_000).is_some() {}
    assert_eq!(pace.allowance(), 1);
    let mut key = 0;
    let mut now_ms = 120_000;
    while key < 64 {
        let first = key;
        while key < 64 && pace.has_room(REPORT) {
            pace.sent(key, REPORT, true, now_ms);
            key += 1;
        }
        now_ms += 50;
        (first..key).for_each(|key| pace.receipt(&key, now_ms));
    }
    assert!(pace.allowance() > 8, "{}", pace.allowance());
}

#[test]
fn the_patience_comes_back_after_an_outage_in_a_pipeline_that_is_quicker_than_ever() {
    let mut pace = Pace::new(limits(64));
    // A busy pipeline takes 100 ms, and the idle one after the outage 10.
    pace.sent(0, REPORT, false, 0);
    pace.receipt(&0, 100);
    pace.sent(1, REPORT, false, 100);
    let mut now_ms = 100;
    while pace.backoff < 6 {
        now_ms = pace.next_lost_ms().unwrap();
        assert_eq!(pace.lost(now_ms), Some(1));
        pace.sent(1, REPORT, true, now_ms);
    }
    assert_eq!(pace.patience_ms(), 60_000);
    for key in 1..=6 {
        pace.sent(key, REPORT, true, now_ms);
        now_ms += 10;
        pace.receipt(&key, now_ms);
    }
    assert_eq!(pace.patience_ms(), 2_000);
}

#[test]
fn an_allowance_that_is_not_used_up_does_not_grow() {
    let mut pace = Pace::new(limits(512));
    for key in 0..1_000 {
        pace.sent(key, REPORT, false, key * 100);
        pace.receipt(&key, key * 100 + 10);
    }
    assert_eq!(pace.allowance(), allowance::INITIAL as usize);
}

#[test]
fn bytes_bound_the_pace_too_and_a_single_report_always_fits() {
    let mut pace = Pace::new(Limits {
        bytes: 2 * REPORT,
        ..limits(512)
    });
    assert!(pace.has_room(10 * REPORT));
    pace.sent(1, REPORT, false, 0);
    assert!(pace.has_room(REPORT) && !pace.has_room(REPORT + 1));
    pace.sent(2, REPORT, false, 0);
    assert!(!pace.has_room(1));
    pace.receipt(&1, 1);
    assert!(pace.has_room(REPORT));
}

proptest! {
    /// Whatever happens in whatever order, the books are right: what is under way is what was sent and neither answered,
    /// overdue nor released, and never more than the bounds where the caller asks before it sends.
    #[test]
    fn the_books_are_right(steps in prop::collection::vec((0..5_u8, 0..20_u64, 1..3_000_u64), 1..400)) {
        let mut pace = Pace::new(Limits { bytes: 12 * 1_000, ..limits(10) });
        let mut model = BTreeMap::new();
        let mut now_ms = 0;
        for (what, key, number) in steps {
            match what {
                0 | 1 if pace.has_room(number as usize) => {
                    let others: usize = model.iter().filter(|(other, _)| **other != key).map(|(_, bytes)| *bytes).sum();
                    prop_assert!(model.len() < 10 && (model.is_empty() || others <= 12_000));
                    pace.sent(key, number as usize, what == 1, now_ms);
                    model.insert(key, number as usize);
                }
                2 => {
                    pace.receipt(&key, now_ms);
                    model.remove(&key);
                }
                3 => {
                    pace.release(&key);
                    model.remove(&key);
                }
                _ => {
                    now_ms += number;
                    let before = pace.under_way();
                    let lost: Vec<u64> = std::iter::from_fn(|| pace.lost(now_ms)).collect();
                    for key in &lost {
                        prop_assert!(model.remove(key).is_some());
                    }
                    prop_assert_eq!(before - lost.len(), pace.under_way());
                    prop_assert!(pace.next_lost_ms().is_none_or(|at| at > now_ms));
                }
            }
            prop_assert_eq!(pace.under_way(), model.len());
            prop_assert_eq!(pace.unanswered.bytes(), model.values().sum::<usize>());
            prop_assert!((1..=10).contains(&pace.allowance()));
            prop_assert_eq!(pace.next_lost_ms().is_some(), !model.is_empty());
        }
    }
}
