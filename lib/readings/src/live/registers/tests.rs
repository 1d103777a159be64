use proptest::prelude::*;

use super::*;

const KWH: i64 = 1_000 * MicroWattHours::PER_WH;

fn rules(tolerance_s: u32) -> RegisterRules {
    RegisterRules {
        interval_s: 900,
        tolerance_s,
        capacity: None,
    }
}

fn registers(rules: RegisterRules, reads: &[(u64, i64)]) -> Registers {
    let mut registers = Registers::new(rules);
    for &(at, register) in reads {
        registers.read(at, MicroWattHours(register)).unwrap();
    }
    registers
}

fn energies(registers: &Registers, intervals: u64) -> Vec<Result<i64, Gap>> {
    let of = |number: u64| registers.interval(number * 900);
    let energy = |counted: Counted| counted.energy.0;
    (0..intervals)
        .map(|number| of(number).map(energy))
        .collect()
}

fn read(at: u64, register: i64) -> RegisterRead {
    RegisterRead {
        at,
        register: MicroWattHours(register),
    }
}

#[test]
fn an_interval_without_a_read_at_both_its_ends_is_missing() {
    let registers = registers(rules(0), &[(0, 10), (900, 25), (2_700, 60), (3_601, 99)]);
    assert_eq!(
        energies(&registers, 5),
        [
            Ok(15),
            Err(Gap::End),
            Err(Gap::Start),
            Err(Gap::End),
            Err(Gap::Start)
        ]
    );
}

#[test]
fn of_two_reads_near_an_end_the_nearest_counts_for_both_intervals() {
    let reads = [(0, 0), (880, 10), (895, 12), (910, 13), (1_805, 20)];
    let registers = registers(rules(30), &reads);
    assert_eq!(energies(&registers, 2), [Ok(12), Ok(8)]);
    assert_eq!(registers.kept.len(), 3, "the others are not kept");
}

#[test]
fn reads_between_the_ends_change_nothing_and_are_not_kept() {
    let mut registers = registers(rules(30), &[(0, 0), (900, 50)]);
    let change = registers.read(1_200, MicroWattHours(60)).unwrap().unwrap();
    assert_eq!(change, ReadChange::default());
    registers.read(1_800, MicroWattHours(70)).unwrap();
    assert_eq!(energies(&registers, 2), [Ok(50), Ok(20)]);
}

#[test]
fn a_repeated_read_is_ignored_and_another_one_of_the_same_instant_is_refused() {
    let mut registers = registers(rules(0), &[(0, 5), (450, 6)]);
    assert_eq!(registers.read(0, MicroWattHours(5)), Ok(None));
    assert_eq!(registers.read(450, MicroWattHours(6)), Ok(None));
    let other = OtherRead {
        register: MicroWattHours(5),
    };
    assert_eq!(registers.read(0, MicroWattHours(7)), Err(other));
}

#[test]
fn a_swap_costs_the_interval_it_falls_in_and_nothing_else() {
    // The old meter is read out at 1,000 s and the new one begins at 0.
    let reads = [
        (0, 80 * KWH),
        (900, 81 * KWH),
        (1_000, 82 * KWH),
        (1_001, 0),
        (1_800, KWH),
        (2_700, 3 * KWH),
    ];
    let registers = registers(rules(0), &reads);
    assert_eq!(
        energies(&registers, 3),
        [Ok(KWH), Err(Gap::Swap), Ok(2 * KWH)]
    );
}

#[test]
fn a_register_that_was_set_back_and_has_caught_up_is_seen_by_the_reads_in_between() {
    // Set back at midnight, and above what it was at the end of the interval.
    let reads = [(0, 50), (300, 60), (310, 0), (900, 90), (1_800, 100)];
    let registers = registers(rules(0), &reads);
    assert_eq!(energies(&registers, 2), [Err(Gap::Swap), Ok(10)]);
}

#[test]
fn a_roll_over_is_counted_through_and_said() {
    let power = 100_000 * KWH;
    let registers = registers(rules(0), &[(0, power - 2 * KWH), (900, 3 * KWH)]);
    let counted = registers.interval(0).unwrap();
    assert_eq!(
        counted,
        Counted {
            energy: MicroWattHours(5 * KWH),
            rolled_over: true
        }
    );
}

#[test]
fn a_fall_is_a_roll_over_only_near_a_power_of_ten_and_where_the_energy_is_plausible() {
    let rolls = |from, to, capacity: Option<u64>| {
        let happened = step(read(0, from), read(900, to), capacity.map(Watts));
        matches!(happened, Step::RollOver(_))
    };
    assert!(rolls(99_999 * KWH, KWH, None));
    assert!(rolls(9_999 * KWH, 0, None));
    assert!(!rolls(99_999 * KWH, 2_000 * KWH, None), "2 % of the power");
    assert!(!rolls(50_000 * KWH, 0, None));
    assert!(!rolls(999 * KWH, 0, None), "no meter has three figures");
    // 10 kW are 2.5 kWh in a quarter of an hour, and ten times that is believed.
    assert!(rolls(99_990 * KWH, 10 * KWH, Some(10_000)));
    assert!(!rolls(99_980 * KWH, 10 * KWH, Some(10_000)));
}

#[test]
fn a_rise_that_the_meter_cannot_have_drawn_is_another_meter() {
    let happened = |to| step(read(0, 0), read(900, to), Some(Watts(10_000)));
    let believed = 25 * KWH;
    assert_eq!(happened(believed), Step::Energy(MicroWattHours(believed)));
    assert_eq!(happened(believed + 1), Step::Swap);
}

