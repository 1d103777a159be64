use super::*;
use openfhe::{Fresh, PublicKey};
use packed::{Lifted, RING};
use std::os::unix::fs::PermissionsExt;

const NAMES: [&str; 3] = ["signing.key", "epoch-1.key", "mask-1.key"];

fn open(dir: &Path) -> Keyring {
    Keyring::open(dir, None).unwrap()
}

/// Whether `secret` decrypts what is encrypted under the keys `public` is of.
fn opens(keyring: &Keyring, secret: &EpochKeys, public: &EpochKeys) -> bool {
    let public = PublicKey::from_packed(keyring.context(), &public.public).unwrap();
    let mut fresh = Fresh::default();
    let plaintext = [1 << 40; 8];
    keyring
        .context()
        .encrypt(&public, &plaintext, &mut fresh)
        .unwrap();
    let Fresh { c0, c1 } = fresh;
    let residues = secret.secret.open(&Lifted { c0, c1 }).unwrap();
    let near = |residue: &u64| residue.abs_diff(1 << 40) < 1 << 20;
    assert!(residues.iter().all(|residue| *residue < RING.modulus));
    residues.iter().all(near)
}

#[test]
fn keys_are_made_once_kept_private_and_decrypt() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let fingerprint = first.epoch(FIRST_EPOCH).unwrap().fingerprint;
    for name in NAMES {
        let mode = dir
            .path()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let again = open(dir.path());
    again.require(&planned(&first)).unwrap();
    assert_eq!(again.verifying(), first.verifying());
    let keys = again.get(FIRST_EPOCH).unwrap();
    assert_eq!(keys.fingerprint, fingerprint);
    let first = first.get(FIRST_EPOCH).unwrap();
    assert_eq!(keys.mask.public(), first.mask.public());
    assert!(opens(&again, &keys, &first));
}

#[test]
fn a_second_epoch_is_a_pair_of_its_own_and_retired_ones_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = open(dir.path());
    let (old, new) = (
        keyring.epoch(FIRST_EPOCH).unwrap(),
        keyring.epoch(KeyEpoch(2)).unwrap(),
    );
    assert_ne!(old.fingerprint, new.fingerprint);
    assert_ne!(old.mask.public(), new.mask.public());
    for name in ["epoch-2.key", "mask-2.key"] {
        let path = dir.path().join(name);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Asked for again, an epoch is loaded and not made again: a kill between key and plan leaves one pair.
    let again = open(dir.path());
    assert_eq!(
        again.epoch(KeyEpoch(2)).unwrap().fingerprint,
        new.fingerprint
    );
    assert!(again.get(FIRST_EPOCH).is_none());
    again.load_retired(FIRST_EPOCH, KeyEpoch(2));
    let retired = again.get(FIRST_EPOCH).unwrap();
    assert_eq!(retired.fingerprint, old.fingerprint);
    assert!(opens(&again, &retired, &old));
    assert!(!opens(&again, &new, &old));
}

#[test]
fn a_retired_key_that_does_not_match_its_fingerprint_is_refused_by_name() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let made = open(dir.path());
    made.epoch(FIRST_EPOCH).unwrap();
    made.epoch(KeyEpoch(2)).unwrap();
    open(elsewhere.path()).epoch(FIRST_EPOCH).unwrap();
    for name in ["epoch-1.key", "mask-1.key"] {
        let (path, kept) = (dir.path().join(name), dir.path().join("kept"));
        std::fs::rename(&path, &kept).unwrap();
        std::fs::copy(elsewhere.path().join(name), &path).unwrap();
        let again = open(dir.path());
        again.load_retired(FIRST_EPOCH, KeyEpoch(2));
        assert!(again.get(FIRST_EPOCH).is_none(), "{name}");
        let error = again.load_known(FIRST_EPOCH).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        std::fs::rename(&kept, &path).unwrap();
    }
    let again = open(dir.path());
    again.load_retired(FIRST_EPOCH, KeyEpoch(2));
    assert!(again.get(FIRST_EPOCH).is_some());

    // Of an epoch that was retired before there was a record, what is there counts from now on.
    std::fs::remove_file(dir.path().join("epochs.json")).unwrap();
    let again = open(dir.path());
    again.load_retired(FIRST_EPOCH, KeyEpoch(2));
    assert!(again.get(FIRST_EPOCH).is_some());
    std::fs::copy(
        elsewhere.path().join("mask-1.key"),
        dir.path().join("mask-1.key"),
    )
    .unwrap();
    assert!(again.load_known(FIRST_EPOCH).is_err());
}

