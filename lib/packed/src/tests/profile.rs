//! The ring and the profiles.

use crate::{Profile, RING, Ring};

/// Bytes with 96 readings, their presence, the clamped counts and the checks.
#[test]
fn shapes_and_bounds_are_those_of_the_design() {
    let design = [
        ("additive-small", 1_023, [37, 42], 11_825),
        ("additive-fine", 1_023, [48, 48], 13_680),
        ("additive", 32_767, [45, 47], 13_337),
        ("additive-wide", 1_048_575, [48, 48], 13_680),
    ];
    for (name, max, bits, bytes) in design {
        let profile = Profile::by_name(name).unwrap();
        assert_eq!(profile.max_contributors(), max, "{name}");
        assert_eq!([0, 1].map(|poly| profile.bits(poly)), bits, "{name}");
        assert_eq!(profile.packed_len(232), bytes, "{name}");
    }
    assert_eq!(Profile::all().len(), design.len());
    assert_eq!(RING.packed_len(2 * 2048), 25_600);
}

#[test]
fn the_largest_sum_stays_below_half_the_modulus_and_one_more_would_not() {
    for profile in Profile::all() {
        let half = profile.ring.modulus / 2;
        let largest = u64::from(profile.max_contributors()) << profile.scale_bits;
        assert!(largest < half, "{profile}");
        assert!(largest + (1 << profile.scale_bits) > half, "{profile}");
    }
}

#[test]
fn a_full_sum_of_the_largest_values_is_told_apart_from_its_negative() {
    for profile in Profile::all() {
        for sign in [1, -1] {
            let noise = 1 << (profile.scale_bits - 2);
            let sum = (i64::from(profile.max_contributors()) << profile.scale_bits) + noise;
            let residue = profile.ring.residue(sign * sum);
            assert_eq!(profile.ring.centre(residue), sign * sum, "{profile}");
        }
    }
}

#[test]
fn residues_are_centred_around_zero() {
    let half = RING.modulus / 2;
    let expected = [
        (0, 0),
        (1, 1),
        (half, half as i64),
        (half + 1, -(half as i64)),
    ];
    for (residue, centred) in expected {
        assert_eq!(RING.centre(residue), centred);
        assert_eq!(RING.residue(centred), residue);
    }
    assert_eq!(RING.centre(RING.modulus - 1), -1);
}

#[test]
fn names_find_profiles_and_an_unknown_one_is_named_in_the_error() {
    for profile in Profile::all() {
        assert_eq!(Profile::by_name(profile.name), Ok(*profile));
    }
    let error = Profile::by_name("levelled").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown parameter profile \"levelled\": known are additive-small, additive-fine, \
         additive, additive-wide"
    );
}

#[test]
fn parameters_that_no_ciphertext_can_have_are_refused() {
    const FITS: u64 = (1 << 50) - 4095;
    let ring = |n, modulus, bits| std::panic::catch_unwind(|| Ring::new(n, modulus, bits)).is_ok();
    assert!(ring(64, FITS, 50) && ring(2048, FITS, 50));
    for (n, modulus, bits) in [
        (32, FITS, 50),
        (96, FITS, 50),
        (4096, FITS, 50),
        (64, FITS, 51),
        (64, FITS, 48),
        (64, FITS >> 1, 50),
        (64, FITS + 64, 50),
        (64, (1 << 50) + 1, 50),
    ] {
        assert!(!ring(n, modulus, bits), "{n} {modulus} {bits}");
    }
    let profile = |scale_bits, dropped| {
        std::panic::catch_unwind(|| Profile::new("x", &RING, scale_bits, dropped)).is_ok()
    };
    assert!(profile(48, [0, 13]) && profile(39, [8, 5]));
    for (scale_bits, dropped) in [(49, [0, 0]), (39, [1, 0]), (39, [0, 14]), (39, [50, 0])] {
        assert!(!profile(scale_bits, dropped), "{scale_bits} {dropped:?}");
    }
}

#[test]
fn parameter_bytes_tell_profiles_apart_and_begin_with_what_a_key_depends_on() {
    let all = Profile::all()
        .iter()
        .map(|profile| profile.parameter_bytes());
    let distinct: std::collections::HashSet<_> = all.collect();
    assert_eq!(distinct.len(), 4);
    let n_and_q = [2048, RING.modulus].map(u64::to_le_bytes).concat();
    assert_eq!(RING.parameter_bytes(), n_and_q);
}
