//! Every kernel against arithmetic so plain that it needs no test.

use proptest::prelude::*;

use crate::{
    ADDITIVE, ADDITIVE_WIDE, Accumulator, FoldError, Kernel, PackError, Profile, pack, pack_into,
    unpack,
};

// Moduli about a thousandth below a power of two, so that random bytes are now and then out of
// range; none needs to be prime here.
const fn modulus(bits: u32) -> u64 {
    (1 << bits) - (1 << (bits - 10)) + 1
}

static SMALL_50: Profile = Profile::new("small-50", 64, &[modulus(50)], 50, 20);
static SMALL_53: Profile = Profile::new("small-53", 64, &[modulus(53)], 53, 20);
static SMALL_60: Profile = Profile::new("small-60", 128, &[modulus(60)], 60, 20);
static TWO_LIMBS: Profile =
    Profile::new("two-limbs", 64, &[modulus(54), modulus(54) - 1280], 54, 20);
static PROFILES: [&Profile; 5] = [&SMALL_50, &SMALL_53, &SMALL_60, &TWO_LIMBS, &ADDITIVE];

/// The number in bits `[i × width, (i + 1) × width)` of each limb, one bit at a time.
fn naive_unpack(profile: &Profile, packed: &[u8]) -> Vec<u64> {
    let width = profile.modulus_bits as usize;
    let limb_bits = profile.ring_dimension * width;
    (0..profile.words())
        .map(|index| {
            let limb = index / profile.ring_dimension;
            let i = index % profile.ring_dimension;
            (0..width).fold(0, |value, bit| {
                let at = limb * limb_bits + i * width + bit;
                value | u64::from(packed[at / 8] >> (at % 8) & 1) << bit
            })
        })
        .collect()
}

/// Sums in 128 bits, reduced once at the end.
struct NaiveSum {
    profile: &'static Profile,
    words: Vec<u128>,
    contributors: u32,
}

impl NaiveSum {
    fn new(profile: &'static Profile) -> Self {
        let words = vec![0; profile.words()];
        Self {
            profile,
            words,
            contributors: 0,
        }
    }

    /// As `Accumulator::add`, with another error.
    fn add(&mut self, packed: &[u8]) -> Result<(), (usize, u64)> {
        let values = naive_unpack(self.profile, packed);
        for (index, &value) in values.iter().enumerate() {
            if value >= self.profile.modulus_of(index) {
                return Err((index, value));
            }
        }
        for (word, value) in self.words.iter_mut().zip(values) {
            *word += u128::from(value);
        }
        self.contributors += 1;
        Ok(())
    }

    fn reduced(&self) -> Vec<u64> {
        let words = self.words.iter().enumerate();
        words
            .map(|(index, word)| (word % u128::from(self.profile.modulus_of(index))) as u64)
            .collect()
    }
}

fn profiles() -> impl Strategy<Value = &'static Profile> {
    prop::sample::select(PROFILES.to_vec())
}

