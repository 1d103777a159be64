//! Secret-key files: what is written is read, and nothing else is.

#![allow(clippy::unwrap_used)]

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use openfhe::secret::{self, KeyFileError, SecretKey};
use openfhe::{Context, Fresh};
use packed::Lifted;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

struct Saved {
    folder: TempDir,
    context: Context,
    key: SecretKey,
}

impl Saved {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let context = Context::new().unwrap();
        let (key, _) = secret::generate(&context).unwrap();
        key.save(&folder.path().join("key")).unwrap();
        Self {
            folder,
            context,
            key,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn load(&self) -> Result<SecretKey, KeyFileError> {
        SecretKey::load(&self.context, &self.path())
    }

    /// The error after the file has been given this content.
    fn error_for(&self, content: &[u8]) -> KeyFileError {
        write_private(&self.path(), content);
        self.load().unwrap_err()
    }
}

fn write_private(path: &Path, content: &[u8]) {
    let _ = fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(content).unwrap();
}

/// Recomputes the checksum, as an attacker or a buggy tool would.
fn reseal(mut bytes: Vec<u8>) -> Vec<u8> {
    let content = bytes.len() - 32;
    let checksum = Sha256::digest(&bytes[..content]);
    bytes[content..].copy_from_slice(&checksum);
    bytes
}

#[test]
fn a_saved_key_decrypts_after_it_was_loaded() {
    let saved = Saved::new();
    let mode = fs::metadata(saved.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let loaded = saved.load().unwrap();
    assert_eq!(loaded.public_key(), saved.key.public_key());
    assert_eq!(loaded.norms(), saved.key.norms());
    let mut fresh = Fresh::default();
    saved
        .context
        .encrypt(saved.key.public_key(), &[1 << 40], &mut fresh)
        .unwrap();
    let Fresh { c0, c1 } = fresh;
    let opened = loaded.open(&Lifted { c0, c1 }).unwrap();
    assert!(opened[0].abs_diff(1 << 40) < 1 << 12);
    // Nothing temporary is left beside it.
    assert_eq!(fs::read_dir(saved.folder.path()).unwrap().count(), 1);
}

#[test]
fn a_key_file_is_never_replaced() {
    let saved = Saved::new();
    let before = saved.bytes();
    let (other, _) = secret::generate(&saved.context).unwrap();
    assert!(matches!(
        other.save(&saved.path()),
        Err(KeyFileError::Exists { .. })
    ));
    assert_eq!(saved.bytes(), before);
    assert_eq!(fs::read_dir(saved.folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_others_can_access_is_refused() {
    let saved = Saved::new();
    for mode in [0o640, 0o604, 0o620, 0o601, 0o644] {
        fs::set_permissions(saved.path(), Permissions::from_mode(mode)).unwrap();
        let error = saved.load().unwrap_err();
        assert!(
            matches!(error, KeyFileError::Readable { mode: found, .. } if found == mode),
            "{error}"
        );
        assert!(error.to_string().contains("chmod 600"));
    }
    fs::set_permissions(saved.path(), Permissions::from_mode(0o400)).unwrap();
    saved.load().unwrap();
}

#[test]
fn a_file_of_version_1_is_refused_by_name_with_what_to_do() {
    let saved = Saved::new();
    // Its header and what follows it: version, length and name of the profile.
    let mut earlier = b"CWSECKEY\x01\x00\x08additive".to_vec();
    earlier.resize(8 * 2_048 + 27_136 + 51, 0);
    let error = saved.error_for(&reseal(earlier));
    assert!(matches!(error, KeyFileError::Earlier { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("format version 1"), "{message}");
    assert!(message.contains("move the file elsewhere"), "{message}");

    let mut later = saved.bytes();
    later[8] = 3;
    let error = saved.error_for(&reseal(later));
    assert!(
        error
            .to_string()
            .ends_with("has format version 3; this program reads version 2"),
        "{error}"
    );
}

#[test]
fn every_truncation_is_refused() {
    let saved = Saved::new();
    let bytes = saved.bytes();
    assert_eq!(bytes.len(), 27_690);
    for len in [0, 4, 8, 9, 10, 11, 1_000, 13_845, 27_657, 27_689] {
        let error = saved.error_for(&bytes[..len]);
        let expected = match len {
            0..10 => matches!(error, KeyFileError::NotAKey { .. }),
            _ => matches!(error, KeyFileError::Length { actual, .. } if actual == len),
        };
        assert!(expected, "{len}: {error}");
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    let error = saved.error_for(&longer);
    assert!(
        error
            .to_string()
            .ends_with("has 27691 bytes instead of 27690: restore it from a copy"),
        "{error}"
    );
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let saved = Saved::new();
    let bytes = saved.bytes();
    let file = OpenOptions::new().write(true).open(saved.path()).unwrap();
    let put = |at: usize, byte: u8| {
        let mut file = &file;
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[byte]).unwrap();
    };
    // Every byte of the header, then spread over keys and checksum.
    for at in (0..10)
        .chain((10..bytes.len()).step_by(997))
        .chain([bytes.len() - 1])
    {
        put(at, bytes[at] ^ (1 << (at % 8)));
        assert!(saved.load().is_err(), "byte {at}");
        put(at, bytes[at]);
    }
    saved.load().unwrap();
    put(5000, bytes[5000] ^ 0x10);
    assert!(matches!(
        saved.load(),
        Err(KeyFileError::Damaged {
            problem: "its checksum does not match",
            ..
        })
    ));
}

#[test]
fn an_intact_checksum_does_not_excuse_a_wrong_content() {
    let saved = Saved::new();
    let bytes = saved.bytes();
    let secret = 10;
    let public = secret + 2_048;

    for not_ternary in [2, 127, 128, 254] {
        let mut bytes = bytes.clone();
        bytes[secret + 5] = not_ternary;
        let error = saved.error_for(&reseal(bytes));
        assert!(
            error.to_string().contains("secret key is not -1, 0 or 1"),
            "{error}"
        );
    }

    let mut out_of_range = bytes.clone();
    out_of_range[public..public + 7].fill(0xff);
    let error = saved.error_for(&reseal(out_of_range));
    assert!(
        error.to_string().contains("public key is out of range"),
        "{error}"
    );

    let (other, _) = secret::generate(&saved.context).unwrap();
    let mut mixed = bytes.clone();
    mixed[public..bytes.len() - 32].copy_from_slice(other.public_key().as_packed());
    // One coefficient of the secret is another.
    let mut changed = bytes;
    changed[secret] = u8::from(changed[secret] == 0);
    for bytes in [mixed, changed] {
        let error = saved.error_for(&reseal(bytes));
        assert!(
            error.to_string().contains("do not belong together"),
            "{error}"
        );
    }
}

#[test]
fn what_is_not_a_file_is_refused() {
    let saved = Saved::new();
    assert!(matches!(
        SecretKey::load(&saved.context, saved.folder.path()),
        Err(KeyFileError::NotAFile { .. })
    ));
    let absent = saved.folder.path().join("absent");
    assert!(matches!(
        SecretKey::load(&saved.context, &absent),
        Err(KeyFileError::Io { action: "read", .. })
    ));
    let below = saved.path().join("below");
    assert!(matches!(
        saved.key.save(&below),
        Err(KeyFileError::Io {
            action: "write",
            ..
        })
    ));
}

#[test]
fn debug_shows_no_secret() {
    let saved = Saved::new();
    let text = format!("{:?}", saved.key);
    assert!(text.starts_with("SecretKey") && text.len() < 120, "{text}");
}
