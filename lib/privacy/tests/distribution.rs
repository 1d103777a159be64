//! A million draws against the exact distribution. A right sampler fails once in a billion runs.
#![allow(clippy::unwrap_used)] // helpers of tests

use privacy::{Bits, Guarantee, Noise};
use wire::PrivacyUnit;

const DRAWS: u32 = 1_000_000;

/// Draws in two threads, each of which draws from what `from` gives it.
fn counts<D: FnMut() -> i64>(reach: i64, from: impl Fn(u8) -> D + Sync) -> Vec<u32> {
    let half = |thread| {
        let mut draw = from(thread);
        let mut counts = vec![0; 2 * reach as usize + 1];
        for _ in 0..DRAWS / 2 {
            let drawn = draw().clamp(-reach, reach);
            counts[(drawn + reach) as usize] += 1;
        }
        counts
    };
    std::thread::scope(|scope| {
        let (first, second) = (scope.spawn(|| half(0)), half(1));
        let first = first.join().unwrap();
        first.iter().zip(&second).map(|(a, b)| a + b).collect()
    })
}

/// By opendp.
fn drawn(noise: &Noise, reach: i64) -> Vec<u32> {
    counts(reach, |_| || noise.draw().unwrap())
}

/// As a holder of a stream does: a window of 96 intervals from one key.
fn shared(noise: &Noise, reach: i64) -> Vec<u32> {
    counts(reach, |thread| {
        let mut windows = 0..u64::MAX;
        let mut left = 0;
        let mut bits = Bits::from_key(&[0; 32]);
        move || {
            if left == 0 {
                let mut key = [thread; 32];
                key[..8].copy_from_slice(&windows.next().unwrap().to_le_bytes());
                (bits, left) = (Bits::from_key(&key), 96);
            }
            left -= 1;
            noise.draw_share(&mut bits)
        }
    })
}

/// The probability of each number from −reach to reach, with all beyond at the ends.
fn exact(mass: impl Fn(i64) -> f64, reach: i64) -> Vec<f64> {
    let far = 40 * reach;
    let all: f64 = (-far..=far).map(&mass).sum();
    let tail: f64 = (reach..=far).map(&mass).sum();
    let at = |x: i64| match x.abs() == reach {
        true => tail / all,
        false => mass(x) / all,
    };
    (-reach..=reach).map(at).collect()
}

fn chi_square(counts: &[u32], exact: &[f64]) -> f64 {
    let terms = counts.iter().zip(exact).map(|(&count, share)| {
        let expected = share * f64::from(DRAWS);
        assert!(expected > 5.0, "a bin of {expected} draws");
        (f64::from(count) - expected).powi(2) / expected
    });
    terms.sum()
}

/// What chi-square exceeds once in a billion times (Wilson and Hilferty).
fn bound(bins: usize) -> f64 {
    let free = bins as f64 - 1.0;
    let part = 2.0 / (9.0 * free);
    free * (1.0 - part + 5.998 * part.sqrt()).powi(3)
}

fn noise(delta: Option<f64>) -> Noise {
    let guarantee = Guarantee {
        unit: PrivacyUnit::Interval,
        epsilon: 0.7.try_into().unwrap(),
        delta: delta.map(|delta| delta.try_into().unwrap()),
    };
    guarantee.noise(if delta.is_some() { 2 } else { 6 }, 24)
}

#[test]
fn a_million_draws_of_laplace_noise_are_distributed_exactly() {
    laplace(drawn);
}

#[test]
fn a_million_shares_of_laplace_noise_are_distributed_exactly() {
    laplace(shared);
}

fn laplace(counts: impl Fn(&Noise, i64) -> Vec<u32>) {
    let (noise, reach) = (noise(None), 60);
    let scale = noise.scale();
    assert_eq!(scale, 6.0 / 0.7);
    let counts = counts(&noise, reach);
    let exact_shares = |scale: f64| exact(|x| (-(x.abs() as f64) / scale).exp(), reach);
    let found = chi_square(&counts, &exact_shares(scale));
    assert!(found < bound(counts.len()), "{found}");
    let beyond = noise.half_width() as i64;
    assert!(share_beyond(&counts, reach, beyond) < 0.05 + 0.001);
    assert!(share_beyond(&counts, reach, beyond - 1) > 0.05 - 0.001);
    // It can fail: a scale that is wrong by two in a hundred is found.
    assert!(chi_square(&counts, &exact_shares(scale * 1.02)) > bound(counts.len()));
}

#[test]
fn a_million_draws_of_gaussian_noise_are_distributed_exactly() {
    gaussian(drawn);
}

#[test]
fn a_million_shares_of_gaussian_noise_are_distributed_exactly() {
    gaussian(shared);
}

fn gaussian(counts: impl Fn(&Noise, i64) -> Vec<u32>) {
    let (noise, reach) = (noise(Some(1e-3)), 40);
    let scale = noise.scale();
    let counts = counts(&noise, reach);
    let mass = |scale: f64| move |x: i64| (-(x as f64 / scale).powi(2) / 2.0).exp();
    let found = chi_square(&counts, &exact(mass(scale), reach));
    assert!(found < bound(counts.len()), "{found}");
    assert!(share_beyond(&counts, reach, noise.half_width() as i64) < 0.05 + 0.001);
    assert!(chi_square(&counts, &exact(mass(scale * 1.02), reach)) > bound(counts.len()));
}

/// Of several shares, what is said of 95 in 100 holds, and is not much more than it takes.
#[test]
fn the_shares_of_all_streams_are_within_what_is_said_of_them() {
    for (shares, delta, reach) in [(3, None, 200), (10, None, 400), (4, Some(1e-3), 100)] {
        let noise = noise(delta).of_shares(shares);
        let width = noise.half_width() as i64;
        assert!(width < reach);
        let counts = drawn(&noise, reach);
        let beyond = share_beyond(&counts, reach, width);
        assert!((0.02..0.051).contains(&beyond), "{shares}: {beyond}");
    }
}

#[test]
fn shares_of_one_key_are_the_same_on_every_machine() {
    let of = |noise: &Noise| {
        let mut bits = Bits::from_key(&[7; 32]);
        [0; 6].map(|_| noise.draw_share(&mut bits))
    };
    assert_eq!(of(&noise(None)), LAPLACE);
    assert_eq!(of(&noise(Some(1e-3))), GAUSSIAN);
}

const LAPLACE: [i64; 6] = [25, 6, 1, 2, -15, 2];
const GAUSSIAN: [i64; 6] = [4, -22, -26, -10, -10, 10];

fn share_beyond(counts: &[u32], reach: i64, half_width: i64) -> f64 {
    let beyond = (-reach..=reach)
        .zip(counts)
        .filter(|(x, _)| x.abs() > half_width);
    beyond.map(|(_, count)| f64::from(*count)).sum::<f64>() / f64::from(DRAWS)
}