#[test]
fn a_key_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let keyring = open(dir.path());
    keyring.epoch(FIRST_EPOCH).unwrap();
    let refused = |name: &str| {
        let path = dir.path().join(name);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = open(dir.path()).epoch(FIRST_EPOCH).err().unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        error
    };
    assert!(matches!(refused("epoch-1.key"), KeyringError::Epoch { .. }));
    assert!(matches!(refused("mask-1.key"), KeyringError::Mask { .. }));
    open(dir.path()).epoch(FIRST_EPOCH).unwrap();
}

#[test]
fn keys_moved_to_the_credentials_are_used_and_never_made_again() {
    let (dir, credentials) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = || Keyring::open(dir.path(), Some(credentials.path()));
    // The first start makes them in the folder of state.
    let made = open().unwrap();
    let fingerprint = made.epoch(FIRST_EPOCH).unwrap().fingerprint;
    let planned = planned(&made);
    for name in NAMES {
        std::fs::rename(dir.path().join(name), credentials.path().join(name)).unwrap();
    }
    let moved = open().unwrap();
    moved.require(&planned).unwrap();
    assert_eq!(moved.verifying(), made.verifying());
    let keys = moved.get(FIRST_EPOCH).unwrap();
    assert!(opens(&moved, &keys, &made.get(FIRST_EPOCH).unwrap()));
    assert!(NAMES.iter().all(|name| !dir.path().join(name).exists()));
    // A rotation makes its key in the folder of state, and the old one stays where it is.
    moved.epoch(KeyEpoch(2)).unwrap();
    assert!(dir.path().join("epoch-2.key").exists() && dir.path().join("mask-2.key").exists());
    moved.load_retired(FIRST_EPOCH, KeyEpoch(2));
    assert_eq!(moved.get(FIRST_EPOCH).unwrap().fingerprint, fingerprint);

    // Without the credentials nothing is made in their place.
    assert!(matches!(
        Keyring::open(dir.path(), None),
        Err(KeyringError::SigningMissing { .. })
    ));
    assert!(!dir.path().join("signing.key").exists());
    for name in ["mask-1.key", "epoch-1.key"] {
        std::fs::remove_file(credentials.path().join(name)).unwrap();
        let missing = open().unwrap().require(&planned).unwrap_err();
        assert!(matches!(missing, KeyringError::Missing { .. }), "{missing}");
        assert!(missing.to_string().contains(name), "{missing}");
    }
    // One that others can read is refused like any other key.
    let signing = credentials.path().join("signing.key");
    std::fs::set_permissions(&signing, std::fs::Permissions::from_mode(0o444)).unwrap();
    assert!(matches!(open(), Err(KeyringError::Signing(_))));
}

#[test]
fn no_key_is_made_where_the_folder_of_credentials_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("credentials");
    let error = Keyring::open(dir.path(), Some(&missing)).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("operator.credentials_dir = /"), "{said}");
    assert!(!dir.path().join("signing.key").exists());
}

#[test]
fn a_planned_key_that_is_missing_or_another_is_refused() {
    for name in ["epoch-1.key", "mask-1.key"] {
        let dir = tempfile::tempdir().unwrap();
        let keyring = open(dir.path());
        keyring.epoch(FIRST_EPOCH).unwrap();
        let planned = planned(&keyring);
        std::fs::remove_file(dir.path().join(name)).unwrap();
        let other = open(dir.path());
        let missing = other.require(&planned).unwrap_err();
        assert!(matches!(missing, KeyringError::Missing { .. }), "{missing}");
        other.epoch(FIRST_EPOCH).unwrap();
        let differs = other.require(&planned).unwrap_err();
        assert!(matches!(differs, KeyringError::Differs { .. }), "{differs}");
        assert!(differs.to_string().contains(name), "{differs}");
        assert!(other.get(FIRST_EPOCH).is_none(), "it is not used");
    }
}

/// The plan's entry for the first epoch.
fn planned(keyring: &Keyring) -> EpochPlan {
    let keys = keyring.get(FIRST_EPOCH).unwrap();
    keys.entry(FIRST_EPOCH, WindowStart(0))
}
