//! One bit of an encrypted sum, from OpenFHE's ciphertext to the decrypted bit, and its keys in files.

#![allow(clippy::unwrap_used)]

use compare::{Difference, Scale};
use openfhe::secret::{self, SecretKey};
use openfhe::{Context, Fresh, SignKeys};
use packed::{Lifted, RING};

fn encrypted(context: &Context, key: &SecretKey, values: &[i64]) -> Lifted {
    let plaintext: Vec<u64> = values.iter().map(|value| RING.residue(*value)).collect();
    let mut fresh = Fresh::default();
    context
        .encrypt(key.public_key(), &plaintext, &mut fresh)
        .unwrap();
    Lifted {
        c0: fresh.c0,
        c1: fresh.c1,
    }
}

/// Generation of the keys takes a quarter of a minute, and each sign a second or two.
#[test]
fn a_bit_says_whether_a_sum_is_below_a_number_and_the_keys_survive_their_files() {
    let context = Context::new().unwrap();
    let (epoch, _) = secret::generate(&context).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (made, keys) = secret::generate_sign().unwrap();
    let path = folder.path().join("comparison.key");
    made.save(&path).unwrap();
    let secret = secret::SignSecret::load(&path).unwrap();
    let path = folder.path().join("evaluation.keys");
    let mut share = 0.0;
    let sha256 = keys.save(&path, &mut |done| share = done).unwrap();
    assert_eq!(
        (share, std::fs::metadata(&path).unwrap().len()),
        (1.0, SignKeys::FILE_LEN)
    );
    assert!(
        keys.save(&path, &mut |_| ()).is_err(),
        "no file is replaced"
    );
    let mut other = sha256;
    other[0] ^= 1;
    assert!(SignKeys::load(&path, &other, &mut |_| ()).is_err());
    drop(keys);
    let keys = SignKeys::load(&path, &sha256, &mut |_| ()).unwrap();
    let switch = secret.switch_key(&epoch).unwrap();

    const UNIT: u32 = 27;
    let scale = Scale::new(20_000, UNIT, 0.0).unwrap();
    let near = scale.margin.ceil() as i64;
    let (number, differences) = (7_777, [near, -near, 20_000, -20_000, 300, -300]);
    let values = differences.map(|difference| (number + difference) << UNIT);
    let sum = encrypted(&context, &epoch, &values);
    let opened = epoch.open(&sum).unwrap();
    for (j, difference) in differences.into_iter().enumerate() {
        let asked = Difference::new(&sum, j, (number as u64) << UNIT).unwrap();
        let bit = keys.sign(&switch.switch(&asked, scale.multiplier)).unwrap();
        assert_eq!(secret.open(&bit), difference < 0, "{difference}");
        // As much as may be added to hide what noise the bit has.
        for flood in [openfhe::FLOOD, -openfhe::FLOOD] {
            let flooded = bit.clone().shifted(flood, compare::BIT_BITS);
            assert_eq!(secret.open(&flooded), difference < 0, "{difference}");
        }
        let expected = (number + difference) << UNIT;
        assert!((RING.centre(opened[j]) - expected).abs() < 1 << 20);
    }
}
