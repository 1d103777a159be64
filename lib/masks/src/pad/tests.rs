use proptest::prelude::*;
use sha2::Digest;

use super::*;

const Q: u64 = 1_125_899_906_826_241;
const LEN: usize = 232;

fn secret(byte: u8) -> MaskSecret {
    MaskSecret::from_bytes(&[byte; 32])
}

/// What the golden values below are of.
fn example_key() -> PadKey {
    let (meter, verifier) = (secret(1), secret(2));
    let parties = Parties {
        deployment: "example",
        meter: "meter-7",
        epoch: 3,
        meter_key: &meter.public(),
        verifier_key: &verifier.public(),
    };
    PadKey::agree(&meter, &verifier.public(), &parties).expect("a key")
}

const EXAMPLE: Label<'_> = Label {
    setting: &[5; 32],
    window: 1_234_567,
    salt: [0, 1, 2, 3, 4, 5, 6, 7],
};

fn pad(key: &PadKey, label: &Label<'_>, modulus: u64, len: usize) -> Vec<u64> {
    let mut words = vec![0; len];
    key.add(label, modulus, &mut words);
    words
}

fn digest(words: &[u64]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    hex::encode(Sha256::digest(bytes))
}

/// RFC 5869, appendix A.3: no salt, as here.
#[test]
fn hkdf_gives_the_known_answer() {
    let mut output = [0; 42];
    Hkdf::<Sha256>::new(None, &[0x0b; 22])
        .expand(&[], &mut output)
        .expect("42 bytes");
    assert_eq!(
        hex::encode(output),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    );
}

/// The values are of another implementation of the derivation, written from the crate's documentation.
#[test]
fn pads_are_the_committed_ones() {
    let key = example_key();
    assert_eq!(
        hex::encode(*key.0),
        "4c156dc641ca6c5180dea90ebec9172caeece79173b1b0765383c66cecb19387"
    );
    let words = pad(&key, &EXAMPLE, Q, LEN);
    assert_eq!(
        words[..4],
        [
            663_632_122_385_938,
            887_236_801_540_449,
            4_032_586_640_441,
            945_089_824_641_087
        ]
    );
    assert_eq!(
        digest(&words),
        "6957586cc59b616f3437788482da7396b1fc369ce5e4ee294e11601e4d07ce93"
    );
}

#[test]
fn words_that_are_not_below_the_modulus_are_passed_over() {
    // Just above a power of two: every second word.
    let words = pad(&example_key(), &EXAMPLE, (1 << 49) + 1, LEN);
    assert_eq!(
        words[..3],
        [4_032_586_640_441, 176_595_482_955_526, 219_826_457_818_822]
    );
    assert_eq!(
        digest(&words),
        "6134554f57b368da29905817efdf4a6f22482966ed2b1b30a4d1470747ecae3f"
    );
}

#[test]
fn a_public_key_of_a_small_subgroup_is_refused() {
    let mut one = [0; 32];
    one[0] = 1;
    // p, which is zero again, and p + 1.
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    let mut p_and_one = p;
    p_and_one[0] = 0xee;
    let secret = secret(1);
    for weak in [[0; 32], one, p, p_and_one] {
        let parties = Parties {
            deployment: "example",
            meter: "meter-7",
            epoch: 3,
            meter_key: &secret.public(),
            verifier_key: &weak,
        };
        assert_eq!(PadKey::agree(&secret, &weak, &parties).err(), Some(WeakKey));
    }
}

#[test]
fn pads_are_uniform_as_far_as_mean_and_spread_tell() {
    let words = pad(&example_key(), &EXAMPLE, Q, 200_000);
    let scaled = || words.iter().map(|word| *word as f64 / Q as f64);
    let count = words.len() as f64;
    let mean = scaled().sum::<f64>() / count;
    let variance = scaled().map(|word| (word - 0.5).powi(2)).sum::<f64>() / count;
    // Five standard deviations: √(1/12) and √(1/180) over √200,000.
    assert!((mean - 0.5).abs() < 0.0033, "{mean}");
    assert!((variance - 1.0 / 12.0).abs() < 0.00084, "{variance}");
    // Each bit below the highest, too.
    for bit in 0..49 {
        let ones = words.iter().filter(|word| *word >> bit & 1 == 1).count() as f64;
        assert!((ones / count - 0.5).abs() < 0.0056, "bit {bit}: {ones}");
    }
}

#[test]
fn a_pad_key_is_32_bytes_and_shows_nothing() {
    assert_eq!(format!("{:?}", example_key()), "PadKey(..)");
    assert_eq!(size_of::<PadKey>(), 32);
}

/// The fields of [`Parties`], owned.
#[derive(Clone, Debug, PartialEq)]
struct Owned {
    deployment: String,
    meter: String,
    epoch: u32,
    meter_key: [u8; 32],
    verifier_key: [u8; 32],
}