/// SplitMix64.
fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let numbers = std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    numbers.flat_map(u64::to_le_bytes).take(len).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random bytes, many out of range, at any alignment: the same sum, or the same refusal and
    /// the sum unchanged.
    #[test]
    fn every_kernel_is_the_naive_sum(
        profile in profiles(),
        count in 0u64..40,
        seed: u64,
        offset in 0usize..64,
    ) {
        for kernel in Kernel::available() {
            let mut sum = Accumulator::with_kernel(profile, kernel).unwrap();
            let mut naive = NaiveSum::new(profile);
            for i in 0..count {
                let bytes = random_bytes(seed ^ i << 32, offset + profile.packed_len());
                let packed = &bytes[offset..];
                let before = sum.to_packed();
                match (sum.add(packed), naive.add(packed)) {
                    (Ok(()), Ok(())) => {}
                    (Err(error), Err((index, value))) => {
                        let modulus = profile.modulus_of(index);
                        prop_assert_eq!(error, FoldError::LimbOutOfRange { index, value, modulus });
                        prop_assert_eq!(sum.to_packed(), before);
                    }
                    (ours, theirs) => prop_assert!(false, "{:?}, not {:?}", ours, theirs),
                }
            }
            prop_assert_eq!(sum.contributors(), naive.contributors);
            prop_assert_eq!(unpack(profile, &sum.to_packed()).unwrap(), naive.reduced());
        }
    }

    #[test]
    fn unpacking_is_reading_bit_by_bit(profile in profiles(), seed: u64) {
        let packed = random_bytes(seed, profile.packed_len());
        let words = naive_unpack(profile, &packed);
        let first = words.iter().enumerate().find(|&(i, &word)| word >= profile.modulus_of(i));
        let expected = match first {
            None => Ok(words.clone()),
            Some((index, &value)) => {
                let modulus = profile.modulus_of(index);
                Err(PackError::OutOfRange { index, value, modulus })
            }
        };
        prop_assert_eq!(unpack(profile, &packed), expected.clone());
        prop_assert_eq!(pack(profile, &words), expected.map(|_| packed));
    }

    #[test]
    fn merging_is_adding_the_contributors(
        profile in profiles(),
        ours in 0u64..20,
        theirs in 0u64..20,
        seed: u64,
    ) {
        let mut all = Accumulator::new(profile);
        let mut parts = [Accumulator::new(profile), Accumulator::new(profile)];
        for i in 0..ours + theirs {
            let packed = random_bytes(seed ^ i << 32, profile.packed_len());
            let part = &mut parts[usize::from(i >= ours)];
            prop_assert_eq!(part.add(&packed), all.add(&packed));
        }
        let [mut merged, other] = parts;
        merged.merge(&other).unwrap();
        prop_assert_eq!(merged.contributors(), all.contributors());
        prop_assert_eq!(merged.to_packed(), all.to_packed());
    }
}

/// The largest residues, whose sums leave 64 bits soonest, across the counts at which sums are
/// reduced.
#[test]
fn sums_are_exact_across_every_reduction() {
    for (profile, capacity) in [(&SMALL_53, 2050u32), (&SMALL_60, 16), (&ADDITIVE, 2048)] {
        let words: Vec<u64> = (0..profile.words())
            .map(|index| profile.modulus_of(index) - 1 - index as u64 % 3)
            .collect();
        let packed = pack(profile, &words).unwrap();
        for kernel in Kernel::available() {
            let mut sum = Accumulator::with_kernel(profile, kernel).unwrap();
            for count in 1..=2 * capacity + 2 {
                sum.add(&packed).unwrap();
                let of_the_edge = count % capacity;
                if of_the_edge > 2 && of_the_edge < capacity - 2 {
                    continue;
                }
                let expected: Vec<u64> = words
                    .iter()
                    .map(|&word| u128::from(word) * u128::from(count))
                    .map(|word| (word % u128::from(profile.moduli[0])) as u64)
                    .collect();
                let reduced = unpack(profile, &sum.to_packed()).unwrap();
                assert_eq!(reduced, expected, "{profile}, {kernel}, {count}");
            }
        }
    }
}

/// Reducing at every addition would give the same sum, and take several times as long.
#[test]
fn words_are_reduced_only_when_another_addition_would_not_fit() {
    let largest = SMALL_60.moduli[0] - 1;
    let packed = pack(&SMALL_60, &vec![largest; SMALL_60.words()]).unwrap();
    let mut sum = Accumulator::new(&SMALL_60);
    for count in 1..=u64::MAX / largest {
        sum.add(&packed).unwrap();
        assert_eq!(sum.words()[0], count * largest);
    }
    sum.add(&packed).unwrap();
    assert!(sum.words()[0] < 2 * SMALL_60.moduli[0]);
}

/// A sum that is about to be reduced, merged into another one, and into itself.
#[test]
fn merging_full_words_is_exact() {
    let words = vec![ADDITIVE.moduli[0] - 1; ADDITIVE.words()];
    let packed = pack(&ADDITIVE, &words).unwrap();
    let mut sum = Accumulator::new(&ADDITIVE);
    for _ in 0..2048 {
        sum.add(&packed).unwrap();
    }
    let copy = sum.clone();
    sum.merge(&copy).unwrap();
    sum.add(&packed).unwrap();
    // (q − 1) × 4097 = q − 4097 modulo q
    let expected = vec![ADDITIVE.moduli[0] - 4097; ADDITIVE.words()];
    assert_eq!(unpack(&ADDITIVE, &sum.to_packed()), Ok(expected));
}

