//! The whole path from readings to totals, but for the masks.

#![allow(clippy::unwrap_used)]

use openfhe::Context;
use openfhe::secret::{self, SecretKey};
use packed::layout::{Encoding, Entered, Layout, Shape, Totals, squares};
use packed::{Accumulator, Profile, noise, sum};
use seal::PublicKey;

const BATCH: usize = 96;
const EDGES_WH: [u64; 3] = [100, 4_000, 1 << 20];

fn setup() -> (SecretKey, PublicKey) {
    let (secret, public) = secret::generate(&Context::new().unwrap()).unwrap();
    let public = PublicKey::from_packed(public.as_packed()).unwrap();
    (secret, public)
}

/// Readings of either sign up to the reference itself, some of them clamped, some missing.
fn readings(meter: i64, encoding: &Encoding) -> Vec<Option<Entered>> {
    let quantum = encoding.quantum_wh as i64;
    let steps = (encoding.reference_wh / encoding.quantum_wh) as i64;
    let reading = |k: i64| {
        let hash = (meter * 7_919 + k * 104_729 + 12_345) % 1_000_003;
        let quanta = match hash % 11 {
            0 => steps,
            1 => -steps,
            _ => hash * 31 % (2 * steps + 1) - steps,
        };
        (hash % 13 != 0).then_some(Entered {
            wh: quanta * quantum,
            clamped: hash % 5 == 0,
        })
    };
    (0..BATCH as i64).map(reading).collect()
}

/// The totals, by adding up in the clear.
fn expected(all: &[Vec<Option<Entered>>], encoding: &Encoding) -> Totals {
    let square_unit_wh2 = encoding.square_unit_wh2;
    let has_bins = encoding.shape.layout() == Layout::Histogram;
    let mut totals = Totals {
        energy_wh: vec![0; BATCH],
        present: vec![0; BATCH],
        clamped: 0,
        squares_wh2: square_unit_wh2.map(|_| vec![0; BATCH]),
        bins: has_bins.then(|| vec![vec![0; EDGES_WH.len() + 3]; BATCH]),
        maxima_wh: (encoding.shape.layout() == Layout::Maxima).then_some(0),
    };
    for readings in all {
        for (k, entered) in readings.iter().enumerate() {
            let Some(entered) = entered else { continue };
            totals.energy_wh[k] += entered.wh;
            totals.present[k] += 1;
            totals.clamped += u64::from(entered.clamped);
            if let Some(bins) = &mut totals.bins {
                let above = EDGES_WH.iter().filter(|edge| entered.wh > **edge as i64);
                let consuming = usize::from(entered.wh > 0) + above.count();
                bins[k][usize::from(entered.wh >= 0) + consuming] += 1;
            }
        }
        if let Some(maxima) = &mut totals.maxima_wh {
            let entered = readings.iter().flatten().map(|entered| entered.wh);
            *maxima += entered.max().unwrap_or(0);
        }
        if let (Some(unit), Some(sums)) = (square_unit_wh2, &mut totals.squares_wh2) {
            let energies = readings.iter().map(|entered| Some((*entered)?.wh));
            for (sum, square) in sums.iter_mut().zip(squares(energies, unit)) {
                *sum += square;
            }
        }
    }
    totals
}

/// Encrypts, packs, adds and opens these reports.
fn sum(
    all: &[Vec<Option<Entered>>],
    encoding: &Encoding,
    public: &PublicKey,
    secret: &SecretKey,
) -> Vec<u64> {
    let (profile, coefficients) = (encoding.profile, encoding.shape.coefficients());
    let mut sum = Accumulator::new(profile, coefficients);
    let mut packed = Vec::new();
    for readings in all {
        let plaintext = encoding.encode(readings).unwrap();
        packed.clear();
        seal::encrypt(public, profile, &plaintext, &mut packed).unwrap();
        assert_eq!(packed.len(), profile.packed_len(coefficients));
        sum.add(&packed).unwrap();
    }
    let lifted = sum::lift(profile, coefficients, &sum.to_packed(), sum.contributors());
    secret.open(&lifted.unwrap()).unwrap()
}

fn encoding(
    profile: &'static Profile,
    layout: Layout,
    norms: &noise::KeyNorms,
    reference_wh: u64,
) -> Encoding {
    let most = profile.max_contributors();
    let quantum_wh = noise::quantum_wh(profile, norms, reference_wh, most);
    let square_unit_wh2 = match layout {
        Layout::Profile | Layout::Maxima | Layout::Histogram => None,
        Layout::Moments => noise::square_unit_wh2(profile, norms, reference_wh, most),
    };
    let edges_wh: &[u64] = match layout {
        Layout::Histogram => &EDGES_WH,
        Layout::Profile | Layout::Maxima | Layout::Moments => &[],
    };
    let shape = Shape::with_edges(layout, edges_wh, BATCH as u16).unwrap();
    Encoding::new(profile, shape, reference_wh, quantum_wh, square_unit_wh2).unwrap()
}

#[test]
fn totals_are_exact_in_every_profile_and_layout() {
    const METERS: i64 = 40;
    let (secret, public) = setup();
    let norms = secret.norms();
    for layout in Layout::ALL {
        for profile in Profile::all() {
            for reference_wh in [4_096, 65_536, 1 << 27] {
                let encoding = encoding(profile, layout, &norms, reference_wh);
                let all: Vec<_> = (0..METERS)
                    .map(|meter| readings(meter, &encoding))
                    .collect();
                let residues = sum(&all, &encoding, &public, &secret);
                let sigma = noise::sigma(profile, &norms);
                assert!(encoding.checks_pass(&residues, METERS as u32, sigma));
                let totals = encoding.decode(&residues, METERS as u32, sigma).unwrap();
                let expected = expected(&all, &encoding);
                assert!(totals == expected, "{profile}, {layout}, {reference_wh} Wh");
            }
        }
    }
}

#[test]
fn a_sum_opened_with_another_key_fails_its_checks() {
    let (_, public) = setup();
    let (other, _) = setup();
    for profile in Profile::all() {
        let encoding = encoding(profile, Layout::Profile, &other.norms(), 65_536);
        let all = [readings(0, &encoding)];
        let residues = sum(&all, &encoding, &public, &other);
        let sigma = noise::sigma(profile, &other.norms());
        assert!(!encoding.checks_pass(&residues, 1, sigma));
        // Nor would it pass as the sum of everybody.
        let most = profile.max_contributors();
        assert!(!encoding.checks_pass(&residues, most, sigma));
        assert!(encoding.decode(&residues, most, sigma).is_err());
    }
}
