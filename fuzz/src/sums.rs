//! Packed reports and sums.

use packed::layout::{Encoding, Layout, MAX_EDGES, Shape};
use packed::noise::{self, KeyNorms};
use packed::{Accumulator, Kernel, Profile, RING};

/// Readings of a day.
const BATCH: u16 = 96;
const REFERENCE_WH: u64 = 65_536;

/// How reports of a feeder of homes are encoded.
pub fn encoding(profile: &'static Profile, layout: Layout) -> Encoding {
    let norms = KeyNorms::expected();
    let meters = profile.max_contributors();
    let quantum_wh = noise::quantum_wh(profile, &norms, REFERENCE_WH, meters);
    let square_unit_wh2 = match layout {
        Layout::Profile | Layout::Maxima | Layout::Histogram => None,
        Layout::Moments => noise::square_unit_wh2(profile, &norms, REFERENCE_WH, meters),
    };
    let edges_wh: Vec<u64> = match layout {
        Layout::Histogram => (1..=MAX_EDGES as u64).map(|edge| 100 * edge).collect(),
        Layout::Profile | Layout::Maxima | Layout::Moments => Vec::new(),
    };
    let shape = Shape::with_edges(layout, &edges_wh, BATCH).expect("a day fits");
    Encoding::new(profile, shape, REFERENCE_WH, quantum_wh, square_unit_wh2)
        .expect("the units of the design")
}

/// Adds `data` to a sum, at its own length and at the length of a report.
///
/// It is taken exactly if its length is right and no value is too large; what is refused leaves the sum as it was; the sum
/// of all kernels is that of plain arithmetic.
pub fn fold(data: &[u8]) {
    for profile in Profile::all() {
        let coefficients = encoding(profile, Layout::Profile).shape.coefficients();
        fold_exactly(profile, coefficients, data);
        let mut report = data.to_vec();
        report.resize(profile.packed_len(coefficients), 0);
        fold_exactly(profile, coefficients, &report);
    }
}

fn fold_exactly(profile: &'static Profile, coefficients: usize, report: &[u8]) {
    let values = values(profile, coefficients, report);
    for kernel in Kernel::available() {
        let mut sum =
            Accumulator::with_kernel(profile, coefficients, kernel).expect("an available kernel");
        let before = sum.to_packed();
        let added = sum.add(report);
        assert_eq!(added.is_ok(), values.is_some(), "{kernel:?}");
        assert_eq!(sum.contributors(), u32::from(added.is_ok()), "{kernel:?}");
        let Some(values) = &values else {
            assert_eq!(sum.to_packed(), before, "{kernel:?}");
            continue;
        };
        sum.add(report).expect("added once before");
        let twice: Vec<u64> = values.iter().map(|v| 2 * v % RING.modulus).collect();
        let packed = packed::pack(&RING, &twice).expect("reduced");
        assert_eq!(sum.to_packed(), packed, "{kernel:?}");
        let restored = Accumulator::from_packed(profile, coefficients, &packed, 2)
            .expect("a sum that was packed");
        assert_eq!(restored.to_packed(), packed);
    }
}

/// The values of a report, each cut out on its own; none if it is not one.
fn values(profile: &Profile, coefficients: usize, report: &[u8]) -> Option<Vec<u64>> {
    if report.len() != profile.packed_len(coefficients) {
        return None;
    }
    let (mut at, mut all) = (0, Vec::with_capacity(coefficients + RING.dimension));
    for (poly, words) in [(0, coefficients), (1, RING.dimension)] {
        let width = profile.bits(poly);
        let largest = (RING.modulus - 1) >> profile.dropped[poly];
        for _ in 0..words {
            let value = cut(report, at, width);
            if value > largest {
                return None;
            }
            all.push(value);
            at += width as usize;
        }
    }
    Some(all)
}

/// The `width` bits, at most 57, that begin with bit `at`.
fn cut(bytes: &[u8], at: usize, width: u32) -> u64 {
    let from = &bytes[at / 8..];
    let mut window = [0; 8];
    let len = from.len().min(8);
    window[..len].copy_from_slice(&from[..len]);
    u64::from_le_bytes(window) >> (at % 8) & ((1 << width) - 1)
}

/// Reads `data` as a packed sum, and as the residues that one decrypts to. Its first four bytes say of which profile and
/// layout, and of how many contributors.
///
/// What is lifted is below the modulus. What decodes is within what so many contributors can have entered.
pub fn open(data: &[u8]) {
    let Some((head, data)) = data.split_first_chunk::<4>() else {
        return;
    };
    let [choice, low, middle, high] = *head;
    let profile = Profile::all()[usize::from(choice >> 2) % Profile::all().len()];
    let layout = Layout::ALL[usize::from(choice & 3) % Layout::ALL.len()];
    let contributors = u32::from_le_bytes([low, middle, high, 0]);
    let encoding = encoding(profile, layout);
    let coefficients = encoding.shape.coefficients();

    let mut sum = data.to_vec();
    sum.resize(packed::sum_len(coefficients), 0);
    for sum in [data, &sum] {
        if let Ok(lifted) = packed::sum::lift(profile, coefficients, sum, contributors) {
            assert_eq!(
                (lifted.c0.len(), lifted.c1.len()),
                (coefficients, RING.dimension)
            );
            let mut words = lifted.c0.iter().chain(&lifted.c1);
            assert!(words.all(|word| *word < RING.modulus));
        }
    }

    let mut words = data.as_chunks().0.iter().copied().map(u64::from_le_bytes);
    let word = |_| words.next().unwrap_or_default() % RING.modulus;
    let residues: Vec<u64> = (0..coefficients).map(word).collect();
    if contributors <= profile.max_contributors() {
        decode(&encoding, &residues, contributors);
    }
}

fn decode(encoding: &Encoding, residues: &[u64], contributors: u32) {
    let sigma = noise::sigma(encoding.profile, &KeyNorms::expected());
    let _ = encoding.checks_pass(residues, contributors, sigma);
    let Ok(totals) = encoding.decode(residues, contributors, sigma) else {
        return;
    };
    let quantum = encoding.quantum_wh;
    for (energy, present) in totals.energy_wh.iter().zip(&totals.present) {
        assert!(*present <= contributors);
        assert!(energy.unsigned_abs() <= u64::from(*present) * encoding.reference_wh);
        assert!(energy.unsigned_abs().is_multiple_of(quantum));
    }
    let readings: u64 = totals.present.iter().copied().map(u64::from).sum();
    assert!(totals.clamped <= readings);
    let counts = totals.bins.iter().flatten().zip(&totals.present);
    for (counts, present) in counts {
        assert_eq!(counts.iter().sum::<u32>(), *present);
    }
}