/// Sixteen additions fill a word of 60 bits, so a merge that did not count would wrap.
#[test]
fn many_merges_in_a_row_are_exact() {
    let largest = SMALL_60.moduli[0] - 1;
    let packed = pack(&SMALL_60, &vec![largest; SMALL_60.words()]).unwrap();
    let mut one = Accumulator::new(&SMALL_60);
    one.add(&packed).unwrap();
    let mut sum = Accumulator::new(&SMALL_60);
    for merged in 1..=40 {
        sum.merge(&one).unwrap();
        // (q − 1) × n = q − n modulo q
        let expected = vec![SMALL_60.moduli[0] - merged; SMALL_60.words()];
        assert_eq!(unpack(&SMALL_60, &sum.to_packed()), Ok(expected));
    }
}

/// One bad value, at every position of a group, at the start and the end of each limb.
#[test]
fn one_value_out_of_range_is_found_wherever_it_is() {
    for profile in [&TWO_LIMBS, &SMALL_60, &SMALL_50, &ADDITIVE] {
        let n = profile.ring_dimension;
        let good = vec![7; profile.words()];
        let good_packed = pack(profile, &good).unwrap();
        for index in (0..profile.words()).filter(|index| index % n < 16 || index % n >= n - 16) {
            let modulus = profile.modulus_of(index);
            let largest = (1 << profile.modulus_bits) - 1;
            for value in [modulus, modulus + 1, largest] {
                let packed = with_value(profile, &good_packed, index, value);
                let error = FoldError::LimbOutOfRange {
                    index,
                    value,
                    modulus,
                };
                for kernel in Kernel::available() {
                    let mut sum = Accumulator::with_kernel(profile, kernel).unwrap();
                    sum.add(&good_packed).unwrap();
                    assert_eq!(sum.add(&packed), Err(error.clone()), "{kernel}");
                    assert_eq!((sum.words(), sum.contributors()), (good.clone(), 1));
                }
                let error = PackError::OutOfRange {
                    index,
                    value,
                    modulus,
                };
                assert_eq!(unpack(profile, &packed), Err(error.clone()));
                let mut words = good.clone();
                words[index] = value;
                assert_eq!(pack(profile, &words), Err(error));
            }
            let packed = with_value(profile, &good_packed, index, modulus - 1);
            assert_eq!(unpack(profile, &packed).unwrap()[index], modulus - 1);
        }
    }
}

/// The words may be reduced before the bad value is found; the sum is still the same.
#[test]
fn a_refusal_when_words_are_due_for_reduction_keeps_the_sum() {
    for kernel in Kernel::available() {
        let good = pack(&SMALL_60, &vec![modulus(60) - 1; SMALL_60.words()]).unwrap();
        let bad = with_value(&SMALL_60, &good, 255, modulus(60));
        let mut sum = Accumulator::with_kernel(&SMALL_60, kernel).unwrap();
        for count in 1..100u64 {
            sum.add(&good).unwrap();
            sum.add(&bad).unwrap_err();
            let words = unpack(&SMALL_60, &sum.to_packed()).unwrap();
            assert_eq!(words, vec![modulus(60) - count; SMALL_60.words()]);
        }
    }
}

/// `packed` with the word at `index` overwritten, a bit at a time.
fn with_value(profile: &Profile, packed: &[u8], index: usize, value: u64) -> Vec<u8> {
    let mut packed = packed.to_vec();
    let width = profile.modulus_bits as usize;
    for bit in 0..width {
        let at = index * width + bit;
        packed[at / 8] &= !(1 << (at % 8));
        packed[at / 8] |= ((value >> bit & 1) as u8) << (at % 8);
    }
    packed
}

#[test]
fn a_word_wider_than_the_packing_is_refused() {
    let mut words = vec![0; ADDITIVE.words()];
    words[4000] = 1 << 53;
    let error = PackError::OutOfRange {
        index: 4000,
        value: 1 << 53,
        modulus: ADDITIVE.moduli[0],
    };
    assert_eq!(pack(&ADDITIVE, &words), Err(error));
}

