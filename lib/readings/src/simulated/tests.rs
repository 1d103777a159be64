use proptest::prelude::*;

use super::bdew::Profile;
use super::*;
use crate::clamp;

/// Wednesday, 15 January 2025, 00:00 UTC.
const JANUARY: u64 = 1_736_899_200;
/// Sunday, 22 June 2025, 00:00 UTC.
const JUNE: u64 = 1_750_550_400;
const QUARTER: u32 = 900;

const BUSINESSES: Mix = Mix {
    household: 0.0,
    business: 1.0,
    solar: 0.0,
};
const SOLAR: Mix = Mix {
    household: 0.0,
    business: 0.0,
    solar: 1.0,
};

fn fleet(meters: u32, seed: u64, mix: Mix) -> Simulated {
    Simulated::new(&FleetOptions {
        meters,
        seed,
        mix,
        ..FleetOptions::default()
    })
    .unwrap()
}

/// Readings in millionths of a watt-hour.
fn read(fleet: &mut Simulated, start: u64, interval_s: u32) -> Vec<i64> {
    let mut out = Vec::new();
    fleet
        .read(UnixSeconds(start), interval_s, &mut out)
        .unwrap();
    out.iter()
        .map(|reading| match reading {
            Reading::Energy(energy) => energy.0,
            Reading::Missing => panic!("a simulated reading is never missing"),
        })
        .collect()
}

/// A day from `start`: for each meter, watt-hours by quarter hour.
fn day(fleet: &mut Simulated, start: u64) -> Vec<Vec<f64>> {
    let mut days = vec![Vec::new(); fleet.meters().len()];
    for quarter in 0..96 {
        let readings = read(fleet, start + quarter * u64::from(QUARTER), QUARTER);
        for (day, energy) in days.iter_mut().zip(readings) {
            day.push(energy as f64 / MicroWattHours::PER_WH as f64);
        }
    }
    days
}

fn sum(days: &[Vec<f64>]) -> Vec<f64> {
    (0..96).map(|q| days.iter().map(|d| d[q]).sum()).collect()
}

