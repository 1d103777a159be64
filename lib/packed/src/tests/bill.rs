//! Bills without encryption: what is sent and what is decrypted come to the energies, over settings of several scales.

use proptest::prelude::*;

use crate::bill::{Group, Scale, payload_len, rest, rest_len, whole};
use crate::layout::{Encoding, Entered, Layout, Shape};
use crate::noise::{KeyNorms, sigma};
use crate::sum::lift;
use crate::{ADDITIVE, ADDITIVE_SMALL, Accumulator, Profile, RING, report};

const BATCH: u16 = 6;

fn shape() -> Shape {
    Shape::new(Layout::Profile, BATCH).unwrap()
}

fn encoding(profile: &'static Profile, reference_wh: u64, quantum_wh: u64) -> Encoding {
    Encoding::new(profile, shape(), reference_wh, quantum_wh, None).unwrap()
}

/// Readings as a report whose `c1` is nothing, with low bits as an encryption has them.
fn packed_report(encoding: &Encoding, readings: &[i64], noise: u64) -> Vec<u8> {
    let entered = |wh: &i64| {
        Some(Entered {
            wh: *wh,
            clamped: false,
        })
    };
    let readings: Vec<_> = readings.iter().map(entered).collect();
    let mut c0 = encoding.encode(&readings).unwrap();
    for (k, residue) in (1..).zip(&mut c0) {
        let low = noise.wrapping_mul(k * 0x9e37_79b9) >> 20;
        *residue = (*residue + (low & ((1 << encoding.profile.dropped[0]) - 1))) % RING.modulus;
    }
    let mut packed = Vec::new();
    report::pack(encoding.profile, &c0, &vec![0; RING.dimension], &mut packed).unwrap();
    packed
}

/// A group: reports of one setting with the same bands.
struct Reports {
    encoding: Encoding,
    bands: Vec<u8>,
    readings: Vec<Vec<i64>>,
}

impl Reports {
    fn group(&self) -> Group<'_> {
        Group {
            encoding: &self.encoding,
            reports: self.readings.len() as u32,
            bands: &self.bands,
        }
    }

    /// What is sent of it: the rest, and the sum of the residues of each of two bands.
    fn sent(&self) -> (Vec<u8>, [u64; 2]) {
        let shape = self.encoding.shape;
        let mut sum = Accumulator::new(self.encoding.profile, shape.coefficients());
        let mut carried = [0; 2];
        for (noise, readings) in (1..).zip(&self.readings) {
            sum.add(&packed_report(&self.encoding, readings, noise))
                .unwrap();
            for (band, residue) in self.bands.iter().zip(sum.take_c0(shape.checks().start)) {
                carried[usize::from(*band)] =
                    (carried[usize::from(*band)] + residue) % RING.modulus;
            }
        }
        (rest(&shape, &sum.to_packed()).to_vec(), carried)
    }

    /// What it decrypts to under the secret 0.
    fn decrypted(&self, rest: &[u8]) -> Vec<u64> {
        let shape = self.encoding.shape;
        let packed = whole(&shape, rest).unwrap();
        let reports = self.readings.len() as u32;
        lift(
            self.encoding.profile,
            shape.coefficients(),
            &packed,
            reports,
        )
        .unwrap()
        .c0
    }
}

fn bill(groups: &[Reports]) -> [Option<i64>; 2] {
    let scale = Scale::of(groups.iter().map(|of| &of.encoding)).unwrap();
    let mut numbers = [0_u64; 2];
    for of in groups {
        let (rest, carried) = of.sent();
        let residues = of.decrypted(&rest);
        for (band, number) in (0..).zip(&mut numbers) {
            let sent = scale.sent(&of.encoding, carried[usize::from(band)]);
            let decrypted = scale.decrypted(&of.group(), &residues, band);
            *number = (*number + sent + decrypted) % RING.modulus;
        }
    }
    let norms = KeyNorms::expected();
    let of_groups = || {
        groups
            .iter()
            .map(|of| (of.group(), sigma(of.encoding.profile, &norms)))
    };
    [0, 1].map(|band| {
        let noise = scale.noise(of_groups(), band, 1 << 20);
        assert!(scale.carries(&noise));
        scale.energy_wh(numbers[usize::from(band)], &noise)
    })
}

