//! What `.ci/constant-time` must find, to show that it can, and one function in which it must find nothing.
#![allow(missing_docs)]

use std::hint::black_box;

const Q: u64 = (1 << 50) - (1 << 14) + 1;

#[inline(never)]
fn branches(secrets: &mut [u64; 64]) {
    for secret in secrets {
        if *secret >= Q {
            *secret -= black_box(Q);
        }
    }
}

#[inline(never)]
fn loops(secrets: &[u64; 64]) -> u64 {
    secrets.iter().map(|&secret| (0..secret).map(black_box).sum::<u64>()).sum()
}

#[inline(never)]
fn indexes(secrets: &[u8; 64], table: &[u64; 256]) -> u64 {
    secrets.iter().map(|&secret| table[usize::from(secret)]).sum()
}

#[inline(never)]
fn divides(secrets: &mut [u64; 64], divisor: u64) {
    for secret in secrets {
        *secret %= divisor;
    }
}

#[inline(never)]
fn calls(secrets: &[u64; 64]) -> u64 {
    secrets.iter().map(|&secret| inner(secret)).sum()
}

#[inline(never)]
fn inner(value: u64) -> u64 {
    if value == 7 { black_box(1) } else { value }
}

#[inline(never)]
fn is_constant_time(factor: u64, companion: u64, secrets: &mut [u64]) {
    for secret in secrets {
        let quotient = ((u128::from(companion) * u128::from(*secret)) >> 64) as u64;
        let product = factor.wrapping_mul(*secret).wrapping_sub(quotient.wrapping_mul(Q));
        *secret = product.min(product.wrapping_sub(Q));
    }
}

fn main() {
    let mut secrets = black_box([3; 64]);
    branches(&mut secrets);
    divides(&mut secrets, black_box(3));
    is_constant_time(black_box(3), black_box(5), &mut secrets);
    let sum = indexes(&black_box([1; 64]), &black_box([1; 256])) + loops(&secrets) + calls(&secrets);
    println!("{sum}");
}
