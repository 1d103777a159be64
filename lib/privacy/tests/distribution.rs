//! A million draws against the exact distribution. A right sampler fails once in a billion runs.
#![allow(clippy::unwrap_used)] // helpers of tests

use privacy::{Guarantee, Noise, Unit};

const DRAWS: u32 = 1_000_000;

/// Draws in two threads.
fn counts(noise: &Noise, reach: i64) -> Vec<u32> {
    let half = || {
        let mut counts = vec![0; 2 * reach as usize + 1];
        for _ in 0..DRAWS / 2 {
            let drawn = noise.draw().unwrap().clamp(-reach, reach);
            counts[(drawn + reach) as usize] += 1;
        }
        counts
    };
    std::thread::scope(|scope| {
        let (first, second) = (scope.spawn(half), half());
        let first = first.join().unwrap();
        first.iter().zip(&second).map(|(a, b)| a + b).collect()
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
        unit: Unit::Interval,
        epsilon: 0.7.try_into().unwrap(),
        delta: delta.map(|delta| delta.try_into().unwrap()),
    };
    guarantee.noise(if delta.is_some() { 2 } else { 6 }, 24)
}

#[test]
fn a_million_draws_of_laplace_noise_are_distributed_exactly() {
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
    let (noise, reach) = (noise(Some(1e-3)), 40);
    let scale = noise.scale();
    let counts = counts(&noise, reach);
    let mass = |scale: f64| move |x: i64| (-(x as f64 / scale).powi(2) / 2.0).exp();
    let found = chi_square(&counts, &exact(mass(scale), reach));
    assert!(found < bound(counts.len()), "{found}");
    assert!(share_beyond(&counts, reach, noise.half_width() as i64) < 0.05 + 0.001);
    assert!(chi_square(&counts, &exact(mass(scale * 1.02), reach)) > bound(counts.len()));
}

fn share_beyond(counts: &[u32], reach: i64, half_width: i64) -> f64 {
    let beyond = (-reach..=reach)
        .zip(counts)
        .filter(|(x, _)| x.abs() > half_width);
    beyond.map(|(_, count)| f64::from(*count)).sum::<f64>() / f64::from(DRAWS)
}
