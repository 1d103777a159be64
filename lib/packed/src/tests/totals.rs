//! From readings to totals: encoded, encrypted by plain polynomial arithmetic, dropped bits and
//! all, added, decrypted and decoded.

use proptest::prelude::*;

use super::{Random, shape};
use crate::layout::{Encoding, Entered, Layout, squares};
use crate::noise::{self, KeyNorms};
use crate::{
    ADDITIVE, ADDITIVE_FINE, ADDITIVE_SMALL, ADDITIVE_WIDE, Accumulator, Lifted, Profile, RING,
    report, sum,
};

/// The first coefficients of `c1·s`, for the positions of the secret's ones and minus ones.
fn product(c1: &[u64], secret: &[(usize, i64)], coefficients: usize) -> Vec<i64> {
    let n = c1.len();
    let coefficient = |j: usize| {
        let term = |&(i, sign): &(usize, i64)| {
            // X^N = −1
            let (index, sign) = if i <= j {
                (j - i, sign)
            } else {
                (n + j - i, -sign)
            };
            sign * c1[index] as i64
        };
        secret.iter().map(term).sum()
    };
    (0..coefficients).map(coefficient).collect()
}

struct Key {
    /// Positions of the ones and minus ones.
    secret: Vec<(usize, i64)>,
    norms: KeyNorms,
}

impl Key {
    fn new(random: &mut Random) -> Self {
        let ternary = (0..RING.dimension).map(|i| (i, (random.next() % 3) as i64 - 1));
        let secret: Vec<_> = ternary.filter(|&(_, sign)| sign != 0).collect();
        let norms = KeyNorms {
            secret: secret.len() as f64,
            ..KeyNorms::expected()
        };
        Self { secret, norms }
    }

    /// An encryption of `plaintext` with the noise of a real one: the last term of the error, that
    /// of the dropped bits, is for the packing to add.
    fn encrypt(&self, plaintext: &[u64], random: &mut Random) -> (Vec<u64>, Vec<u64>) {
        static WHOLE: Profile = Profile::new("whole", &RING, 39, [0, 0]);
        let sigma = noise::sigma(&WHOLE, &self.norms);
        let c1 = random.residues(&RING, RING.dimension);
        let masks = product(&c1, &self.secret, plaintext.len());
        let c0 = plaintext.iter().zip(masks).map(|(&m, mask)| {
            let error = (sigma * random.normal()).round() as i64;
            (m as i64 - mask + error).rem_euclid(RING.modulus as i64) as u64
        });
        (c0.collect(), c1)
    }

    fn decrypt(&self, lifted: &Lifted) -> Vec<u64> {
        let masks = product(&lifted.c1, &self.secret, lifted.c0.len());
        let residues = lifted.c0.iter().zip(masks);
        let residue =
            |(&c0, mask): (&u64, i64)| (c0 as i64 + mask).rem_euclid(RING.modulus as i64) as u64;
        residues.map(residue).collect()
    }
}

fn centred(residue: u64) -> f64 {
    let residue = residue as f64;
    let q = RING.modulus as f64;
    if residue > q / 2.0 {
        residue - q
    } else {
        residue
    }
}

fn root_mean_square(values: &[f64]) -> f64 {
    let squares: f64 = values.iter().map(|value| value * value).sum();
    (squares / values.len() as f64).sqrt()
}

