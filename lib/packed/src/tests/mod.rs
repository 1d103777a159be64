//! Everything against arithmetic so plain that it needs no test.

mod bill;
mod bins;
mod folds;
mod layout;
mod noise;
mod packing;
mod profile;
mod refusals;
mod sums;
mod totals;

use crate::layout::{Layout, Shape};
use crate::{ADDITIVE, ADDITIVE_SMALL, ADDITIVE_WIDE, Profile, Ring};

/// About a thousandth below 2^50, so that random bytes are now and then out of range; it need not
/// be prime here.
const MODULUS: u64 = (1 << 50) - (1 << 40) + 1;

static SMALL: Ring = Ring::new(64, MODULUS, 50);

// Between them every width, and in either polynomial the wider values.
static WHOLE: Profile = Profile::new("whole", &SMALL, 20, [0, 0]);
static NARROW_C0: Profile = Profile::new("narrow-c0", &SMALL, 20, [13, 0]);
static NARROW_C1: Profile = Profile::new("narrow-c1", &SMALL, 20, [2, 8]);
static MIDDLE: Profile = Profile::new("middle", &SMALL, 20, [5, 3]);

static PROFILES: [&Profile; 7] = [
    &WHOLE,
    &NARROW_C0,
    &NARROW_C1,
    &MIDDLE,
    &ADDITIVE_SMALL,
    &ADDITIVE,
    &ADDITIVE_WIDE,
];

/// A shape of this layout; of a histogram with six bins.
fn shape(layout: Layout, batch: u16) -> Shape {
    let edges_wh: &[u64] = match layout {
        Layout::Histogram => &[7, 8, 40],
        Layout::Profile | Layout::Maxima | Layout::Moments => &[],
    };
    Shape::with_edges(layout, edges_wh, batch).unwrap()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next());
        words.flat_map(u64::to_le_bytes).take(len).collect()
    }

    fn residues(&mut self, ring: &Ring, count: usize) -> Vec<u64> {
        let residue = |_| self.next() % ring.modulus;
        (0..count).map(residue).collect()
    }

    /// In (0, 1).
    fn fraction(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// A normal number, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.fraction().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.fraction()).cos()
    }
}

/// The numbers in bits `[i × width, (i + 1) × width)`, one bit at a time.
fn bits(packed: &[u8], width: u32, count: usize) -> Vec<u64> {
    let width = width as usize;
    let bit = |at: usize| u64::from(packed[at / 8] >> (at % 8) & 1);
    let number = |i: usize| (0..width).fold(0, |sum, b| sum | bit(i * width + b) << b);
    (0..count).map(number).collect()
}

/// The values of a packed report, one bit at a time.
fn values(profile: &Profile, coefficients: usize, report: &[u8]) -> Vec<u64> {
    let (c0, c1) = report.split_at(coefficients * profile.bits(0) as usize / 8);
    let mut values = bits(c0, profile.bits(0), coefficients);
    values.extend(bits(c1, profile.bits(1), profile.ring.dimension));
    values
}

/// The largest value at this index of a report.
fn largest(profile: &Profile, coefficients: usize, index: usize) -> u64 {
    let dropped = profile.dropped[usize::from(index >= coefficients)];
    (profile.ring.modulus - 1) >> dropped
}

/// A report whose values, `c0` first, are all as large as they can be.
fn largest_report(profile: &Profile, coefficients: usize) -> Vec<u8> {
    let mut report = Vec::new();
    let largest = profile.ring.modulus - 1;
    let c1 = vec![largest; profile.ring.dimension];
    crate::report::pack(profile, &vec![largest; coefficients], &c1, &mut report).unwrap();
    report
}

/// `packed` with the value of `width` bits at bit `at` overwritten, a bit at a time.
fn with_value(packed: &[u8], at: usize, width: u32, value: u64) -> Vec<u8> {
    let mut packed = packed.to_vec();
    for bit in 0..width as usize {
        let at = at + bit;
        packed[at / 8] &= !(1 << (at % 8));
        packed[at / 8] |= ((value >> bit & 1) as u8) << (at % 8);
    }
    packed
}
