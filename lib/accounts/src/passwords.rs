//! The file of users: one a line, `name:hash`, the hash as a PHC string of Argon2.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use service::files::{self, KeyFileError, PRIVATE};

use crate::Name;

/// Room for some hundred thousand users. Bytes.
const MAX_FILE: u64 = 64 << 20;

/// Shortest and longest password. Bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=1_024;

/// Checked in place of a user's that is not in the file, so that an answer takes as long as for one who is.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5$VpOkOjqyOdYYmTJCVcOOHgkjfLjQz4gkYzQXDDRjgSc";

/// The users of a broker, with their hashed passwords.
#[derive(Debug, Clone, Default)]
pub struct Passwords {
    users: BTreeMap<String, PasswordHash>,
}

/// A file of users cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordFileError {
    /// It cannot be read, or others can read it.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// There is no such file.
    #[error("there is no file of users {path}: `broker passwd {path} USER` makes it", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A line is not a user.
    #[error(
        "line {line} of {path} is not a user: expected `name:hash`, as `broker passwd` writes it",
        path = path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The password is too short or too long, or cannot be hashed.
    #[error("the password cannot be used: expected {} to {} bytes", LENGTHS.start(), LENGTHS.end())]
    Password,
    /// It cannot be written.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Passwords {
    /// The users in `path`.
    ///
    /// # Errors
    /// If the file is missing, wrong, or can be read by others than its owner.
    pub fn read(path: &Path) -> Result<Self, PasswordFileError> {
        Self::read_if_there(path)?.ok_or_else(|| PasswordFileError::Missing {
            path: path.to_owned(),
        })
    }

    /// As [`Passwords::read`]; `None` if there is no such file.
    ///
    /// # Errors
    /// If the file is wrong, or can be read by others than its owner.
    pub fn read_if_there(path: &Path) -> Result<Option<Self>, PasswordFileError> {
        let Some(bytes) = files::read_credential(path, MAX_FILE)? else {
            return Ok(None);
        };
        let mut users = BTreeMap::new();
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let user = user(line).filter(|(name, _)| !users.contains_key(name.as_str()));
            let (name, hash) = user.ok_or_else(|| PasswordFileError::Line {
                path: path.to_owned(),
                line: at + 1,
            })?;
            users.insert(name.to_string(), hash);
        }
        Ok(Some(Self { users }))
    }

    /// Writes the file anew, in one step, so that only its owner can read it.
    ///
    /// # Errors
    /// Those of the operating system; the old content is then untouched.
    pub fn write(&self, path: &Path) -> Result<(), PasswordFileError> {
        let mut text = String::new();
        for (name, hash) in &self.users {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}:{hash}");
        }
        files::write_atomic(path, text.as_bytes(), PRIVATE).map_err(|source| {
            PasswordFileError::Write {
                path: path.to_owned(),
                source,
            }
        })
    }

    /// Gives a user a password, whether it had one or not.
    ///
    /// # Errors
    /// If the password is too short or too long.
    pub fn set(&mut self, name: &Name, password: &[u8]) -> Result<(), PasswordFileError> {
        if !LENGTHS.contains(&password.len()) {
            return Err(PasswordFileError::Password);
        }
        let hash = Argon2::default().hash_password(password);
        let hash = hash.map_err(|_| PasswordFileError::Password)?;
        self.users.insert(name.to_string(), hash);
        Ok(())
    }

    /// Takes a user out; whether it was there.
    pub fn remove(&mut self, name: &Name) -> bool {
        self.users.remove(name.as_str()).is_some()
    }

    /// The users' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }

    /// Whether there is such a user.
    pub fn has(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// The hash to check a user's password against, by [`matches()`]; one that nothing matches if there is no such user.
    pub fn hash(&self, user: &str) -> Option<PasswordHash> {
        let known = self.users.get(user).cloned();
        known.or_else(|| PasswordHash::new(NOBODY).ok())
    }
}

/// Whether a password is the one that was hashed. It takes 19 MiB and about 20 ms of a processor.
pub fn matches(password: &[u8], hash: &PasswordHash) -> bool {
    Argon2::default().verify_password(password, hash).is_ok()
}

fn user(line: &[u8]) -> Option<(Name, PasswordHash)> {
    let (name, hash) = std::str::from_utf8(line).ok()?.trim().split_once(':')?;
    let hash = PasswordHash::new(hash).ok()?;
    // A hash of another algorithm would never match, which nobody would understand.
    let argon2 = hash.algorithm.as_str().starts_with("argon2");
    Some((name.parse().ok()?, hash)).filter(|_| argon2)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let name: Name = "gateway.gateway-1".parse().unwrap();
        let mut users = Passwords::default();
        users.set(&name, b"correct horse").unwrap();
        users.write(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("gateway.gateway-1:$argon2id$"), "{text}");
        assert!(!text.contains("horse"));

        let mut users = Passwords::read(&path).unwrap();
        let hash = users.hash("gateway.gateway-1").unwrap();
        assert!(matches(b"correct horse", &hash));
        assert!(!matches(b"correct horsf", &hash));
        assert!(users.remove(&name) && !users.remove(&name));
        let nobody = users.hash("gateway.gateway-1").unwrap();
        assert!(!matches(b"correct horse", &nobody));
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_wrong_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let missing = Passwords::read(&path).unwrap_err().to_string();
        assert!(missing.contains("broker passwd"), "{missing}");
        let mut users = Passwords::default();
        users
            .set(&"operator".parse().unwrap(), b"correct horse")
            .unwrap();
        users.write(&path).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        for bad in ["operator", "Operator:x", "operator:plain", good.trim_end()] {
            files::write_atomic(&path, format!("{good}\n{bad}\n").as_bytes(), PRIVATE).unwrap();
            let error = Passwords::read(&path).unwrap_err().to_string();
            assert!(error.starts_with("line 3 of"), "{bad}: {error}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = Passwords::read(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_password_that_can_be_guessed_at_once_is_refused() {
        let mut users = Passwords::default();
        let name = "operator".parse().unwrap();
        for password in [&b""[..], b"1234567", &[b'a'; 1_025]] {
            assert!(users.set(&name, password).is_err());
        }
        users.set(&name, b"12345678").unwrap();
        assert_eq!(users.names().collect::<Vec<_>>(), ["operator"]);
    }
}
