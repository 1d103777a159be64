//! The BDEW standard load profiles of 2025, which the simulated fleet follows.
//!
//! A profile is the mean demand of many customers of one kind, a value for every quarter hour of a day, by
//! month and type of day. The figures are those of `data/bdew_standard_load_profiles_2025.csv`, embedded. H25
//! and P25 vary over the year beyond their months: BDEW has them multiplied by the *dynamisation*
//! function of the day of the year ([`dynamisation`]). Public holidays, which BDEW counts as Sundays, are left
//! out, since they depend on the place.

use std::sync::LazyLock;

use jiff::civil::{Date, Weekday};

/// Quarter hours of a day.
pub(super) const QUARTERS: usize = 96;

/// A standard load profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    /// H25: households.
    Household,
    /// G25: businesses.
    Business,
    /// P25: households with solar panels; what they draw from the grid, not what they export.
    Solar,
}

impl Profile {
    /// All profiles, in the order of their discriminants.
    pub(super) const ALL: [Self; 3] = [Self::Household, Self::Business, Self::Solar];

    /// The name BDEW gives it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Household => "H25",
            Self::Business => "G25",
            Self::Solar => "P25",
        }
    }

    /// Mean demand of a day: watt-hours in each quarter hour, for each kWh of a customer's annual consumption.
    pub(super) fn day(self, date: Date) -> [f64; QUARTERS] {
        let month = date.month().unsigned_abs() as usize - 1;
        let table = &TABLES[self as usize][month * 3 + day_type(date)];
        let factor = match self {
            Self::Household | Self::Solar => dynamisation(date.day_of_year()),
            Self::Business => 1.0,
        };
        // The table is in kWh for a million kWh: a thousandth of a Wh for one kWh.
        table.map(|kwh| kwh * factor / 1_000.0)
    }
}

/// The dynamisation function: a factor for each day of the year (1 to 366) that BDEW applies to household profiles,
/// highest in winter.
///
/// Source: VDEW, *Repräsentative VDEW-Lastprofile* (1999), with the same coefficients for H25 and P25 in BDEW's
/// *Standardlastprofile Strom* (2025). With it, the days of 2025 sum to within 1 % of the annual consumption.
pub(super) fn dynamisation(day_of_year: i16) -> f64 {
    let t = f64::from(day_of_year);
    let f = (((-3.92e-10 * t + 3.2e-7) * t - 7.02e-5) * t + 2.1e-3) * t + 1.24;
    (f * 1e4).round() / 1e4
}

/// 0 workday, 1 Saturday, 2 Sunday.
fn day_type(date: Date) -> usize {
    match date.weekday() {
        Weekday::Saturday => 1,
        Weekday::Sunday => 2,
        _ => 0,
    }
}

/// Profile, then month × 3 + day type, then quarter hour.
type Tables = [[[f64; QUARTERS]; 36]; 3];

static TABLES: LazyLock<Box<Tables>> = LazyLock::new(|| {
    parse(include_str!(
        "../../../../data/bdew_standard_load_profiles_2025.csv"
    ))
});

/// Reads the embedded file. Panics on a malformed one, which the tests of this module rule out.
fn parse(text: &str) -> Box<Tables> {
    let mut tables = Box::new([[[f64::NAN; QUARTERS]; 36]; 3]);
    let mut lines = text.lines();
    let columns: Vec<usize> = lines
        .next()
        .into_iter()
        .flat_map(|header| header.split(',').skip(2).map(column))
        .collect();
    for line in lines {
        let mut fields = line.split(',');
        let name = fields.next().unwrap_or_default();
        let Some(profile) = Profile::ALL.into_iter().find(|p| p.name() == name) else {
            continue;
        };
        let quarter: usize = number(fields.next());
        for &column in &columns {
            tables[profile as usize][column][quarter] = number(fields.next());
        }
    }
    tables
}

/// Place of a column such as `m01_saturday` in [`Tables`].
fn column(name: &str) -> usize {
    let month: usize = number(name.get(1..3));
    let day_type = match name.get(4..) {
        Some("workday") => 0,
        Some("saturday") => 1,
        Some("sunday") => 2,
        _ => panic!("the embedded profiles have a column {name:?}"),
    };
    (month - 1) * 3 + day_type
}

fn number<T: std::str::FromStr>(field: Option<&str>) -> T {
    field
        .and_then(|f| f.parse().ok())
        .expect("the embedded profiles hold a number here")
}

#[cfg(test)]
mod tests {
    use jiff::{ToSpan, civil::date};

    use super::*;

    #[test]
    fn every_value_of_every_profile_is_there() {
        assert!(
            TABLES
                .iter()
                .flatten()
                .flatten()
                .all(|v| v.is_finite() && *v > 0.0)
        );
    }

    #[test]
    fn values_are_those_of_the_file() {
        // First and last row of H25, read from the file by eye.
        assert_eq!(TABLES[0][0][0], 20.126);
        assert_eq!(TABLES[0][1][0], 22.152);
        assert_eq!(TABLES[0][2][0], 23.148);
        assert_eq!(TABLES[0][35][1], 21.446);
    }

    #[test]
    fn a_year_has_the_annual_consumption() {
        for profile in Profile::ALL {
            let mut day = date(2025, 1, 1);
            let mut wh = 0.0;
            while day.year() == 2025 {
                wh += profile.day(day).iter().sum::<f64>();
                day += 1.day();
            }
            // Without holidays, a business year comes out a little high.
            assert!(
                (wh / 1_000.0 - 1.0).abs() < 0.02,
                "{}: {wh}",
                profile.name()
            );
        }
    }

    #[test]
    fn a_january_workday_of_households_peaks_in_the_evening() {
        let day = Profile::Household.day(date(2025, 1, 15));
        let mean = day.iter().sum::<f64>() / 96.0;
        let (peak, max) = day
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .unwrap();
        let min = day.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(peak, 75, "18:45");
        assert!((max / min - 2.82).abs() < 0.005);
        assert!((mean / max - 0.612).abs() < 0.001);
    }
}
