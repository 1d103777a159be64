//! The number-theoretic transform: a polynomial's values at the 2048 roots of `X^N + 1`, where a product of polynomials
//! is 2048 products of numbers.
//!
//! Cooley and Tukey's butterflies forward, Gentleman and Sande's back, with roots in bit-reversed order (Longa and
//! Naehrig, 2016), and products by Shoup's method with lazy reduction (Harvey, 2014). `q` has 50 bits and a word 64, so
//! that *nothing at all* is reduced between the layers; each layer says how large words get.
//!
//! In the layers whose butterflies are between words at least [`ROWS`] apart, a run of words has the same root.
//! For the others the polynomial, as a matrix of 64 × 32, is transposed, so that their butterflies are between whole
//! rows too. So every inner loop is over 32 words or more that are next to each other, which is what a compiler makes
//! vector instructions of, and no vector is ever shuffled. Values stay transposed: only products of equals see them.

use std::sync::LazyLock;

use crate::ring::{N, Q, companion, power};

/// Rows of the transposed matrix.
const ROWS: usize = 32;

/// Its columns.
const COLUMNS: usize = N / ROWS;

/// What a kernel's product is below.
const PRODUCT_BOUND: u64 = 4 * Q;

/// The roots that one direction multiplies by: those of a layer of `k` blocks begin at `k`, one for each block, and once
/// transposed, where a block is of rows, one for each of its columns.
pub(crate) struct Roots(Factors);

/// Constants with their companions (see `companion`).
#[repr(align(64))]
pub struct Factors {
    factor: [u64; N],
    companion: [u64; N],
}

/// The roots of the forward transform.
pub(crate) static FORWARD: LazyLock<Roots> = LazyLock::new(|| Roots::of(root()));

/// The roots of the inverse.
pub(crate) static INVERSE: LazyLock<Roots> = LazyLock::new(|| Roots::of(power(root(), Q - 2)));

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
        Self(Factors::new(std::array::from_fn(|at| {
            let index = match (at / COLUMNS, at % COLUMNS) {
                (0, index) => index,
                // A layer of COLUMNS × 2^i blocks, 2^i to each column.
                (row, column) => {
                    let blocks = 1 << row.ilog2();
                    COLUMNS * blocks + column * blocks + (row - blocks)
                }
            };
            let reversed = index.reverse_bits() >> (usize::BITS - N.ilog2());
            power(root, reversed as u64)
        })))
    }
}

impl Factors {
    pub(crate) fn new(factor: [u64; N]) -> Self {
        let companion = factor.map(companion);
        Self { factor, companion }
    }
}

/// The values of `polynomial`, whose coefficients are at most `q + 1`, into `values`, at most `q + 1 + 11 × 4q`.
/// `polynomial` is overwritten.
#[inline(always)]
pub(crate) fn forward(
    roots: &Roots,
    polynomial: &mut [u64; N],
    values: &mut [u64; N],
    product: impl Fn(u64, u64, u64) -> u64,
) {
    // (x, y) becomes (x + wy, x − wy), larger by at most `4q`.
    let butterfly = |(factor, companion): (u64, u64), x: u64, y: u64| {
        let turned = product(factor, companion, y);
        (x + turned, x + PRODUCT_BOUND - turned)
    };
    // Not a loop: each layer is compiled for its own constant, which makes better vector code.
    runs(1024, roots, polynomial, butterfly);
    runs(512, roots, polynomial, butterfly);
    runs(256, roots, polynomial, butterfly);
    runs(128, roots, polynomial, butterfly);
    runs(64, roots, polynomial, butterfly);
    runs(32, roots, polynomial, butterfly);
    transpose::<COLUMNS, ROWS>(polynomial, values);
    rows(16, roots, values, butterfly);
    rows(8, roots, values, butterfly);
    rows(4, roots, values, butterfly);
    rows(2, roots, values, butterfly);
    rows(1, roots, values, butterfly);
}

