use jiff::civil::date;

use super::*;

const HOUR: u64 = 3_600;

fn rule(band: u8, hours: (u16, u16), days: u8, season: Option<(u16, u16)>) -> BandRule {
    BandRule {
        band,
        minutes: (hours.0 * 60, hours.1 * 60),
        days,
        season,
    }
}

fn tariff(rules: Vec<BandRule>, holidays: Vec<u32>) -> Tariff {
    Tariff {
        period: BillingPeriod::Month,
        bands: ["low", "peak", "winter"]
            .map(|name| name.parse().unwrap())
            .to_vec(),
        versions: vec![TariffVersion {
            from: WindowStart(0),
            otherwise: 0,
            rules,
            holidays,
        }],
    }
}

fn berlin() -> Grid {
    Grid::of_days(3_600, "Europe/Berlin".parse().unwrap()).unwrap()
}

fn day(grid: &Grid, day: Date) -> WindowStart {
    WindowStart(day_start(grid.zone(), day).0)
}

/// The intervals of a day that are in a band.
fn hours(tariff: &Tariff, grid: &Grid, on: Date, band: u8) -> Vec<usize> {
    let bands = tariff.bands_of(grid, day(grid, on)).unwrap();
    let of_band = bands
        .iter()
        .enumerate()
        .filter(|(_, other)| **other == band);
    of_band.map(|(k, _)| k).collect()
}

#[test]
fn a_band_holds_by_local_time_day_type_holiday_and_season() {
    let workdays = DayType::Workday as u8;
    let rules = vec![
        rule(1, (8, 10), workdays, Some((401, 930))),
        rule(
            2,
            (8, 9),
            workdays | DayType::Holiday as u8,
            Some((1_001, 331)),
        ),
    ];
    let grid = berlin();
    let tariff = tariff(rules, vec![day_number(date(2026, 12, 25))]);
    assert_eq!(tariff.check(3_600), Ok(()));
    for (on, peak, winter) in [
        (date(2026, 6, 1), vec![8, 9], vec![]), // a Monday
        (date(2026, 6, 6), vec![], vec![]),
        (date(2026, 6, 7), vec![], vec![]),
        (date(2026, 9, 30), vec![8, 9], vec![]),
        (date(2026, 10, 1), vec![], vec![8]),
        (date(2026, 12, 25), vec![], vec![8]), // a Friday
        (date(2026, 12, 26), vec![], vec![]),
    ] {
        assert_eq!(hours(&tariff, &grid, on, 1), peak, "{on}");
        assert_eq!(hours(&tariff, &grid, on, 2), winter, "{on}");
    }
}

#[test]
fn clocks_that_change_move_intervals_and_not_bands() {
    let tariff = tariff(vec![rule(1, (2, 4), 15, None)], vec![]);
    let grid = berlin();
    for (on, len, peak) in [
        (date(2026, 3, 29), 23, vec![2]), // 2 to 3 is passed over
        (date(2026, 10, 25), 25, vec![2, 3, 4]),
        (date(2026, 10, 26), 24, vec![2, 3]),
    ] {
        assert_eq!(usize::from(grid.intervals(day(&grid, on))), len);
        assert_eq!(hours(&tariff, &grid, on, 1), peak, "{on}");
    }
}

#[test]
fn a_version_holds_from_its_first_window_and_none_before() {
    let mut tariff = tariff(vec![rule(1, (0, 24), 15, None)], vec![]);
    let grid = berlin();
    let [first, second] = [date(2026, 1, 1), date(2026, 1, 16)].map(|date| day(&grid, date));
    tariff.versions[0].from = first;
    tariff.versions.push(TariffVersion {
        from: second,
        otherwise: 2,
        rules: vec![],
        holidays: vec![],
    });
    let before = grid.window_before(first).unwrap();
    assert_eq!(tariff.bands_of(&grid, before), None);
    for (window, band) in [
        (first, 1),
        (grid.window_before(second).unwrap(), 1),
        (second, 2),
    ] {
        assert_eq!(tariff.bands_of(&grid, window), Some(vec![band; 24]));
    }
}