fn profile(profile: Profile, start: u64) -> [f64; 96] {
    let at = Timestamp::from_second(start as i64).unwrap();
    profile.day(TimeZone::UTC.to_datetime(at).date())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn load_factor(values: &[f64]) -> f64 {
    mean(values) / values.iter().copied().fold(f64::MIN, f64::max)
}

/// Standard deviation over mean.
fn variation(values: &[f64]) -> f64 {
    let m = mean(values);
    let squares: Vec<f64> = values.iter().map(|v| (v - m).powi(2)).collect();
    mean(&squares).sqrt() / m
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let ma = mean(a);
    let mb = mean(b);
    let products = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    products(a, ma, b, mb) / (products(a, ma, a, ma) * products(b, mb, b, mb)).sqrt()
}

#[test]
fn a_thousand_households_follow_h25() {
    for (seed, start) in [(1, JANUARY), (2, JANUARY), (3, JUNE), (4, JUNE)] {
        let mut fleet = fleet(1_000, seed, Mix::HOUSEHOLDS);
        let total = sum(&day(&mut fleet, start));
        let h25 = profile(Profile::Household, start);

        let correlation = correlation(&total, &h25);
        assert!(correlation >= 0.98, "seed {seed}: {correlation}");
        let ratio = load_factor(&total) / load_factor(&h25);
        assert!((ratio - 1.0).abs() <= 0.05, "seed {seed}: {ratio}");
        // And not only the shape: the energy is what the customers' annual consumption says.
        let annual: f64 = (0..1_000).filter_map(|i| fleet.annual_kwh(i)).sum();
        let energy = total.iter().sum::<f64>() / (h25.iter().sum::<f64>() * annual);
        assert!((energy - 1.0).abs() < 0.02, "seed {seed}: {energy}");
    }
}

#[test]
fn businesses_and_what_solar_homes_draw_follow_their_profiles() {
    for (kind, mix) in [(Profile::Business, BUSINESSES), (Profile::Solar, SOLAR)] {
        // In January, panels export next to nothing.
        let mut fleet = fleet(2_000, 5, mix);
        let total = sum(&day(&mut fleet, JANUARY));
        let expected = profile(kind, JANUARY);
        let night: Vec<usize> = (0..28).chain(68..96).collect();
        let pick = |values: &[f64]| night.iter().map(|&q| values[q]).collect::<Vec<_>>();
        let correlation = correlation(&pick(&total), &pick(&expected));
        assert!(correlation >= 0.98, "{}: {correlation}", kind.name());
    }
}

#[test]
fn one_home_is_nothing_like_the_mean() {
    let mut fleet = fleet(1_000, 1, Mix::HOUSEHOLDS);
    let days = day(&mut fleet, JANUARY);
    let together = variation(&sum(&days));
    let alone: Vec<f64> = days.iter().map(|d| variation(d)).collect();
    assert!((0.25..0.35).contains(&together), "{together}");
    assert!(mean(&alone) > 0.8, "{}", mean(&alone));
    let calm = alone.iter().filter(|v| **v < 1.5 * together).count();
    assert!(calm < 50, "{calm} of 1000 homes are as smooth as their sum");
    // No two homes are alike.
    let mut distinct: Vec<&Vec<f64>> = days.iter().collect();
    distinct.sort_by(|a, b| a.partial_cmp(b).unwrap());
    distinct.dedup();
    assert_eq!(distinct.len(), 1_000);
    // And no two days of a home.
    let tomorrow = day(&mut fleet, JANUARY + u64::from(DAY));
    assert!(days.iter().zip(&tomorrow).all(|(a, b)| a != b));
}

#[test]
fn solar_homes_export_by_day_and_draw_by_night() {
    let days = day(&mut fleet(500, 1, SOLAR), JUNE);
    let total = sum(&days);
    assert!(total[48] < 0.0, "noon: {}", total[48]);
    assert!(total[4] > 0.0 && total[92] > 0.0);
    assert!(days.iter().all(|d| d[..12].iter().all(|wh| *wh >= 0.0)));
    let mut households = fleet(500, 1, Mix::HOUSEHOLDS);
    assert!(
        day(&mut households, JUNE)
            .iter()
            .flatten()
            .all(|wh| *wh >= 0.0)
    );
}

#[test]
fn the_mix_is_kept_in_every_neighbourhood() {
    let fleet = fleet(10_000, 9, Mix::SUBURB);
    let share = |kind, range: std::ops::Range<usize>| {
        let n = range.len() as f64;
        range.filter(|&i| fleet.profile(i) == Some(kind)).count() as f64 / n
    };
    for start in (0..10_000).step_by(500) {
        let range = start..start + 500;
        assert!((share(Profile::Household, range.clone()) - 0.86).abs() < 0.02);
        assert!((share(Profile::Business, range.clone()) - 0.04).abs() < 0.02);
        assert!((share(Profile::Solar, range) - 0.10).abs() < 0.02);
    }
    assert_eq!(fleet.profile(10_000), None);
}

#[test]
fn readings_stay_within_the_declared_capacity() {
    for mix in [Mix::HOUSEHOLDS, BUSINESSES, SOLAR] {
        let mut fleet = fleet(300, 11, mix);
        for (start, interval_s) in [(JANUARY, 900), (JUNE, 900), (JANUARY, 60), (JUNE, 3_600)] {
            for i in 0..u64::from(DAY / interval_s) {
                let start = start + i * u64::from(interval_s);
                let readings = read(&mut fleet, start, interval_s);
                for (spec, energy) in fleet.meters().iter().zip(readings) {
                    let (_, clamped) = clamp(MicroWattHours(energy), spec.capacity_w, interval_s);
                    assert!(!clamped, "{spec:?} {energy} µWh in {interval_s} s");
                }
            }
        }
    }
}

#[test]
fn parts_of_a_fleet_are_the_fleet() {
    let mut whole = fleet(100, 3, Mix::SUBURB);
    let mut part = Simulated::new(&FleetOptions {
        first: 40,
        meters: 60,
        seed: 3,
        mix: Mix::SUBURB,
        ..FleetOptions::default()
    })
    .unwrap();
    assert_eq!(whole.meters()[40..], *part.meters());
    assert_eq!(part.meters()[0].id.as_str(), "meter-000041");
    let all = read(&mut whole, JANUARY, QUARTER);
    assert_eq!(all[40..], read(&mut part, JANUARY, QUARTER));
}

#[test]
fn people_live_by_the_wall_clock() {
    let of = |time_zone: &str, start| {
        let mut fleet = Simulated::new(&FleetOptions {
            meters: 300,
            time_zone: time_zone.to_owned(),
            ..FleetOptions::default()
        })
        .unwrap();
        sum(&day(&mut fleet, start))
    };
    let peak = |day: &[f64]| (0..96).max_by(|&a, &b| day[a].total_cmp(&day[b])).unwrap();
    let utc = of("UTC", JANUARY);
    let kolkata = of("Asia/Kolkata", JANUARY);
    // 18:45 by either clock; five and a half hours are 22 quarters.
    assert!(peak(&utc).abs_diff(75) < 6, "{}", peak(&utc));
    assert!((peak(&kolkata) + 22).abs_diff(75) < 6, "{}", peak(&kolkata));
    // 30 March and 26 October 2025 in Berlin: the clock changes at 01:00 UTC.
    for change in [1_743_292_800, 1_761_436_800] {
        assert!(of("Europe/Berlin", change).iter().all(|wh| *wh > 0.0));
    }
}

#[test]
fn the_same_seed_gives_the_same_readings_on_every_machine() {
    // A change of these is a change of every simulated fleet: say so in the commit.
    let mut fleet = fleet(8, 1, Mix::SUBURB);
    assert_eq!(read(&mut fleet, JUNE + 43_200, 3_600), GOLDEN_HOUR);
}

const GOLDEN_HOUR: [i64; 8] = [
    333_027_068,
    -2_004_098_602,
    462_434_853,
    594_918_001,
    115_329_507,
    519_803_093,
    100_004_941,
    184_466_340,
];

#[test]
fn impossible_fleets_are_refused_by_name() {
    let refused = |options: FleetOptions| Simulated::new(&options).unwrap_err().to_string();
    let default = FleetOptions::default;
    let no_meters = refused(FleetOptions {
        meters: 0,
        ..default()
    });
    assert!(no_meters.contains("meters is 0"), "{no_meters}");
    let past_the_end = FleetOptions {
        first: u32::MAX,
        ..default()
    };
    assert!(refused(past_the_end).contains("meters is 100"));
    for share in [-0.1, f64::NAN, f64::INFINITY, 0.0] {
        let mix = Mix {
            household: share,
            business: 0.0,
            solar: 0.0,
        };
        assert!(refused(FleetOptions { mix, ..default() }).contains("mix is"));
    }
    let prefix = FleetOptions {
        id_prefix: "Meter".to_owned(),
        ..default()
    };
    assert!(refused(prefix).contains("id_prefix is Meter"));
    let zone = FleetOptions {
        time_zone: "Berlin".to_owned(),
        ..default()
    };
    assert!(refused(zone).contains("\"Berlin\""));
}

#[test]
fn impossible_intervals_are_refused_by_name() {
    let mut fleet = fleet(3, 1, Mix::HOUSEHOLDS);
    let mut out = vec![Reading::Missing];
    for interval_s in [0, 7, 50_000, 86_401, u32::MAX] {
        let error = fleet
            .read(UnixSeconds(0), interval_s, &mut out)
            .unwrap_err();
        assert!(error.to_string().contains(&format!("{interval_s} s")));
        assert!(out.is_empty());
    }
    for start in [END, END - 1, u64::MAX] {
        let error = fleet.read(UnixSeconds(start), 900, &mut out).unwrap_err();
        assert!(matches!(error, SourceError::OutOfRange { .. }));
    }
    assert!(fleet.read(UnixSeconds(END - 900), 900, &mut out).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn readings_add_up(
        seed: u64,
        start in 0u64..4_000_000_000,
        long in prop::sample::select(vec![86_400u32, 3_600, 1_800, 900, 675, 400, 60]),
        parts in prop::sample::select(vec![2u32, 3, 4, 5]),
        mix in prop::sample::select(vec![Mix::HOUSEHOLDS, BUSINESSES, SOLAR]),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"]),
    ) {
        prop_assume!(long % parts == 0);
        let mut fleet = Simulated::new(&FleetOptions {
            meters: 5,
            seed,
            mix,
            time_zone: zone.to_owned(),
            ..FleetOptions::default()
        }).unwrap();
        let whole = read(&mut fleet, start, long);
        let mut added = vec![0; 5];
        for part in 0..parts {
            let start = start + u64::from(part * (long / parts));
            for (sum, energy) in added.iter_mut().zip(read(&mut fleet, start, long / parts)) {
                *sum += energy;
            }
        }
        prop_assert_eq!(whole, added);
    }

    #[test]
    fn a_reading_depends_on_nothing_but_its_question(
        seed: u64,
        starts in prop::collection::vec(0u64..4_000_000_000, 1..8),
    ) {
        let ask = |fleet: &mut Simulated, start: &u64| read(fleet, start - start % 900, 900);
        let mut kept = fleet(5, seed, Mix::SUBURB);
        let forward: Vec<_> = starts.iter().map(|s| ask(&mut kept, s)).collect();
        let mut backward: Vec<_> = starts
            .iter()
            .rev()
            .map(|s| ask(&mut fleet(5, seed, Mix::SUBURB), s))
            .collect();
        backward.reverse();
        prop_assert_eq!(forward, backward);
    }
}