/// `N` times the polynomial with these `values`, which are products, so below `4q`, into `polynomial`, below
/// 2^11 × `4q` < 2^63. `values` is overwritten.
#[inline(always)]
pub(crate) fn inverse(
    roots: &Roots,
    values: &mut [u64; N],
    polynomial: &mut [u64; N],
    product: impl Fn(u64, u64, u64) -> u64,
) {
    // (x, y), both below `bound`, becomes (x + y, w(x − y)), below twice that.
    let butterfly = |bound: u64| {
        let product = &product;
        move |(factor, companion): (u64, u64), x: u64, y: u64| {
            (x + y, product(factor, companion, x + bound - y))
        }
    };
    rows(1, roots, values, butterfly(PRODUCT_BOUND));
    rows(2, roots, values, butterfly(PRODUCT_BOUND << 1));
    rows(4, roots, values, butterfly(PRODUCT_BOUND << 2));
    rows(8, roots, values, butterfly(PRODUCT_BOUND << 3));
    rows(16, roots, values, butterfly(PRODUCT_BOUND << 4));
    transpose::<ROWS, COLUMNS>(values, polynomial);
    runs(32, roots, polynomial, butterfly(PRODUCT_BOUND << 5));
    runs(64, roots, polynomial, butterfly(PRODUCT_BOUND << 6));
    runs(128, roots, polynomial, butterfly(PRODUCT_BOUND << 7));
    runs(256, roots, polynomial, butterfly(PRODUCT_BOUND << 8));
    runs(512, roots, polynomial, butterfly(PRODUCT_BOUND << 9));
    runs(1024, roots, polynomial, butterfly(PRODUCT_BOUND << 10));
}

/// `values`, any words, times `factors`: below `4q`.
#[inline(always)]
pub(crate) fn multiply(
    factors: &Factors,
    values: &[u64; N],
    products: &mut [u64; N],
    product: impl Fn(u64, u64, u64) -> u64,
) {
    for i in 0..N {
        products[i] = product(factors.factor[i], factors.companion[i], values[i]);
    }
}

/// Butterflies between the halves of each block of twice `half` words, which has one root.
#[inline(always)]
fn runs(
    half: usize,
    Roots(roots): &Roots,
    words: &mut [u64; N],
    butterfly: impl Fn((u64, u64), u64, u64) -> (u64, u64),
) {
    let first = N / (2 * half);
    for (block, at) in words.chunks_exact_mut(2 * half).zip(first..) {
        let root = (roots.factor[at], roots.companion[at]);
        let (left, right) = block.split_at_mut(half);
        pair(left, right, |_, x, y| butterfly(root, x, y));
    }
}

/// Butterflies between the halves of each block of twice `half` rows, each column of which has its root.
#[inline(always)]
fn rows(
    half: usize,
    Roots(roots): &Roots,
    words: &mut [u64; N],
    butterfly: impl Fn((u64, u64), u64, u64) -> (u64, u64),
) {
    let first = ROWS / (2 * half);
    let (rows, _) = words.as_chunks_mut::<COLUMNS>();
    let (factors, _) = roots.factor.as_chunks::<COLUMNS>();
    let (companions, _) = roots.companion.as_chunks::<COLUMNS>();
    for (block, at) in rows.chunks_exact_mut(2 * half).zip(first..) {
        let (factor, companion) = (&factors[at], &companions[at]);
        let (left, right) = block.split_at_mut(half);
        for (left, right) in left.iter_mut().zip(right) {
            pair(left, right, |i, x, y| {
                butterfly((factor[i], companion[i]), x, y)
            });
        }
    }
}

/// The butterfly of each word with its counterpart.
#[inline(always)]
fn pair(left: &mut [u64], right: &mut [u64], butterfly: impl Fn(usize, u64, u64) -> (u64, u64)) {
    for (i, (x, y)) in left.iter_mut().zip(right).enumerate() {
        (*x, *y) = butterfly(i, *x, *y);
    }
}

/// A matrix of `HEIGHT` rows and `WIDTH` columns into one of `WIDTH` rows and `HEIGHT` columns.
///
/// Never inlined into a kernel, where the compiler would take it for work for gathers and scatters, which are slower.
#[inline(never)]
fn transpose<const HEIGHT: usize, const WIDTH: usize>(from: &[u64; N], to: &mut [u64; N]) {
    for row in 0..HEIGHT {
        for column in 0..WIDTH {
            to[column * HEIGHT + row] = from[row * WIDTH + column];
        }
    }
}