#[test]
fn what_has_begun_goes_on_as_it_was() {
    let earlier = tariff(vec![rule(1, (0, 24), 15, None)], vec![]);
    let begun = WindowStart(1_000);
    let changed = |change: &dyn Fn(&mut Tariff)| {
        let mut tariff = earlier.clone();
        change(&mut tariff);
        tariff.goes_on_from(&earlier, begun)
    };
    let add = |from| {
        move |tariff: &mut Tariff| {
            let version = TariffVersion {
                from: WindowStart(from),
                ..tariff.versions[0].clone()
            };
            tariff.versions.push(version);
        }
    };
    assert!(changed(&|_| {}));
    assert!(changed(&add(1_001)));
    assert!(changed(&|tariff| tariff.bands.push("new".parse().unwrap())));
    assert!(!changed(&add(1_000)));
    assert!(!changed(&|tariff| tariff.bands.swap(0, 1)));
    assert!(!changed(&|tariff| tariff.versions[0].otherwise = 2));
    assert!(!changed(&|tariff| tariff.period = BillingPeriod::Windows(3)));
}

#[test]
fn a_period_is_a_local_month_or_a_number_of_windows() {
    let grid = berlin();
    let month = tariff(vec![], vec![]);
    let days = Tariff {
        period: BillingPeriod::Windows(7),
        ..month.clone()
    };
    let (first, next) = (day(&grid, date(2026, 10, 1)), day(&grid, date(2026, 11, 1)));
    for on in [1, 25, 31] {
        let window = day(&grid, date(2026, 10, on));
        assert_eq!(month.period_of(&grid, window), (first, next));
        let (begin, end) = days.period_of(&grid, window);
        assert!(begin <= window && window < end && grid.after(begin, 7) == end);
        assert_eq!(days.period_of(&grid, begin), (begin, end));
        let last = grid.window_before(end).unwrap();
        assert_eq!(days.period_of(&grid, last), (begin, end));
    }
    // Windows of four hours: the one that begins at midnight is the first of the month.
    let plain = Grid::new(3_600, 4).unwrap();
    let november = 1_793_491_200; // 2026-11-01 UTC
    assert_eq!(month.period_of(&plain, WindowStart(november)).0.0, november);
    assert_eq!(
        month
            .period_of(&plain, WindowStart(november - 4 * HOUR))
            .1
            .0,
        november
    );
    assert_eq!(days.period_of(&plain, WindowStart(0)).1.0, 28 * HOUR);
    assert_eq!(days.most_intervals(&plain), 28);
    assert!(month.most_intervals(&grid) > 31 * 24);
}

#[test]
fn bands_that_overlap_or_cut_an_interval_are_refused() {
    let refused = |rules: Vec<BandRule>| tariff(rules, vec![]).check(3_600).is_err();
    let summer = Some((401, 930));
    let winter = Some((1_001, 331));
    assert!(!refused(vec![
        rule(1, (8, 10), 1, summer),
        rule(2, (8, 10), 1, winter)
    ]));
    assert!(!refused(vec![
        rule(1, (8, 10), 1, None),
        rule(2, (8, 10), 2, None)
    ]));
    assert!(!refused(vec![
        rule(1, (8, 10), 1, None),
        rule(2, (10, 12), 1, None)
    ]));
    assert!(!refused(vec![
        rule(1, (8, 10), 1, None),
        rule(1, (9, 12), 1, None)
    ]));
    assert!(refused(vec![
        rule(1, (8, 10), 1, None),
        rule(2, (9, 12), 3, summer)
    ]));
    assert!(refused(vec![
        rule(1, (8, 10), 1, Some((1_201, 131))),
        rule(2, (8, 10), 1, winter)
    ]));
    assert!(refused(vec![rule(3, (8, 10), 1, None)]));
    assert!(refused(vec![rule(1, (10, 10), 1, None)]));
    let mut half = tariff(vec![rule(1, (8, 10), 1, None)], vec![]);
    half.versions[0].rules[0].minutes.0 += 30;
    assert!(half.check(3_600).is_err());
    assert_eq!(half.check(1_800), Ok(()));
}
