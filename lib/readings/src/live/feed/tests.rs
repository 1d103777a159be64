use proptest::prelude::*;
use wire::Watts;

use super::*;

const OPEN: u64 = 900_000;
const RULES: FeedRules = FeedRules {
    interval_s: 900,
    tolerance_s: 30,
    ahead_s: 60,
    most_kept: 1_000,
};
/// An hour later: nothing below is ahead of it.
const NOW: u64 = OPEN + 3_600;

fn specs(ids: &[&str]) -> Vec<MeterSpec> {
    let spec = |id: &&str| MeterSpec {
        id: id.parse().unwrap(),
        capacity_w: Watts(10_000),
    };
    ids.iter().map(spec).collect()
}

fn feed() -> Feed {
    Feed::new(&specs(&["a", "b"]), RULES, OPEN)
}

fn reading(meter: &str, at: u64, value: LiveValue) -> LiveReading {
    LiveReading {
        meter: meter.parse().unwrap(),
        at: OPEN + at,
        value,
    }
}

fn register(meter: &str, at: u64, import: i64) -> LiveReading {
    let import = MicroWattHours(import);
    reading(
        meter,
        at,
        LiveValue::Registers {
            import,
            export: None,
        },
    )
}

fn energy(meter: &str, at: u64, energy: i64) -> LiveReading {
    let energy = MicroWattHours(energy);
    reading(
        meter,
        at,
        LiveValue::Energy {
            interval_s: None,
            energy,
        },
    )
}

fn part(meter: &str, at: u64, interval_s: u32, energy: i64) -> LiveReading {
    let interval_s = Some(interval_s);
    let energy = MicroWattHours(energy);
    reading(meter, at, LiveValue::Energy { interval_s, energy })
}

fn taken(feed: &mut Feed, reading: &LiveReading) -> FeedChange {
    match feed.take(reading, NOW).unwrap() {
        Accepted::Taken(change) => change,
        other => panic!("{other:?}"),
    }
}

fn refused(feed: &mut Feed, reading: &LiveReading) -> &'static str {
    let reason = feed.take(reading, NOW).unwrap_err().reason();
    assert!(Refusal::REASONS.contains(&reason));
    reason
}

fn of(energies: [Option<i64>; 2]) -> Vec<Reading> {
    let reading = |energy: Option<i64>| match energy {
        Some(energy) => Reading::Energy(MicroWattHours(energy)),
        None => Reading::Missing,
    };
    energies.into_iter().map(reading).collect()
}

#[test]
fn readings_in_any_order_are_intervals_of_the_fleet() {
    let mut feed = feed();
    taken(&mut feed, &register("a", 900, 50));
    taken(&mut feed, &energy("b", 900, 7));
    taken(&mut feed, &register("a", 0, 20));
    assert_eq!(feed.interval(OPEN).readings, of([Some(30), None]));
    assert_eq!(feed.interval(OPEN + 900).readings, of([None, Some(7)]));
}

#[test]
fn what_comes_twice_counts_once_and_another_value_is_refused() {
    let mut feed = feed();
    for (once, other) in [
        (register("a", 0, 20), register("a", 0, 21)),
        (energy("b", 0, 20), energy("b", 0, 21)),
    ] {
        taken(&mut feed, &once);
        assert_eq!(feed.take(&once, NOW), Ok(Accepted::Repeated));
        assert_eq!(refused(&mut feed, &other), "conflict");
    }
    assert_eq!(feed.interval(OPEN).readings, of([None, Some(20)]));
}

#[test]
fn what_comes_after_its_interval_was_closed_is_late() {
    let mut feed = feed();
    taken(&mut feed, &energy("b", 0, 3));
    feed.close(OPEN + 900);
    assert_eq!(refused(&mut feed, &energy("a", 0, 3)), "late");
    assert_eq!(
        feed.take(&energy("b", 0, 3), NOW),
        Ok(Accepted::Repeated),
        "it was taken in time, and is asked for again"
    );
    assert_eq!(refused(&mut feed, &register("a", 0, 1)), "late");
    assert_eq!(refused(&mut feed, &register("a", 500, 1)), "late");
    // At the end of the closed interval, and so at the start of one that is open.
    taken(&mut feed, &register("a", 890, 1));
}

