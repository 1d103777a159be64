//! Whether a replayed file is the one of the last run: a run goes on in it where the last one stopped.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use std::{fs, io};

use serde::{Deserialize, Serialize};
use service::files::{PRIVATE, write_atomic};

const FILE: &str = "replayed.json";

/// What a file is known by without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileMark {
    path: PathBuf,
    bytes: u64,
    modified_ms: u64,
}

impl FileMark {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        let since = found.modified()?.duration_since(UNIX_EPOCH);
        Ok(Self {
            path: std::path::absolute(path)?,
            bytes: found.len(),
            modified_ms: since.map_or(0, |since| since.as_millis() as u64),
        })
    }

    /// How the file differs from the one that the last run read, if it has changed since.
    pub(crate) fn change(path: &Path, folder: &Path) -> Option<String> {
        let now = Self::of(path).ok()?;
        let before: Self = serde_json::from_slice(&fs::read(folder.join(FILE)).ok()?).ok()?;
        (before.path == now.path && before != now).then(|| {
            format!(
                "{} has changed since the last run: it had {} bytes and has {}. What was read stays as it was read, and only what \
                 comes after that is taken from the file as it is now; to report all of it again, remove deployment.state_dir, into a \
                 new deployment",
                path.display(),
                before.bytes,
                now.bytes
            )
        })
    }

    /// Remembers the file for the next run.
    pub(crate) fn remember(path: &Path, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(&Self::of(path)?)?;
        write_atomic(&folder.join(FILE), &text, PRIVATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_changed_since_the_last_run_is_said_to_have() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("readings.csv");
        fs::write(&file, "hour,home-1\n0,1\n").unwrap();
        let change = || FileMark::change(&file, folder.path());
        assert_eq!(change(), None, "there was no run before");
        FileMark::remember(&file, folder.path()).unwrap();
        assert_eq!(change(), None);
        fs::write(&file, "hour,home-1\n0,1\n1,1\n").unwrap();
        let said = change().unwrap();
        assert!(said.contains("it had 16 bytes and has 20"), "{said}");
        let other = folder.path().join("other.csv");
        fs::write(&other, "hour,home-1\n").unwrap();
        assert_eq!(FileMark::change(&other, folder.path()), None);
    }
}