/// The errors of a sum of encryptions of zero in its first coefficients, in standard deviations
/// of the model, as the crate drops bits and puts their mean back, and as it would be with
/// rounding to the nearest, which needs no mean put back.
///
/// That one's bias goes with what the secret adds up to, which is 37 give or take: a key with as
/// much is taken.
fn errors(profile: &'static Profile, reports: u32, coefficients: usize) -> [Vec<f64>; 2] {
    let mut random = Random(1);
    let key = std::iter::repeat_with(|| Key::new(&mut random))
        .find(|key| key.secret.iter().map(|(_, sign)| sign).sum::<i64>() > 30)
        .unwrap();
    let mut sum = Accumulator::new(profile, coefficients);
    let mut nearest = vec![0u128; coefficients + RING.dimension];
    let mut packed = Vec::new();
    for _ in 0..reports {
        let (c0, c1) = key.encrypt(&vec![0; coefficients], &mut random);
        packed.clear();
        report::pack(profile, &c0, &c1, &mut packed).unwrap();
        sum.add(&packed).unwrap();
        for (i, word) in c0.into_iter().chain(c1).enumerate() {
            let dropped = profile.dropped[usize::from(i >= coefficients)];
            let rounded = (word + (1 << dropped >> 1)) >> dropped << dropped;
            nearest[i] += u128::from(rounded);
        }
    }
    let mut nearest = nearest
        .iter()
        .map(|&word| (word % u128::from(RING.modulus)) as u64);
    let nearest = Lifted {
        c0: nearest.by_ref().take(coefficients).collect(),
        c1: nearest.collect(),
    };
    let lifted = sum::lift(profile, coefficients, &sum.to_packed(), reports).unwrap();
    let unit = noise::sigma(profile, &key.norms) * f64::from(reports).sqrt();
    [lifted, nearest].map(|lifted| {
        let residues = key.decrypt(&lifted).into_iter();
        residues.map(|residue| centred(residue) / unit).collect()
    })
}

#[test]
fn errors_at_30_000_contributors_are_those_of_the_model_and_not_so_with_rounding_to_the_nearest() {
    let [floor, nearest] = errors(&ADDITIVE, 30_000, 16);
    let [floor, nearest] = [floor, nearest].map(|errors| root_mean_square(&errors));
    assert!((0.6..1.5).contains(&floor), "{floor} standard deviations");
    assert!(nearest > 5.0, "{nearest} standard deviations");
}

/// Where nearly all of the noise is of the dropped bits.
#[test]
fn errors_of_the_smallest_reports_are_those_of_the_model() {
    let [floor, _] = errors(&ADDITIVE_SMALL, 1_000, 128);
    let floor = root_mean_square(&floor);
    assert!((0.85..1.15).contains(&floor), "{floor} standard deviations");
}

fn encodings() -> impl Strategy<Value = Encoding> {
    let profiles = [&ADDITIVE_SMALL, &ADDITIVE_FINE, &ADDITIVE, &ADDITIVE_WIDE];
    let layouts = prop::sample::select(Layout::ALL.to_vec());
    let profiles = prop::sample::select(profiles.to_vec());
    (profiles, layouts, 1u16..200, 6u32..20).prop_map(|(profile, layout, batch, reference_bits)| {
        let norms = KeyNorms::expected();
        let reference_wh = 1 << reference_bits;
        let shape = shape(layout, batch);
        let quantum_wh = noise::quantum_wh(profile, &norms, reference_wh, 1_000);
        let unit = noise::square_unit_wh2(profile, &norms, reference_wh, 1_000);
        let unit = unit.filter(|_| layout == Layout::Moments);
        Encoding::new(profile, shape, reference_wh, quantum_wh, unit).unwrap()
    })
}

/// Readings of one report, some missing, some clamped, often at the reference.
fn readings(encoding: &Encoding, random: &mut Random) -> Vec<Option<Entered>> {
    let most = (encoding.reference_wh / encoding.quantum_wh) as i64;
    let quantum = encoding.quantum_wh as i64;
    let reading = |_| {
        let kind = random.next() % 10;
        let quanta = match kind {
            0 => most,
            1 => -most,
            _ => (random.next() % (2 * most as u64 + 1)) as i64 - most,
        };
        (kind != 2).then_some(Entered {
            wh: quanta * quantum,
            clamped: kind < 2,
        })
    };
    (0..encoding.shape.batch()).map(reading).collect()
}