#[test]
fn what_was_kept_gives_the_same_intervals_when_it_is_restored() {
    let reads = [
        (0, 70),
        (890, 80),
        (905, 85),
        (1_300, 99),
        (1_310, 4),
        (1_799, 9),
        (2_700, 30),
    ];
    let mut registers = Registers::new(rules(30));
    let mut kept = BTreeMap::new();
    for (at, register) in reads {
        let change = registers.read(at, MicroWattHours(register)).unwrap();
        let change = change.unwrap();
        kept.extend(change.put.iter().map(|read| (read.at, read.register)));
        for at in change.dropped {
            kept.remove(&at);
        }
    }
    let mut restored = Registers::new(rules(30));
    for (at, register) in kept {
        restored.restore(RegisterRead { at, register });
    }
    assert_eq!(restored.kept, registers.kept);
    assert_eq!(energies(&restored, 3), energies(&registers, 3));
    assert_eq!(energies(&restored, 3), [Ok(15), Err(Gap::Swap), Ok(21)]);
}

#[test]
fn what_is_forgotten_is_missing_and_the_rest_stays() {
    let mut registers = registers(rules(0), &[(0, 0), (900, 1), (1_800, 3)]);
    registers.forget_before(900);
    assert_eq!(registers.span(), Some((900, 1_800)));
    assert_eq!(energies(&registers, 2), [Err(Gap::Start), Ok(2)]);
}

/// Reads of a register that never falls, one at most a second, as instants and what it counts in between.
fn rising() -> impl Strategy<Value = Vec<(u64, i64)>> {
    proptest::collection::btree_map(0_u64..9_000, 0_i64..1_000_000, 0..60).prop_map(|steps| {
        let mut register = 0;
        let count = |(at, step)| {
            register += step;
            (at, register)
        };
        steps.into_iter().map(count).collect()
    })
}

proptest! {
    #[test]
    fn an_interval_has_energy_if_and_only_if_both_its_ends_have_a_read(
        reads in rising(), tolerance_s in 0_u32..400,
    ) {
        let registers = registers(rules(tolerance_s), &reads);
        let nearest = |end: u64| {
            let near = reads.iter().filter(|(at, _)| at.abs_diff(end) <= u64::from(tolerance_s));
            near.min_by_key(|(at, _)| (at.abs_diff(end), *at)).map(|(_, register)| *register)
        };
        for number in 0..10 {
            let ends = (nearest(number * 900), nearest(number * 900 + 900));
            let expected = match ends {
                (Some(first), Some(last)) => Ok(last - first),
                (None, _) => Err(Gap::Start),
                (_, None) => Err(Gap::End),
            };
            prop_assert_eq!(registers.interval(number * 900).map(|counted| counted.energy.0), expected);
        }
    }

    #[test]
    fn the_order_of_reads_is_of_no_matter(
        (reads, shuffled) in rising().prop_flat_map(|reads| (Just(reads.clone()), Just(reads).prop_shuffle())),
        tolerance_s in 0_u32..400,
    ) {
        let sorted = registers(rules(tolerance_s), &reads);
        let mut other = Registers::new(rules(tolerance_s));
        for (at, register) in shuffled {
            other.read(at, MicroWattHours(register)).unwrap();
        }
        prop_assert_eq!(energies(&other, 10), energies(&sorted, 10));
    }

    #[test]
    fn a_swap_leaves_every_other_interval_as_it_was(reads in rising(), at in 0_u64..9_000) {
        // From `at` on, another meter that shows less than any read of the old one.
        let swapped: Vec<_> = reads.iter().map(|&(time, register)| match time < at {
            true => (time, 5_000 * KWH + register),
            false => (time, register),
        }).collect();
        let whole = energies(&registers(rules(0), &reads), 10);
        let parts = energies(&registers(rules(0), &swapped), 10);
        for (number, (whole, part)) in (0_u64..).zip(whole.iter().zip(&parts)) {
            let across = number * 900 < at && at <= (number + 1) * 900;
            let expected = match (across, whole) {
                (true, Ok(_)) => Err(Gap::Swap),
                (_, whole) => *whole,
            };
            prop_assert_eq!(*part, expected);
        }
    }

    #[test]
    fn a_register_of_few_figures_counts_as_one_of_many(reads in rising(), before in 0_i64..40_000_000) {
        let power = 10_000 * KWH;
        let long: Vec<_> = reads.iter().map(|&(at, register)| (at, power - before + register)).collect();
        let short: Vec<_> = long.iter().map(|&(at, register)| (at, register % power)).collect();
        prop_assert_eq!(energies(&registers(rules(0), &short), 10), energies(&registers(rules(0), &long), 10));
    }

    #[test]
    fn any_reads_whatever_are_taken_without_a_panic(
        reads in proptest::collection::vec((any::<u64>(), any::<i64>()), 0..40),
        interval_s in any::<u32>(), tolerance_s in any::<u32>(), capacity in proptest::option::of(any::<u64>()),
    ) {
        let capacity = capacity.map(Watts);
        let mut registers = Registers::new(RegisterRules { interval_s, tolerance_s, capacity });
        for &(at, register) in &reads {
            let _ = registers.read(at, MicroWattHours(register));
        }
        for (at, _) in reads {
            let _ = registers.interval(at);
        }
    }
}
