//! The model against the figures it was designed by, and the choices that follow from it.

use crate::layout::Layout;
use crate::noise::{KeyNorms, choose, quantum_wh, sigma, square_unit_wh2};
use crate::{ADDITIVE, ADDITIVE_FINE, ADDITIVE_SMALL, ADDITIVE_WIDE, Profile};

/// A home's reference at intervals of an hour.
const HOME_WH: u64 = 1 << 16;

/// Half a watt-hour in standard deviations of a sum of this many.
fn half_a_watt_hour(profile: &Profile, reference_wh: u64, meters: u32) -> f64 {
    let wh = f64::from(profile.scale_bits).exp2() / reference_wh as f64;
    wh / 2.0 / (sigma(profile, &KeyNorms::expected()) * f64::from(meters).sqrt())
}

fn quantum(profile: &Profile, reference_wh: u64, meters: u32) -> u64 {
    quantum_wh(profile, &KeyNorms::expected(), reference_wh, meters)
}

fn chosen(layout: Layout, reference_wh: u64, meters: u32) -> &'static str {
    choose(layout, reference_wh, meters, &KeyNorms::expected()).name
}

#[test]
fn the_noise_of_each_profile_is_that_of_the_design() {
    let design = [
        (&ADDITIVE_SMALL, 3_616.0),
        (&ADDITIVE_FINE, 174.3),
        (&ADDITIVE, 190.0),
        (&ADDITIVE_WIDE, 174.3),
    ];
    for (profile, expected) in design {
        let sigma = sigma(profile, &KeyNorms::expected());
        assert!((sigma - expected).abs() < 0.5, "{profile}: {sigma}");
    }
}

/// Every term of the variance on its own: (2/3)‖e‖² + σ² + σ²‖s‖² + (4^t₁ − 1)/12·‖s‖² + (4^t₀ − 1)/12.
#[test]
fn the_noise_is_that_of_the_keys_own_norms() {
    static WHOLE: Profile = Profile::new("whole", &crate::RING, 39, [0, 0]);
    let variance = |profile, secret, error| sigma(profile, &KeyNorms { secret, error }).powi(2);
    let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-12;
    assert!(close(variance(&WHOLE, 0.0, 0.0), 10.5));
    assert!(close(variance(&WHOLE, 0.0, 9.0), 6.0 + 10.5));
    assert!(close(variance(&WHOLE, 100.0, 0.0), 100.0 * 10.5 + 10.5));
    let dropped = [f64::from((1 << 26) - 1) / 12.0, 65_535.0 / 12.0];
    let expected = 10.5 + dropped[0] + 100.0 * (10.5 + dropped[1]);
    assert!(close(variance(&ADDITIVE_SMALL, 100.0, 0.0), expected));
}

#[test]
fn half_a_watt_hour_is_as_far_from_the_noise_as_in_the_design() {
    let design = [
        (&ADDITIVE_SMALL, 250, 73.0),
        (&ADDITIVE_SMALL, 1_000, 37.0),
        (&ADDITIVE_FINE, 1_000, 760.8),
        (&ADDITIVE, 1_000, 22.0),
    ];
    for (profile, meters, expected) in design {
        let sigmas = half_a_watt_hour(profile, HOME_WH, meters);
        assert!((sigmas - expected).abs() < 0.51, "{profile}: {sigmas}");
    }
}

#[test]
fn the_quantum_is_that_of_the_design() {
    assert_eq!(quantum(&ADDITIVE_SMALL, HOME_WH, 1_000), 1);
    assert_eq!(quantum(&ADDITIVE, HOME_WH, 1_000), 1);
    assert_eq!(quantum(&ADDITIVE, HOME_WH, 30_000), 8);
    assert_eq!(quantum(&ADDITIVE_WIDE, HOME_WH, 30_000), 256);
    // A large customer's feeder.
    assert_eq!(quantum(&ADDITIVE_FINE, 1 << 27, 60), 16);
    assert_eq!(quantum(&ADDITIVE_FINE, 1 << 27, 1_000), 64);
}

