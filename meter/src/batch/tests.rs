use super::*;
use wire::{UnixSeconds, Watts};

const WH: i64 = MicroWattHours::PER_WH;

fn specs(count: usize) -> Vec<MeterSpec> {
    let spec = |number| MeterSpec {
        id: format!("meter-{number}").parse().unwrap(),
        capacity_w: Watts(1_000),
    };
    (0..count).map(spec).collect()
}

fn filling(meters: usize) -> Filling {
    Filling::new(Grid::new(3_600, 3).unwrap(), WindowStart(10_800), meters)
}

fn energy(micro_wh: i64, clamped: bool) -> Taken {
    Taken::Energy(MicroWattHours(micro_wh), clamped)
}

#[test]
fn what_is_beyond_the_power_that_readings_enter_with_is_cut_off_and_counts_as_clamped() {
    let mut window = MeterWindow {
        meter: 0,
        window: WindowStart(0),
        taken: vec![
            energy(900_000_000, false),
            energy(-2_000_000_000, false),
            energy(500_000_000, true),
            Taken::Missing,
        ],
    };
    window.clip(Watts(1_000), 3_600);
    let expected = [
        energy(900_000_000, false),
        energy(-1_000_000_000, true),
        energy(500_000_000, true),
        Taken::Missing,
    ];
    assert_eq!(window.taken, expected);
}

#[test]
fn a_reading_is_clamped_missing_or_taken() {
    let read = |micro_wh| Reading::Energy(MicroWattHours(micro_wh));
    let readings = [read(400 * WH + 1), read(-1_200 * WH), Reading::Missing];
    let interval = Interval::of(&specs(4), &readings, 3_600);
    assert_eq!(
        interval.0,
        [
            energy(400 * WH + 1, false),
            energy(-1_000 * WH, true),
            Taken::Missing,
            Taken::Missing,
        ]
    );
}

#[test]
fn a_full_window_has_what_was_taken_of_each_meter_with_a_reading() {
    let mut filling = filling(3);
    filling.add(&Interval(vec![
        energy(1, false),
        energy(2, true),
        Taken::Missing,
    ]));
    filling.add(&Interval::missed(3));
    assert_eq!((filling.next_interval(), filling.is_full()), (2, false));
    filling.add(&Interval(vec![energy(3, true), Taken::Missing]));
    assert!(filling.is_full());
    let window = |meter, taken: [Taken; 3]| MeterWindow {
        meter,
        window: WindowStart(10_800),
        taken: taken.to_vec(),
    };
    let first = [energy(1, false), Taken::Missing, energy(3, true)];
    let second = [energy(2, true), Taken::Missing, Taken::Missing];
    assert_eq!(filling.finish(), [window(0, first), window(1, second)]);
}

#[test]
fn a_window_closed_early_misses_the_rest() {
    let mut filling = filling(1);
    filling.add(&Interval(vec![energy(7, false)]));
    let closed = filling.close();
    assert_eq!(closed.len(), 1);
    assert_eq!(
        closed[0].taken,
        [energy(7, false), Taken::Missing, Taken::Missing]
    );
    assert_eq!(self::filling(2).close(), []);
}

#[test]
fn a_window_that_is_a_local_day_is_full_after_the_hours_that_the_day_has() {
    let berlin = Grid::of_days(3_600, "Europe/Berlin".parse().unwrap()).unwrap();
    // Around the change of clocks in March of 2024.
    let mut window = berlin.window_of(UnixSeconds(1_711_756_800));
    for hours in [24, 23, 24] {
        let filling = Filling::new(berlin, window, 1);
        let interval = Interval(vec![energy(7, false)]);
        let full = Filling::resume(berlin, window, 1, &vec![interval; hours]);
        assert!(full.is_full() && !filling.is_full());
        assert_eq!(full.close()[0].taken.len(), hours);
        window = berlin.next_window(window);
    }
}

#[test]
fn a_batch_says_of_each_interval_what_entered_whether_it_was_clamped_or_that_it_is_missing() {
    let window = MeterWindow {
        meter: 4,
        window: WindowStart(10_800),
        taken: vec![energy(6 * WH, true), Taken::Missing, energy(-WH, false)],
    };
    let mut remainder = MicroWattHours(WH);
    let entered = |wh, clamped| Some(Entered { wh, clamped });
    let batch = window.enter(Scale::of(4), &mut remainder);
    assert_eq!(batch.readings, [entered(8, true), None, entered(-4, false)]);
    assert_eq!(remainder, MicroWattHours(2 * WH));
}
