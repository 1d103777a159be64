use proptest::prelude::*;

use super::*;
use crate::{MaskSecret, Parties};

fn key(meter: u8) -> PadKey {
    let (secret, verifier) = (
        MaskSecret::from_bytes(&[meter; 32]),
        MaskSecret::from_bytes(&[200; 32]),
    );
    let parties = Parties {
        deployment: "example",
        meter: "meter",
        epoch: 1,
        meter_key: &secret.public(),
        verifier_key: &verifier.public(),
    };
    PadKey::agree(&secret, &verifier.public(), &parties).expect("a key")
}

fn label(number: u64) -> Label<'static> {
    Label {
        setting: &[5; 32],
        window: 7,
        salt: number.to_le_bytes(),
    }
}

proptest! {
    /// Moduli with room for one pad, for a few and for all of them before words are reduced.
    #[test]
    fn a_sum_is_its_pads_added_one_by_one(
        modulus in prop_oneof![
            Just(1_125_899_906_826_241), Just(1_u64 << 63), (1_u64 << 58)..(1 << 62), 2..100_u64,
        ],
        start in prop::collection::vec(any::<u64>(), 0..40),
        contributors in 0..80_u64,
    ) {
        let start: Vec<u64> = start.iter().map(|word| word % modulus).collect();
        let keys = [key(1), key(2)];
        let mut sum = PadSum::new(start.len(), modulus);
        let mut words = start.clone();
        for number in 0..contributors {
            let key = &keys[(number % 2) as usize];
            sum.add(key, &label(number));
            key.add(&label(number), modulus, &mut words);
        }
        sum.subtract_from(&mut words);
        prop_assert_eq!(words, start);
    }
}

#[test]
fn a_sum_of_another_set_leaves_no_word_as_it_was() {
    const Q: u64 = 1_125_899_906_826_241;
    let key = key(1);
    let mut words = vec![0; 232];
    let mut sum = PadSum::new(232, Q);
    for number in 0..10 {
        key.add(&label(number), Q, &mut words);
        if number != 4 {
            sum.add(&key, &label(number));
        }
    }
    sum.subtract_from(&mut words);
    assert!(words.iter().all(|word| *word != 0));
}

#[test]
fn a_sum_shows_no_pad() {
    assert_eq!(format!("{:?}", PadSum::new(3, 17)), "PadSum(3 words)");
}
