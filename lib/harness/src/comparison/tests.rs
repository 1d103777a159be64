use packed::ADDITIVE_SMALL;
use packed::layout::{Layout, Shape};

use super::*;

/// One generation of keys and five signs: half a minute.
#[test]
fn a_sum_is_held_against_a_threshold_and_the_largest_of_three_is_found() {
    let keys = Keys::generate().unwrap();
    let shape = Shape::new(Layout::Profile, 4).unwrap();
    let encoding = Encoding::new(&ADDITIVE_SMALL, shape, 1 << 12, 1, None).unwrap();
    let sums: Vec<Masked> = [700, 900, 800]
        .map(|wh| keys.sum(&encoding, &vec![vec![wh; 4]; 20]).unwrap())
        .into();
    for threshold in [13_000, 15_000] {
        let asked = keys.is_at_least(&sums[0], 2, (threshold, 100_000)).unwrap();
        assert_eq!(
            (asked.value, asked.truth),
            (threshold < 14_000, threshold < 14_000)
        );
        assert!(asked.error_wh < 200.0, "{asked:?}");
    }
    let ranked = keys
        .largest(&sums.iter().collect::<Vec<_>>(), 1, 82_000)
        .unwrap();
    assert_eq!((ranked.value, ranked.truth, ranked.signs), (1, 1, 3));
}
