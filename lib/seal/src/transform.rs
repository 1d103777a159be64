//! The number-theoretic transform: a polynomial's values at the 2048 roots of `X^N + 1`, where a product of polynomials
//! is 2048 products of numbers.
//!
//! Cooley and Tukey's butterflies forward, Gentleman and Sande's back, with roots in bit-reversed order (Longa and
//! Naehrig, 2016), and products by Shoup's method with lazy reduction (Harvey, 2014). `q` has 50 bits and a word 64, so
//! that *nothing at all* is reduced between the layers; each layer says how large words get.
//!
//! A polynomial is seen as 8 rows of 256. The three layers whose butterflies are between rows run on the coefficients
//! as they are; for the eight layers within a row, the polynomial is transposed so that lane `r` of each group belongs to
//! row `r`. So a butterfly is always between two whole groups and no vector is ever shuffled but in [`transpose`].
//! Values stay transposed, in an order that only products of equals need to know.

use std::sync::LazyLock;

use crate::ring::{Factors, GROUPS, Group, LANES, N, Polynomial, Q, power};

/// Groups in a row.
const ROW: usize = GROUPS / LANES;

/// What [`product`](crate::ring::product) and its like are below, whichever the kernel.
const PRODUCT_BOUND: u64 = 4 * Q;

/// The roots that one direction multiplies by.
pub struct Roots {
    /// For the layers between rows: those of the layer with `k` blocks are at `k..2k`, each in all lanes.
    between: [Factors; LANES],
    /// For the layers within rows, likewise.
    within: [Factors; GROUPS],
}

/// The roots of the forward transform.
pub static FORWARD: LazyLock<Roots> = LazyLock::new(|| Roots::of(root()));

/// The roots of the inverse.
pub static INVERSE: LazyLock<Roots> = LazyLock::new(|| Roots::of(power(root(), Q - 2)));

/// A number whose `N`-th power is −1.
fn root() -> u64 {
    let order = 2 * N as u64;
    (2..Q)
        .map(|base| power(base, (Q - 1) / order))
        .find(|&root| power(root, order / 2) == Q - 1)
        .expect("q is a prime that is 1 modulo 2N")
}

impl Roots {
    fn of(root: u64) -> Self {
        let power_at = |index: usize| {
            let reversed = index.reverse_bits() >> (usize::BITS - N.ilog2());
            power(root, reversed as u64)
        };
        let between = |index| Factors::new([power_at(index); LANES]);
        // Of `blocks` blocks in each row, block `index − blocks`: row `r` has its own root.
        let within = |index: usize| {
            let blocks = 1 << index.max(1).ilog2();
            Factors::new(std::array::from_fn(|row| {
                power_at(blocks * (LANES + row) + (index - blocks.min(index)))
            }))
        };
        Self {
            between: std::array::from_fn(between),
            within: std::array::from_fn(within),
        }
    }
}

/// The values of `polynomial`, whose coefficients are at most `q`, into `values`, below `q + 11 × 4q`. `polynomial` is
/// overwritten.
#[inline(always)]
pub(crate) fn forward(
    roots: &Roots,
    polynomial: &mut Polynomial,
    values: &mut Polynomial,
    product: impl Fn(&Factors, &Group) -> Group,
) {
    for half in [4 * ROW, 2 * ROW, ROW] {
        forward_layer(&roots.between, half, &mut polynomial.0, &product);
    }
    transpose(&polynomial.0, &mut values.0);
    for half in [128, 64, 32, 16, 8, 4, 2, 1] {
        forward_layer(&roots.within, half, &mut values.0, &product);
    }
}

/// Blocks of twice `half` groups: `(x, y)` becomes `(x + wy, x − wy)`, larger by at most `4q`.
#[inline(always)]
fn forward_layer(
    roots: &[Factors],
    half: usize,
    groups: &mut [Group; GROUPS],
    product: &impl Fn(&Factors, &Group) -> Group,
) {
    let blocks = GROUPS / (2 * half);
    for (block, root) in groups.chunks_exact_mut(2 * half).zip(&roots[blocks..]) {
        let (left, right) = block.split_at_mut(half);
        for (x, y) in left.iter_mut().zip(right) {
            let turned = product(root, y);
            for lane in 0..LANES {
                let base = x[lane];
                x[lane] = base + turned[lane];
                y[lane] = base + PRODUCT_BOUND - turned[lane];
            }
        }
    }
}

/// `values`, any words, times `factors`: below `4q`.
#[inline(always)]
pub(crate) fn multiply(
    factors: &[Factors; GROUPS],
    values: &Polynomial,
    products: &mut Polynomial,
    product: impl Fn(&Factors, &Group) -> Group,
) {
    let groups = factors.iter().zip(&values.0);
    for ((factors, values), products) in groups.zip(&mut products.0) {
        *products = product(factors, values);
    }
}

/// `N` times the polynomial with these `values`, which are products, so below `4q`, into `polynomial`, below
/// 2^11 × `4q` < 2^63. `values` is overwritten.
#[inline(always)]
pub(crate) fn inverse(
    roots: &Roots,
    values: &mut Polynomial,
    polynomial: &mut Polynomial,
    product: impl Fn(&Factors, &Group) -> Group,
) {
    let mut bound = PRODUCT_BOUND;
    for half in [1, 2, 4, 8, 16, 32, 64, 128] {
        inverse_layer(&roots.within, (half, bound), &mut values.0, &product);
        bound *= 2;
    }
    transpose_back(&values.0, &mut polynomial.0);
    for half in [ROW, 2 * ROW, 4 * ROW] {
        inverse_layer(&roots.between, (half, bound), &mut polynomial.0, &product);
        bound *= 2;
    }
}

/// Blocks of twice `half` groups: `(x, y)`, below `bound`, becomes `(x + y, w(x − y))`, below twice that.
#[inline(always)]
fn inverse_layer(
    roots: &[Factors],
    (half, bound): (usize, u64),
    groups: &mut [Group; GROUPS],
    product: &impl Fn(&Factors, &Group) -> Group,
) {
    let blocks = GROUPS / (2 * half);
    for (block, root) in groups.chunks_exact_mut(2 * half).zip(&roots[blocks..]) {
        let (left, right) = block.split_at_mut(half);
        for (x, y) in left.iter_mut().zip(right) {
            let difference = std::array::from_fn(|lane| x[lane] + bound - y[lane]);
            for lane in 0..LANES {
                x[lane] += y[lane];
            }
            *y = product(root, &difference);
        }
    }
}

/// From rows one after the other to lane `r` for row `r`.
#[inline(always)]
fn transpose(rows: &[Group; GROUPS], lanes: &mut [Group; GROUPS]) {
    for (column, tile) in lanes.chunks_exact_mut(LANES).enumerate() {
        for row in 0..LANES {
            for (group, word) in tile.iter_mut().zip(rows[row * ROW + column]) {
                group[row] = word;
            }
        }
    }
}

/// The inverse of [`transpose`].
#[inline(always)]
fn transpose_back(lanes: &[Group; GROUPS], rows: &mut [Group; GROUPS]) {
    for (column, tile) in lanes.chunks_exact(LANES).enumerate() {
        for row in 0..LANES {
            rows[row * ROW + column] = std::array::from_fn(|lane| tile[lane][row]);
        }
    }
}