#[test]
fn the_read_that_closed_an_interval_opens_the_next_one() {
    let mut feed = feed();
    taken(&mut feed, &register("a", 0, 0));
    taken(&mut feed, &register("a", 880, 10));
    feed.close(OPEN + 900);
    assert_eq!(
        feed.take(&register("a", 900, 15), NOW),
        Ok(Accepted::Spare),
        "a nearer one would leave out what was used in between"
    );
    taken(&mut feed, &register("a", 1_800, 40));
    assert_eq!(feed.interval(OPEN).readings[0], of([Some(10), None])[0]);
    assert_eq!(
        feed.interval(OPEN + 900).readings[0],
        of([Some(30), None])[0]
    );
}

#[test]
fn what_is_ahead_of_the_clock_is_refused_and_a_little_is_not() {
    let mut feed = feed();
    let at = |seconds: u64| register("a", NOW - OPEN + seconds, 5);
    assert_eq!(refused(&mut feed, &at(61)), "ahead");
    assert_eq!(refused(&mut feed, &energy("b", 3_600, 1)), "ahead");
    let near = feed.take(&at(60), NOW);
    assert!(near.is_ok(), "{near:?}");
}

#[test]
fn parts_make_up_an_interval_or_it_is_missing() {
    let mut feed = feed();
    for number in 0..3 {
        taken(&mut feed, &part("a", number * 300, 300, 5));
    }
    taken(&mut feed, &part("b", 0, 450, 5));
    assert_eq!(feed.interval(OPEN).readings, of([Some(15), None]));
    assert_eq!(refused(&mut feed, &part("b", 600, 300, 5)), "kind");
    assert_eq!(refused(&mut feed, &part("b", 0, 600, 5)), "length");
    assert_eq!(refused(&mut feed, &part("b", 0, 1_800, 5)), "length");
    assert_eq!(refused(&mut feed, &part("b", 100, 300, 5)), "off_grid");
}

#[test]
fn a_mean_power_is_an_energy_to_the_nearest_millionth() {
    let mut feed = feed();
    let power = |meter, micro_watts| {
        let interval_s = None;
        reading(
            meter,
            0,
            LiveValue::Power {
                interval_s,
                micro_watts,
            },
        )
    };
    // 900 s are a quarter of an hour: 1.5 millionths are 2.
    taken(&mut feed, &power("a", 6));
    taken(&mut feed, &power("b", -4_000_000));
    assert_eq!(
        feed.interval(OPEN).readings,
        of([Some(2), Some(-1_000_000)])
    );
}

#[test]
fn a_meter_that_exports_has_an_interval_only_with_both_its_registers() {
    let mut feed = feed();
    let both = |at, import, export| {
        let [import, export] = [import, export].map(MicroWattHours);
        let export = Some(export);
        reading("a", at, LiveValue::Registers { import, export })
    };
    taken(&mut feed, &both(0, 100, 50));
    taken(&mut feed, &both(900, 110, 90));
    taken(&mut feed, &register("a", 1_800, 120));
    assert_eq!(feed.interval(OPEN).readings, of([Some(-30), None]));
    assert_eq!(feed.interval(OPEN + 900).readings, of([None, None]));
    // One of the two in conflict: neither is taken.
    assert_eq!(refused(&mut feed, &both(1_800, 121, 95)), "conflict");
    let change = taken(&mut feed, &both(1_800, 120, 95));
    assert_eq!(change.put.len(), 1);
    assert_eq!(feed.interval(OPEN + 900).readings, of([Some(5), None]));
}

#[test]
fn a_meter_sends_one_kind_and_is_one_of_the_fleet() {
    let mut feed = feed();
    taken(&mut feed, &register("a", 0, 1));
    assert_eq!(refused(&mut feed, &energy("a", 900, 1)), "kind");
    taken(&mut feed, &energy("b", 0, 1));
    assert_eq!(refused(&mut feed, &register("b", 900, 1)), "kind");
    assert_eq!(refused(&mut feed, &energy("c", 0, 1)), "unknown_meter");
}