#[test]
fn wrong_lengths_are_refused() {
    let (expected, words) = (ADDITIVE.packed_len(), vec![0; ADDITIVE.words()]);
    for actual in [0, 1, expected - 1, expected + 1, 2 * expected] {
        let bytes = vec![0; actual];
        let mut sum = Accumulator::new(&ADDITIVE);
        let error = FoldError::WrongLength { expected, actual };
        assert_eq!(sum.add(&bytes), Err(error.clone()));
        assert_eq!(
            Accumulator::from_packed(&ADDITIVE, &bytes, 1).unwrap_err(),
            error
        );
        let error = PackError::WrongLength { expected, actual };
        assert_eq!(unpack(&ADDITIVE, &bytes), Err(error.clone()));
        assert_eq!(
            pack_into(&ADDITIVE, &words, &mut vec![0; actual]),
            Err(error)
        );
    }
    let error = PackError::WrongWords {
        expected: 4096,
        actual: 4095,
    };
    assert_eq!(pack(&ADDITIVE, &words[1..]), Err(error));
}

#[test]
fn the_contributor_bound_holds_at_its_edge_and_is_refused_past_it() {
    let one = pack(&ADDITIVE, &vec![1; ADDITIVE.words()]).unwrap();
    for (profile, max) in [(&ADDITIVE, 32_767), (&ADDITIVE_WIDE, 1_048_575)] {
        let full = Err(FoldError::Full { max });
        let mut sum = Accumulator::from_packed(profile, &one, max - 1).unwrap();
        assert_eq!(sum.add(&one), Ok(()));
        assert_eq!(sum.contributors(), max);
        let before = sum.words();
        assert_eq!(sum.add(&one), full);
        assert_eq!(
            sum.merge(&Accumulator::from_packed(profile, &one, 1).unwrap()),
            full
        );
        assert_eq!((sum.words(), sum.contributors()), (before, max));
        assert_eq!(sum.merge(&Accumulator::new(profile)), Ok(()));
        for past in [max + 1, u32::MAX] {
            assert_eq!(
                Accumulator::from_packed(profile, &one, past).err(),
                full.clone().err()
            );
        }
        // A second half that is exactly full, or one too many.
        let mut half = Accumulator::from_packed(profile, &one, max - 5).unwrap();
        let six = Accumulator::from_packed(profile, &one, 6).unwrap();
        assert_eq!(half.merge(&six), full);
        let five = Accumulator::from_packed(profile, &one, 5).unwrap();
        assert_eq!(half.merge(&five), Ok(()));
    }
}

/// At the edge, slots of 1 in every report are still told apart from slots of −1.
#[test]
fn a_full_sum_of_the_largest_slots_does_not_wrap() {
    for profile in Profile::all() {
        let q = i128::from(profile.moduli[0]);
        let noise = 1 << 30;
        for slot in [1, -1] {
            let per_report = slot * (1i128 << profile.scale_bits);
            let sum = per_report * i128::from(profile.max_contributors()) + slot * noise;
            let residue = sum.rem_euclid(q);
            let centred = if residue > q / 2 {
                residue - q
            } else {
                residue
            };
            assert_eq!(centred, sum, "{profile}");
        }
    }
}

#[test]
fn sums_of_different_profiles_do_not_merge() {
    let mut sum = Accumulator::new(&ADDITIVE);
    let error = FoldError::ProfileMismatch {
        ours: "additive",
        theirs: "additive-wide",
    };
    assert_eq!(sum.merge(&Accumulator::new(&ADDITIVE_WIDE)), Err(error));
}

#[test]
fn a_stored_sum_continues_where_it_was() {
    let report = |seed| random_bytes(seed, ADDITIVE.packed_len());
    let mut sum = Accumulator::new(&ADDITIVE);
    for seed in 0..5 {
        sum.add(&report(seed)).unwrap();
    }
    let mut stored =
        Accumulator::from_packed(&ADDITIVE, &sum.to_packed(), sum.contributors()).unwrap();
    sum.add(&report(5)).unwrap();
    stored.add(&report(5)).unwrap();
    assert_eq!(
        (stored.to_packed(), stored.contributors()),
        (sum.to_packed(), 6)
    );
}

#[test]
fn the_best_kernel_is_available_and_portable_always_is() {
    let available: Vec<Kernel> = Kernel::available().collect();
    // `.ci/valgrind` reads this: a run without AVX2 would show nothing of it.
    println!("kernels: {available:?}");
    assert_eq!(available.first(), Some(&Kernel::Portable));
    assert_eq!(available.last(), Some(&Kernel::best()));
    for kernel in Kernel::ALL {
        let made = Accumulator::with_kernel(&ADDITIVE, kernel);
        assert_eq!(made.is_ok(), available.contains(&kernel));
    }
}
