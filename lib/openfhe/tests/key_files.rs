//! Secret-key files: what is written is read, and nothing else is.

#![allow(clippy::unwrap_used)]

use std::fs::{self, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use openfhe::Context;
use openfhe::secret::{self, KeyFileError, SecretKey};
use packed::{ADDITIVE, ADDITIVE_WIDE};
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
        let context = Context::new(&ADDITIVE).unwrap();
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
    let sealed = saved
        .context
        .encrypt(saved.key.public_key(), &[0.75])
        .unwrap();
    assert!((loaded.decrypt(&sealed).unwrap()[0] - 0.75).abs() < 1e-5);
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
fn a_key_of_another_profile_is_refused_by_name() {
    let saved = Saved::new();
    let wide = Context::new(&ADDITIVE_WIDE).unwrap();
    let error = SecretKey::load(&wide, &saved.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is for profile \"additive\", but \"additive-wide\" is configured"),
        "{error}"
    );
    // One that this build has never heard of, but intact.
    let mut bytes = saved.bytes();
    bytes[11..19].copy_from_slice(b"addictiv");
    let error = saved.error_for(&reseal(bytes));
    assert!(
        matches!(&error, KeyFileError::Profile { actual, .. } if actual == "addictiv"),
        "{error}"
    );
}

#[test]
fn every_truncation_is_refused() {
    let saved = Saved::new();
    let bytes = saved.bytes();
    for len in [
        0,
        4,
        8,
        9,
        10,
        11,
        15,
        19,
        20,
        51,
        1000,
        bytes.len() / 2,
        bytes.len() - 33,
        bytes.len() - 1,
    ] {
        let error = saved.error_for(&bytes[..len]);
        let expected = match len {
            0..8 => matches!(error, KeyFileError::NotAKey { .. }),
            8..19 => matches!(error, KeyFileError::Damaged { .. }),
            _ => {
                matches!(error, KeyFileError::Length { actual, expected, .. } if actual == len && expected == bytes.len())
            }
        };
        assert!(expected, "{len}: {error}");
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    assert!(matches!(
        saved.error_for(&longer),
        KeyFileError::Length { .. }
    ));
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
    for at in (0..19)
        .chain((19..bytes.len()).step_by(997))
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
    let secret = 11 + "additive".len();
    let public = secret + 8 * 2048;

    let mut out_of_range = bytes.clone();
    out_of_range[secret..secret + 8].fill(0xff);
    let error = saved.error_for(&reseal(out_of_range));
    assert!(
        error.to_string().contains("secret key is out of range"),
        "{error}"
    );

    let mut out_of_range = bytes.clone();
    out_of_range[public..public + 7].fill(0xff);
    let error = saved.error_for(&reseal(out_of_range));
    assert!(
        error.to_string().contains("public key is out of range"),
        "{error}"
    );

    let (other, _) = secret::generate(&saved.context).unwrap();
    let mut mixed = bytes.clone();
    mixed[public..bytes.len() - 32].copy_from_slice(&other.public_key().to_packed());
    let error = saved.error_for(&reseal(mixed));
    assert!(
        error.to_string().contains("do not belong together"),
        "{error}"
    );

    let mut later = bytes;
    later[8] = 2;
    assert!(matches!(
        saved.error_for(&reseal(later)),
        KeyFileError::Version { version: 2, .. }
    ));
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
