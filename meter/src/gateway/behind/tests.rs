use super::*;
use crate::journal::Progress;
use readings::MeterSpec;
use wire::{MeterId, Watts, WindowStart};

/// Windows of an hour, in quarters of it.
fn hours() -> Grid {
    Grid::new(900, 4).unwrap()
}

const HOUR: u64 = 3_600;

/// A run of four meters on two feeders that stopped at hour 10; feeder-2 is behind from hour 6 on.
fn last() -> LastRun {
    let meters = (1..=4).map(meter);
    let feeders = (0..).map(|index| crate::fleet::feeder_of(index, 2));
    LastRun {
        progress: Progress {
            run: 1,
            settings: String::new(),
            interval_s: 900,
            batch: 4,
            time_zone: None,
            from: 0,
            end: None,
            window: 10 * HOUR,
            interval: 0,
            live: true,
            behind: BTreeMap::from([(feeder(2), 6 * HOUR)]),
            missed: Spans::default(),
        },
        fleet: feeders.zip(meters).collect(),
        filling: Vec::new(),
    }
}

fn meter(number: usize) -> MeterId {
    format!("meter-{number}").parse().unwrap()
}

fn feeder(number: usize) -> FeederId {
    format!("feeder-{number}").parse().unwrap()
}

/// The fleet of the meters with these numbers.
fn fleet(folder: &tempfile::TempDir, meters: &[usize], feeders: u32) -> Fleet {
    let spec = |number: &usize| MeterSpec {
        id: meter(*number),
        capacity_w: Watts(1_000),
    };
    let specs: Vec<MeterSpec> = meters.iter().map(spec).collect();
    Fleet::open(&specs, feeders, folder.path(), []).unwrap()
}

fn span(from: u64, end: Option<u64>) -> Span {
    Span {
        from: WindowStart(from * HOUR),
        end: end.map(|end| end * HOUR),
        skipped: 0,
        shortened: false,
    }
}

/// What is taken over by a run over `span` of the meters with these numbers on so many feeders.
fn inherit(last: &LastRun, meters: &[usize], feeders: u32, span: &Span) -> Inherited {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(&folder, meters, feeders);
    let always = (UnixSeconds(0), None);
    Inherited::of(last, &fleet, hours(), span, always)
}

fn spans(list: &[(u64, u64)]) -> Spans {
    let hours = list.iter().map(|(from, to)| (from * HOUR, to * HOUR));
    Spans::try_from(hours.collect::<Vec<_>>()).unwrap()
}

#[test]
fn a_run_that_begins_later_is_behind_with_what_the_last_one_was_and_misses_the_time_between() {
    let mut last = last();
    last.progress.missed = spans(&[(7, 8)]);
    let inherited = inherit(&last, &[1, 2, 3, 4], 2, &span(12, None));
    let expected = Inherited {
        behind: BTreeMap::from([(feeder(2), 6 * HOUR)]),
        missed: spans(&[(7, 8), (10, 12)]),
        lost: 0,
    };
    assert_eq!(inherited, expected);
}

#[test]
fn a_run_that_reads_those_windows_itself_is_not_behind() {
    let inherited = inherit(&last(), &[1, 2, 3, 4], 2, &span(6, None));
    assert_eq!(inherited, Inherited::default());
}

#[test]
fn a_meter_that_has_moved_takes_its_windows_along() {
    // Meters 2 and 4 were on feeder 2; meter 4 is on feeder 1 now.
    let inherited = inherit(&last(), &[1, 2, 3, 4], 3, &span(10, None));
    let first = 6 * HOUR;
    assert_eq!(
        inherited.behind,
        BTreeMap::from([(feeder(1), first), (feeder(2), first)])
    );
    assert_eq!(inherited.lost, 0);
}

#[test]
fn the_readings_of_a_meter_that_is_gone_are_lost_except_those_that_were_missed_anyway() {
    let mut last = last();
    last.progress.missed = spans(&[(7, 8)]);
    let inherited = inherit(&last, &[1, 2], 2, &span(10, None));
    assert_eq!(inherited.lost, 3 * 4);
    let none_left = inherit(&last, &[1, 3], 2, &span(10, None));
    assert_eq!(none_left.lost, 2 * 3 * 4);
    assert_eq!(none_left.behind, BTreeMap::new());
}

#[test]
fn what_the_source_or_the_run_does_not_have_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(&folder, &[1, 2, 3, 4], 2);
    let inherit = |range: (u64, u64), span| {
        let range = (
            UnixSeconds(range.0 * HOUR),
            Some(UnixSeconds(range.1 * HOUR)),
        );
        let inherited = Inherited::of(&last(), &fleet, hours(), &span, range);
        let behind = inherited.behind.get(&feeder(2)).map(|from| from / HOUR);
        (behind, inherited.lost)
    };
    let later = || span(12, None);
    // Both meters of feeder 2 have hours 6 to 9 to come.
    assert_eq!(inherit((0, 20), later()), (Some(6), 0));
    assert_eq!(inherit((7, 20), later()), (Some(7), 2 * 4));
    assert_eq!(inherit((0, 9), later()), (Some(6), 2 * 4));
    assert_eq!(inherit((20, 30), later()), (None, 2 * 4 * 4));
    assert_eq!(inherit((0, 5), later()), (None, 2 * 4 * 4));
    // A run that ends at hour 8, and one that ends before it begins.
    assert_eq!(inherit((0, 20), span(3, Some(8))), (None, 2 * 2 * 4));
    assert_eq!(inherit((0, 20), span(12, Some(12))), (Some(6), 0));
}

#[test]
fn of_windows_that_are_cut_otherwise_now_the_whole_ones_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = fleet(&folder, &[1, 2, 3, 4], 2);
    let four_hours = Grid::new(3_600, 4).unwrap();
    let range = (UnixSeconds(0), None);
    let inherited = Inherited::of(&last(), &fleet, four_hours, &span(12, None), range);
    assert_eq!(inherited.behind, BTreeMap::from([(feeder(2), 8 * HOUR)]));
    assert_eq!(inherited.lost, 2 * 2 * 4);
    assert_eq!(inherited.missed, spans(&[(10, 12)]));
}