#[test]
fn what_there_is_no_room_for_is_refused_and_changes_nothing() {
    let rules = FeedRules {
        most_kept: 2,
        ..RULES
    };
    let mut feed = Feed::new(&specs(&["a", "b"]), rules, OPEN);
    taken(&mut feed, &register("a", 0, 1));
    taken(&mut feed, &energy("b", 0, 1));
    assert_eq!(refused(&mut feed, &register("a", 900, 2)), "full");
    assert_eq!(refused(&mut feed, &energy("b", 900, 2)), "full");
    assert_eq!(feed.take(&register("a", 0, 1), NOW), Ok(Accepted::Repeated));
    assert_eq!(feed.forget(OPEN + 900), OPEN + 870);
    taken(&mut feed, &register("a", 900, 2));
}

#[test]
fn swaps_and_roll_overs_are_counted_with_the_interval() {
    const KWH: i64 = 1_000_000_000;
    let mut feed = feed();
    taken(&mut feed, &register("a", 0, 99_999 * KWH));
    taken(&mut feed, &register("a", 900, 0));
    taken(&mut feed, &register("b", 0, 500 * KWH));
    taken(&mut feed, &register("b", 900, 3 * KWH));
    let interval = feed.interval(OPEN);
    assert_eq!(interval.readings, of([Some(KWH), None]));
    assert_eq!((interval.rolled_over, interval.swapped), (1, 1));
}

/// Readings of two meters, some of registers and some of energies, at any time and repeated.
fn any_readings() -> impl Strategy<Value = Vec<(LiveReading, u64)>> {
    let one = (0..2_usize, 0..8_u64, 0..60_u64, -20..60_i64, 0..3_u8);
    let reading = one.prop_map(|(meter, interval, off, value, kind)| {
        let meter = ["a", "b"][meter];
        let at = interval * 450;
        match kind {
            0 => register(
                meter,
                (at + off).saturating_sub(20),
                1_000 + at as i64 + value,
            ),
            1 => energy(meter, at, value),
            _ => part(meter, at, 450, value),
        }
    });
    proptest::collection::vec((reading, 0..4_000_u64), 0..40)
}

/// Keeps in `kept` what a caller of the feed writes down.
fn keep(kept: &mut HashMap<(MeterId, u64, KeptKind), Kept>, change: FeedChange) {
    for one in change.put {
        kept.insert((one.meter.clone(), one.at, one.kind), one);
    }
    for key in change.dropped {
        kept.remove(&key);
    }
}

#[test]
fn a_read_that_made_way_for_a_nearer_one_is_kept_again_once_it_shows_a_swap() {
    let mut feed = feed();
    let mut kept = HashMap::new();
    for (at, import) in [(1_813, 2_814), (1_787, 2_800), (1_814, 2_800)] {
        let change = taken(&mut feed, &register("b", at, import));
        keep(&mut kept, change);
        assert_eq!(feed.kept, kept.len());
    }
    assert_eq!(kept.len(), 3);
}

proptest! {
    /// What is acknowledged is on disk; a process that begins with it answers as the one before, and has the same intervals.
    #[test]
    fn a_feed_that_takes_over_what_was_kept_is_the_same_feed(readings in any_readings(), closed in 0..3_u64) {
        let mut feed = feed();
        let mut kept = HashMap::new();
        for (reading, now) in readings.iter().map(|(reading, now)| (reading, OPEN + now)) {
            if let Ok(Accepted::Taken(change)) = feed.take(reading, now) {
                keep(&mut kept, change);
            }
        }
        prop_assert_eq!(feed.kept, kept.len());
        let mut after = self::feed();
        kept.values().for_each(|one| after.restore(one));
        prop_assert_eq!(after.kept, feed.kept);
        for feed in [&mut feed, &mut after] {
            if closed > 0 {
                feed.close(OPEN + closed * 900);
            }
        }
        for interval in 0..5 {
            let start = OPEN + interval * 900;
            prop_assert_eq!(after.interval(start), feed.interval(start));
        }
        for (reading, _) in readings {
            let again = after.take(&reading, NOW + 10_000);
            // Whoever got no answer before the end sends again: nothing that was taken is taken twice.
            if let Ok(Accepted::Taken(change)) = again {
                for one in &change.put {
                    prop_assert!(!kept.contains_key(&(one.meter.clone(), one.at, one.kind)));
                }
                keep(&mut kept, change);
            }
        }
    }
}
