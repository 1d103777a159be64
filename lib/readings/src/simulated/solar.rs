//! What solar panels export: a sun, some weather, and the house in between.
//!
//! P25 says what homes with panels draw from the grid. What they send into it is the panels' output less what the
//! house takes at the time, where that is positive. A home's reading is draw minus export; within a
//! quarter hour there can be both.

use super::mix;

/// Latitude of the fleet: 51° north, the middle of Germany. Cosine and sine.
const LATITUDE: (f64, f64) = (0.629_320, 0.777_146);
/// Sine of the greatest declination of the sun, 23.44°.
const TILT: f64 = 0.397_789;

/// Output of unshaded panels under a clear sky, in watts for each watt of their rating, at second `second` of
/// solar time of a day, counted from the Unix epoch.
///
/// The elevation of the sun is `sin φ sin δ + cos φ cos δ cos h`; the air takes a share that grows
/// as the sun sinks.
pub(super) fn clear_sky(day: i64, second: f64) -> f64 {
    // The winter solstice is ten days before the new year in which the epoch starts.
    let year = cosine((day as f64 + 11.0) / 365.25);
    let declination = -TILT * year;
    let across = (1.0 - declination * declination).sqrt();
    let hour = cosine(second / 86_400.0 - 0.5);
    let elevation = LATITUDE.1 * declination + LATITUDE.0 * across * hour;
    if elevation <= 0.0 {
        return 0.0;
    }
    elevation * elevation / (elevation + 0.1)
}

/// The share of the clear-sky output that the weather leaves, in (0.1, 1]: a cloudiness for the day, the
/// same for the whole fleet, and a change from quarter hour to quarter hour.
pub(super) fn weather(seed: u64, day: i64, quarter: usize) -> f64 {
    let key = mix::hash(seed, day as u64 ^ 0x5ca1_ab1e);
    let cloud = mix::unit(key);
    let daily = 1.0 - 0.85 * cloud * cloud;
    let passing = 0.8 + 0.4 * mix::unit(mix::hash(key, quarter as u64));
    (daily * passing).min(1.0)
}

/// cos(2π·turns) to three digits, from the four basic operations only: the same bits on every machine.
/// The approximation is Bhāskara's (7th century): cos x ≈ (π² − 4x²) / (π² + x²) up to π/2.
fn cosine(turns: f64) -> f64 {
    let turns = (turns - turns.floor() - 0.5).abs(); // 0 at half a turn, 0.5 at a whole one
    let from_peak = 0.5 - turns; // in [0, 0.5]: cos falls from 1 to -1
    let quarter = |t: f64| (1.0 - 16.0 * t * t) / (1.0 + 4.0 * t * t); // t in [0, 0.25]
    if from_peak <= 0.25 {
        quarter(from_peak)
    } else {
        -quarter(0.5 - from_peak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_is_near_the_cosine() {
        for i in -1_000..2_000 {
            let turns = f64::from(i) / 1_000.0;
            let exact = (turns * std::f64::consts::TAU).cos();
            assert!((cosine(turns) - exact).abs() < 2e-3, "{turns}");
        }
    }

    #[test]
    fn nights_are_dark_and_summers_bright() {
        assert_eq!(clear_sky(171, 0.0), 0.0);
        assert_eq!(clear_sky(0, 6.0 * 3_600.0), 0.0);
        let june = clear_sky(171, 43_200.0);
        let december = clear_sky(354, 43_200.0);
        assert!((0.7..0.85).contains(&june), "{june}");
        assert!((0.1..0.3).contains(&december), "{december}");
    }

    #[test]
    fn a_year_yields_what_german_roofs_do() {
        // Watt-hours for each watt of rating; 950 is usual.
        let wh: f64 = (0..365)
            .flat_map(|day| (0..96).map(move |q| (day, q)))
            .map(|(day, q)| {
                let second = (q as f64 + 0.5) * 900.0;
                clear_sky(day, second) * weather(7, day, q) / 4.0
            })
            .sum();
        assert!((800.0..1_200.0).contains(&wh), "{wh}");
    }
}
