//! Residues, reports and their bytes.

use proptest::prelude::*;

use super::{MODULUS, PROFILES, Random, SMALL, bits, values, with_value};
use crate::{ADDITIVE_SMALL, PackError, Profile, RING, Ring, pack, report, unpack};

fn error(index: usize, value: u64, ring: &Ring) -> PackError {
    PackError::OutOfRange {
        index,
        value,
        largest: ring.modulus - 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn unpacking_is_reading_bit_by_bit(groups in 0usize..40, seed: u64) {
        let words = 8 * groups;
        let packed = Random(seed).bytes(SMALL.packed_len(words));
        let expected = bits(&packed, 50, words);
        let first = expected.iter().enumerate().find(|&(_, &word)| word >= MODULUS);
        let refused = first.map(|(index, &value)| error(index, value, &SMALL));
        match refused {
            None => {
                prop_assert_eq!(pack(&SMALL, &expected), Ok(packed.clone()));
                prop_assert_eq!(unpack(&SMALL, words, &packed), Ok(expected));
            }
            Some(refused) => {
                prop_assert_eq!(unpack(&SMALL, words, &packed), Err(refused.clone()));
                prop_assert_eq!(pack(&SMALL, &expected), Err(refused));
            }
        }
    }

    #[test]
    fn a_report_is_its_residues_without_their_low_bits(
        profile in prop::sample::select(PROFILES.to_vec()),
        groups in 1usize..8,
        seed: u64,
    ) {
        let mut random = Random(seed);
        let c0 = random.residues(profile.ring, 8 * groups);
        let c1 = random.residues(profile.ring, profile.ring.dimension);
        let mut packed = vec![7; 3];
        report::pack(profile, &c0, &c1, &mut packed).unwrap();
        prop_assert_eq!(&packed[..3], [7; 3], "a report is appended");
        let report = &packed[3..];
        prop_assert_eq!(report.len(), profile.packed_len(c0.len()));
        let [t0, t1] = profile.dropped;
        let floor_c0 = c0.iter().map(|x| x >> t0);
        let floor_c1 = c1.iter().map(|x| x >> t1);
        let expected: Vec<u64> = floor_c0.chain(floor_c1).collect();
        prop_assert_eq!(values(profile, c0.len(), report), expected);
    }
}

/// The bytes of a format must never change. By another program: the low 13 and 8 bits are gone,
/// and what is left is 37 and 42 bits wide, least significant first.
#[test]
fn the_bytes_of_a_report_are_these() {
    let q = RING.modulus;
    let c0 = [
        0,
        8191,
        8192,
        q - 1,
        q / 2,
        0x1_2345_6789_abcd,
        1 << 49,
        q - 8192,
    ];
    let c1 = [
        0,
        255,
        256,
        q - 1,
        q / 2,
        0x3_2109_8765_4321,
        1 << 49,
        q - 256,
    ];
    let mut report = Vec::new();
    report::pack(&ADDITIVE_SMALL, &c0, &c1.repeat(256), &mut report).unwrap();
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
    assert_eq!(report.len(), 37 + 256 * 42);
    assert_eq!(hex(&report[..37]), GOLDEN_C0);
    for group in report[37..].chunks(42) {
        assert_eq!(hex(group), GOLDEN_C1);
    }
}

const GOLDEN_C0: &str =
    "0000000000000000000400000000ffffffffffffffffff9a7856341200000000ecffffffff";
const GOLDEN_C1: &str =
    "00000000000000000000100000000000f0ffffffffe0ffffffff0d951d26840c00000000e0efffffffff";

#[test]
fn residues_out_of_range_are_refused_wherever_they_are() {
    let good_c0 = vec![7; 16];
    let good_c1 = vec![MODULUS - 1; 64];
    for profile in PROFILES
        .into_iter()
        .filter(|profile| profile.ring == &SMALL)
    {
        let pack = |c0: &[u64], c1: &[u64]| report::pack(profile, c0, c1, &mut Vec::new());
        assert_eq!(pack(&good_c0, &good_c1), Ok(()));
        for value in [MODULUS, MODULUS + 1, 1 << 50, u64::MAX] {
            for index in 0..16 {
                let mut c0 = good_c0.clone();
                c0[index] = value;
                assert_eq!(pack(&c0, &good_c1), Err(error(index, value, &SMALL)));
            }
            for index in (0..8).chain(56..64) {
                let mut c1 = good_c1.clone();
                c1[index] = value;
                assert_eq!(pack(&good_c0, &c1), Err(error(index, value, &SMALL)));
            }
        }
    }
}

#[test]
fn packed_residues_out_of_range_are_refused_wherever_they_are() {
    let packed = pack(&SMALL, &[7; 64]).unwrap();
    for index in 0..64 {
        for value in [MODULUS, MODULUS + 1, (1 << 50) - 1] {
            let packed = with_value(&packed, 50 * index, 50, value);
            assert_eq!(
                unpack(&SMALL, 64, &packed),
                Err(error(index, value, &SMALL))
            );
        }
        let packed = with_value(&packed, 50 * index, 50, MODULUS - 1);
        assert_eq!(unpack(&SMALL, 64, &packed).unwrap()[index], MODULUS - 1);
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let words = |expected, actual| Err(PackError::WrongWords { expected, actual });
    assert_eq!(pack(&SMALL, &[0; 7]).err(), words(8, 7).err());
    assert_eq!(
        unpack(&SMALL, 9, &[0; 100]),
        Err(PackError::WrongWords {
            expected: 16,
            actual: 9
        })
    );
    for actual in [0, 49, 51, 100] {
        let expected = 50;
        let error = Err(PackError::WrongLength { expected, actual });
        assert_eq!(unpack(&SMALL, 8, &vec![0; actual]), error);
    }
    let profile: &Profile = &ADDITIVE_SMALL;
    let report = |c0: usize, c1: usize| {
        let mut out = Vec::new();
        report::pack(profile, &vec![0; c0], &vec![0; c1], &mut out)
    };
    assert_eq!(report(8, 2048), Ok(()));
    assert_eq!(report(9, 2048), words(16, 9));
    assert_eq!(report(8, 2040), words(2048, 2040));
    assert_eq!(report(8, 2056), words(2048, 2056));
}