/// Half of it is at least 18 standard deviations, and half of the next smaller one is not.
#[test]
fn the_quantum_is_the_smallest_of_its_rule() {
    for profile in Profile::all() {
        for reference_bits in 0..=42 {
            for meters in [1, 15, 255, 1_023, 32_767, 1_048_575] {
                let reference_wh = 1 << reference_bits;
                let quantum = quantum(profile, reference_wh, meters);
                assert!(quantum.is_power_of_two() && quantum <= reference_wh.max(1));
                let half = half_a_watt_hour(profile, reference_wh, meters) * quantum as f64;
                assert!(half >= 18.0, "{profile} {reference_wh} {meters}");
                assert!(
                    quantum == 1 || half / 2.0 < 18.0,
                    "{profile} {reference_wh} {meters}"
                );
            }
        }
    }
}

/// A square's reference is the square of the reference.
#[test]
fn the_unit_of_squares_is_that_of_the_same_rule() {
    let norms = KeyNorms::expected();
    for profile in Profile::all() {
        for reference_bits in 0..=20 {
            let unit = square_unit_wh2(profile, &norms, 1 << reference_bits, 1_000);
            let quantum = quantum_wh(profile, &norms, 1 << (2 * reference_bits), 1_000);
            assert_eq!(unit, Some(quantum));
        }
        assert_eq!(square_unit_wh2(profile, &norms, 1 << 45, 1_000), None);
    }
    // 45 Wh squared.
    let unit = square_unit_wh2(&ADDITIVE_FINE, &norms, HOME_WH, 1_000);
    assert_eq!(unit, Some(2_048));
}

#[test]
fn auto_is_the_smallest_profile_that_is_exact_to_a_watt_hour() {
    assert_eq!(chosen(Layout::Profile, HOME_WH, 15), "additive-small");
    assert_eq!(chosen(Layout::Profile, HOME_WH, 1_023), "additive-small");
    assert_eq!(chosen(Layout::Profile, HOME_WH, 1_024), "additive");
    // Half a watt-hour is 18.1 standard deviations, then 9.1.
    assert_eq!(chosen(Layout::Profile, 1 << 17, 1_023), "additive-small");
    assert_eq!(chosen(Layout::Profile, 1 << 18, 1_023), "additive-fine");
}

#[test]
fn auto_is_the_finest_profile_where_none_is_exact_to_a_watt_hour() {
    assert_eq!(chosen(Layout::Profile, 1 << 27, 1_023), "additive-fine");
    assert_eq!(chosen(Layout::Profile, 1 << 27, 30_000), "additive");
    assert_eq!(chosen(Layout::Profile, HOME_WH, 32_767), "additive");
    assert_eq!(chosen(Layout::Profile, HOME_WH, 32_768), "additive-wide");
}

#[test]
fn auto_is_the_fine_profile_for_squares_as_long_as_it_holds_the_meters() {
    assert_eq!(chosen(Layout::Moments, 4_096, 15), "additive-fine");
    assert_eq!(chosen(Layout::Moments, 4_096, 1_023), "additive-fine");
    assert_eq!(chosen(Layout::Moments, 4_096, 1_024), "additive");
}

#[test]
fn auto_for_more_meters_than_any_profile_holds_is_the_one_that_holds_most() {
    assert_eq!(chosen(Layout::Profile, 1, u32::MAX), "additive-wide");
    assert_eq!(chosen(Layout::Moments, 1, u32::MAX), "additive-wide");
}

#[test]
fn a_key_with_a_larger_secret_than_most_has_the_quantum_it_needs() {
    let large = KeyNorms {
        secret: 2_048.0,
        ..KeyNorms::expected()
    };
    // Just above 18 standard deviations for a usual key.
    assert_eq!(quantum(&ADDITIVE_SMALL, 1 << 17, 1_023), 1);
    assert_eq!(quantum_wh(&ADDITIVE_SMALL, &large, 1 << 17, 1_023), 2);
    let profile = choose(Layout::Profile, 1 << 17, 1_023, &large);
    assert_eq!(profile.name, "additive-fine");
}