impl Owned {
    fn key(&self) -> PadKey {
        let parties = Parties {
            deployment: &self.deployment,
            meter: &self.meter,
            epoch: self.epoch,
            meter_key: &self.meter_key,
            verifier_key: &self.verifier_key,
        };
        // The same shared secret, whatever the parties: only their names in the derivation differ.
        PadKey::derive(&[9; 32], &parties)
    }
}

fn owned() -> impl Strategy<Value = Owned> {
    let key = any::<[u8; 32]>;
    ("[ab]{0,3}", "[ab]{0,3}", any::<u32>(), key(), key()).prop_map(
        |(deployment, meter, epoch, meter_key, verifier_key)| Owned {
            deployment,
            meter,
            epoch,
            meter_key,
            verifier_key,
        },
    )
}

fn no_word_is_the_same(first: &[u64], second: &[u64]) -> bool {
    first
        .iter()
        .zip(second)
        .all(|(first, second)| first != second)
}

proptest! {
    #[test]
    fn both_sides_agree(
        [meter, verifier] in any::<[[u8; 32]; 2]>(), epoch: u32, window: u64, salt: [u8; 8],
    ) {
        let (meter, verifier) = (MaskSecret::from_bytes(&meter), MaskSecret::from_bytes(&verifier));
        let parties = Parties {
            deployment: "example",
            meter: "meter-7",
            epoch,
            meter_key: &meter.public(),
            verifier_key: &verifier.public(),
        };
        let meters = PadKey::agree(&meter, &verifier.public(), &parties).expect("a key");
        let verifiers = PadKey::agree(&verifier, &meter.public(), &parties).expect("a key");
        let label = Label { setting: &[5; 32], window, salt };
        prop_assert_eq!(pad(&meters, &label, Q, LEN), pad(&verifiers, &label, Q, LEN));
    }

    #[test]
    fn every_field_of_the_parties_changes_every_word(first in owned(), other in owned(), field in 0..5) {
        let mut second = first.clone();
        match field {
            0 => second.deployment = other.deployment,
            1 => second.meter = other.meter,
            2 => second.epoch = other.epoch,
            3 => second.meter_key = other.meter_key,
            _ => second.verifier_key = other.verifier_key,
        }
        prop_assume!(first != second);
        let words = |owned: &Owned| pad(&owned.key(), &EXAMPLE, Q, LEN);
        prop_assert!(no_word_is_the_same(&words(&first), &words(&second)));
    }

    /// A byte that moved from one name to the next is another meter.
    #[test]
    fn names_that_join_to_the_same_text_are_told_apart(
        first in owned(), name in "[ab]{4}", (one, other) in (0..=4_usize, 0..=4_usize),
    ) {
        prop_assume!(one != other);
        let split = |at: usize| Owned {
            deployment: name[..at].to_owned(),
            meter: name[at..].to_owned(),
            ..first.clone()
        };
        let words = |at: usize| pad(&split(at).key(), &EXAMPLE, Q, LEN);
        prop_assert!(no_word_is_the_same(&words(one), &words(other)));
    }

    #[test]
    fn every_field_of_the_label_changes_every_word(
        setting: [u8; 32], window: u64, salt: [u8; 8], field in 0..3, bit in 0..64_usize,
    ) {
        let first = Label { setting: &setting, window, salt };
        let (mut setting, mut window, mut salt) = (setting, window, salt);
        match field {
            0 => setting[bit / 2] ^= 1 << (bit % 8),
            1 => window ^= 1 << bit,
            _ => salt[bit / 8] ^= 1 << (bit % 8),
        }
        let second = Label { setting: &setting, window, salt };
        let key = example_key();
        prop_assert!(no_word_is_the_same(&pad(&key, &first, Q, LEN), &pad(&key, &second, Q, LEN)));
    }

    #[test]
    fn what_was_added_is_subtracted(
        start in prop::collection::vec(0..Q, 1..300), window: u64,
    ) {
        let key = example_key();
        let label = Label { window, ..EXAMPLE };
        let mut words = start.clone();
        key.add(&label, Q, &mut words);
        prop_assert!(words.iter().all(|word| *word < Q));
        for ((word, start), pad) in words.iter().zip(&start).zip(pad(&key, &label, Q, start.len())) {
            prop_assert_eq!(*word, (start + pad) % Q);
        }
        key.subtract(&label, Q, &mut words);
        prop_assert_eq!(words, start);
    }

    #[test]
    fn a_shorter_pad_is_the_beginning_of_a_longer_one(
        len in 0..LEN, modulus in prop_oneof![Just(Q), Just((1 << 49) + 1), 2..=1_u64 << 63],
    ) {
        let key = example_key();
        let longer = pad(&key, &EXAMPLE, modulus, LEN);
        prop_assert_eq!(&pad(&key, &EXAMPLE, modulus, len)[..], &longer[..len]);
        prop_assert!(longer.iter().all(|word| *word < modulus));
    }
}