/// With the edges 7, 8 and 40 Wh.
fn plain_bin(wh: i64) -> usize {
    match wh {
        ..0 => 0,
        0 => 1,
        1..=7 => 2,
        8 => 3,
        9..=40 => 4,
        41.. => 5,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// With the noise of a sum of a thousand reports, of which a few carry readings.
    #[test]
    fn totals_are_exactly_what_was_entered(encoding in encodings(), count in 1u32..12, seed: u64) {
        let mut random = Random(seed);
        let batch = encoding.shape.batch();
        let mut coefficients = vec![0u64; encoding.shape.coefficients()];
        let mut energy_wh = vec![0; batch];
        let mut present = vec![0; batch];
        let mut clamped = 0;
        let mut square_wh2 = vec![0; batch];
        let mut bins = vec![vec![0; 6]; batch];
        for _ in 0..count {
            let readings = readings(&encoding, &mut random);
            let encoded = encoding.encode(&readings).unwrap();
            for (sum, residue) in coefficients.iter_mut().zip(encoded) {
                *sum = (*sum + residue) % RING.modulus;
            }
            for (k, entered) in readings.iter().enumerate() {
                energy_wh[k] += entered.map_or(0, |entered| entered.wh);
                present[k] += u32::from(entered.is_some());
                clamped += u64::from(entered.is_some_and(|entered| entered.clamped));
                if let Some(entered) = entered {
                    bins[k][plain_bin(entered.wh)] += 1;
                }
            }
            let unit = encoding.square_unit_wh2.unwrap_or(1);
            let wh = readings.iter().map(|entered| Some((*entered)?.wh));
            for (sum, square) in square_wh2.iter_mut().zip(squares(wh, unit)) {
                *sum += square;
            }
        }
        let sigma = noise::sigma(encoding.profile, &KeyNorms::expected());
        for residue in &mut coefficients {
            let noise = (1_000f64.sqrt() * sigma * random.normal()).round() as i64;
            *residue = (*residue as i64 + noise).rem_euclid(RING.modulus as i64) as u64;
        }
        prop_assert!(encoding.checks_pass(&coefficients, 1_000, sigma));
        let totals = encoding.decode(&coefficients, 1_000, sigma).unwrap();
        prop_assert_eq!(totals.energy_wh, energy_wh);
        prop_assert_eq!(totals.present, present);
        prop_assert_eq!(totals.clamped, clamped);
        let squares = encoding.square_unit_wh2.map(|_| square_wh2);
        prop_assert_eq!(totals.squares_wh2, squares);
        let bins = (encoding.shape.layout() == Layout::Histogram).then_some(bins);
        prop_assert_eq!(totals.bins, bins);
    }

    /// The whole way, at the profile's own truncation.
    #[test]
    fn encrypted_totals_are_exactly_what_was_entered(
        encoding in encodings(),
        count in 1u32..5,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let key = Key::new(&mut random);
        let coefficients = encoding.shape.coefficients();
        let mut sum = Accumulator::new(encoding.profile, coefficients);
        let mut energy_wh = vec![0; encoding.shape.batch()];
        for _ in 0..count {
            let readings = readings(&encoding, &mut random);
            for (sum, entered) in energy_wh.iter_mut().zip(&readings) {
                *sum += entered.map_or(0, |entered| entered.wh);
            }
            let plaintext = encoding.encode(&readings).unwrap();
            let (c0, c1) = key.encrypt(&plaintext, &mut random);
            let mut packed = Vec::new();
            report::pack(encoding.profile, &c0, &c1, &mut packed).unwrap();
            sum.add(&packed).unwrap();
        }
        let lifted = sum::lift(encoding.profile, coefficients, &sum.to_packed(), count).unwrap();
        let residues = key.decrypt(&lifted);
        let sigma = noise::sigma(encoding.profile, &key.norms);
        prop_assert!(encoding.checks_pass(&residues, count, sigma));
        let totals = encoding.decode(&residues, count, sigma).unwrap();
        prop_assert_eq!(totals.energy_wh, energy_wh);

        let shown = sum::without_readings(&encoding.shape, &sum.to_packed()).unwrap();
        let words = crate::unpack(&RING, coefficients + RING.dimension, &shown).unwrap();
        let hidden = encoding.shape.presence().end..encoding.shape.checks().start;
        prop_assert!(words[encoding.shape.values()].iter().all(|word| *word == 0));
        prop_assert!(words[hidden].iter().all(|word| *word == 0));
        let lifted = sum::lift(encoding.profile, coefficients, &shown, count).unwrap();
        let residues = key.decrypt(&lifted);
        prop_assert!(encoding.checks_pass(&residues, count, sigma));
        let present = encoding.decode_presence(&residues, count, sigma).unwrap();
        prop_assert_eq!(present, totals.present);
    }
}