proptest! {
    #[test]
    fn bands_over_settings_of_several_scales_are_exact(
        first in proptest::collection::vec(proptest::collection::vec(-1_000..4_000_i64, 6), 1..9),
        second in proptest::collection::vec(proptest::collection::vec(-500..2_000_i64, 6), 1..9),
        third in proptest::collection::vec(proptest::collection::vec(-20..1_000_i64, 6), 1..9),
    ) {
        let eighths = third.iter().map(|readings| readings.iter().map(|wh| wh * 8).collect());
        let groups = [
            Reports { encoding: encoding(&ADDITIVE_SMALL, 4_096, 1), bands: vec![0, 0, 1, 1, 0, 1], readings: first },
            Reports { encoding: encoding(&ADDITIVE, 4_096, 1), bands: vec![1, 1, 1, 1, 1, 0], readings: second },
            // Of a quantum of its own, and a shorter day.
            Reports { encoding: encoding(&ADDITIVE_SMALL, 16_384, 8), bands: vec![1, 0, 0], readings: eighths.collect() },
        ];
        let mut truth = [0; 2];
        for of in &groups {
            for readings in &of.readings {
                for (band, wh) in of.bands.iter().zip(readings) {
                    truth[usize::from(*band)] += wh;
                }
            }
        }
        prop_assert_eq!(bill(&groups), truth.map(Some));
    }
}

#[test]
fn a_number_that_is_off_the_grid_or_beyond_the_range_is_no_energy() {
    let encoding = encoding(&ADDITIVE_SMALL, 4_096, 1);
    let bands = [0; 6];
    let group = Group {
        encoding: &encoding,
        reports: 10,
        bands: &bands,
    };
    let scale = Scale::of([&encoding]).unwrap();
    let noise = scale.noise(
        [(group, sigma(&ADDITIVE_SMALL, &KeyNorms::expected()))],
        0,
        100,
    );
    let one_wh = 1_u64 << (ADDITIVE_SMALL.scale_bits - 12);
    assert_eq!(scale.energy_wh(6_000 * one_wh, &noise), Some(6_000));
    assert_eq!(
        scale.energy_wh(6_001 * one_wh, &noise),
        None,
        "60 intervals of 100 Wh"
    );
    assert_eq!(scale.energy_wh(RING.modulus - 6_001 * one_wh, &noise), None);
    assert_eq!(scale.energy_wh(7 * one_wh + one_wh / 2, &noise), None);
}

/// A month of quarter hours at the reference wraps around in the smallest profile.
#[test]
fn what_a_profile_does_not_carry_is_known_before() {
    let sigma_of = |encoding: &Encoding| sigma(encoding.profile, &KeyNorms::expected());
    let carries = |profile, reports, interval_wh| {
        let encoding = encoding(profile, 4_096, 1);
        let bands = [0; 6];
        let group = Group {
            encoding: &encoding,
            reports,
            bands: &bands,
        };
        let scale = Scale::of([&encoding]).unwrap();
        let sigma = sigma_of(&encoding);
        scale.carries(&scale.noise([(group, sigma)], 0, interval_wh))
    };
    assert!(carries(&ADDITIVE_SMALL, 124, 4_096));
    assert!(!carries(&ADDITIVE_SMALL, 496, 4_096));
    assert!(
        carries(&ADDITIVE_SMALL, 496, 1_024),
        "of a small meter it does"
    );
    assert!(carries(&ADDITIVE, 496, 4_096));
}

#[test]
fn what_is_sent_of_a_sum_is_all_of_it_but_what_carries_readings() {
    let shape = shape();
    let packed: Vec<u8> = (0..crate::sum_len(shape.coefficients()))
        .map(|at| at as u8)
        .collect();
    let sent = rest(&shape, &packed);
    assert_eq!(sent.len(), rest_len(&shape));
    let back = whole(&shape, sent).unwrap();
    let (payload, after) = back.split_at(payload_len(&shape));
    assert!(payload.iter().all(|byte| *byte == 0));
    assert_eq!(after, &packed[payload.len()..]);
    // Less than eight residues beside the checks go along; they are zero.
    assert!(shape.checks().start - payload.len() * 8 / 50 < 8);
    assert!(whole(&shape, &sent[1..]).is_err());
}
