//! The folder that all builds of all clones share.
//!
//! Whatever has its final name is complete: it is made under a temporary name and renamed. Only the
//! holder of the lock makes anything, so temporary names found by a new holder are leftovers of a
//! build that was killed.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::BuildError;

/// What temporary names start with.
const TEMPORARY: &str = "tmp-";

/// The cache folder.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// The right to add to the cache, held by one process at a time.
#[derive(Debug)]
pub(crate) struct CacheLock<'a> {
    cache: &'a Cache,
    _file: File,
}

/// A folder that is removed when the value is dropped, unless it has been published.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
}

impl Temporary {
    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed now, the next holder of the lock removes.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Cache {
    /// `CIPHERWATT_CACHE`, else `cipherwatt` in `XDG_CACHE_HOME`, else in `~/.cache`. Creates nothing.
    pub(crate) fn locate(
        own: Option<&OsStr>,
        xdg_cache_home: Option<&OsStr>,
        home: Option<&OsStr>,
    ) -> Result<Self, BuildError> {
        let set =
            |value: Option<&OsStr>| value.filter(|value| !value.is_empty()).map(PathBuf::from);
        // The XDG specification says to ignore a relative XDG_CACHE_HOME.
        let root = set(own)
            .or_else(|| {
                set(xdg_cache_home)
                    .filter(|path| path.is_absolute())
                    .map(|path| path.join("cipherwatt"))
            })
            .or_else(|| set(home).map(|path| path.join(".cache/cipherwatt")))
            .ok_or(BuildError::NoCache)?;
        let problem = if !root.is_absolute() {
            Some("it is not an absolute path")
        } else {
            match root.to_str() {
                None => Some("it is not UTF-8"),
                // ':' separates the entries of a run path and '$' starts a loader variable.
                Some(path) if path.contains([':', '$', '\n']) => {
                    Some("it contains ':', '$' or a line break")
                }
                Some(_) => None,
            }
        };
        match problem {
            Some(problem) => Err(BuildError::CachePath {
                path: root,
                problem,
            }),
            None => Ok(Self { root }),
        }
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the entry of this name is, or would be.
    pub(crate) fn entry(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Waits until no other build is adding to the cache, then clears what a killed one left behind.
    pub(crate) fn lock(&self) -> Result<CacheLock<'_>, BuildError> {
        fs::create_dir_all(&self.root).map_err(|e| BuildError::cache("create", &self.root, e))?;
        let path = self.root.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| BuildError::cache("open", &path, e))?;
        file.lock()
            .map_err(|e| BuildError::cache("lock", &path, e))?;
        let lock = CacheLock {
            cache: self,
            _file: file,
        };
        lock.clear_leftovers()?;
        Ok(lock)
    }
}

impl CacheLock<'_> {
    /// An empty folder under a temporary name, removed when the value is dropped.
    pub(crate) fn temporary(&self) -> Result<Temporary, BuildError> {
        let path = self
            .cache
            .root
            .join(format!("{TEMPORARY}{}", std::process::id()));
        remove(&path)?;
        fs::create_dir(&path).map_err(|e| BuildError::cache("create", &path, e))?;
        Ok(Temporary { path })
    }

    /// Gives a finished folder its final name, replacing a damaged entry of that name.
    pub(crate) fn publish(&self, temporary: &Path, name: &str) -> Result<PathBuf, BuildError> {
        make_old(temporary).map_err(|e| BuildError::cache("set times in", temporary, e))?;
        let path = self.cache.entry(name);
        if path.exists() {
            let aside = self
                .cache
                .root
                .join(format!("{TEMPORARY}old-{}", std::process::id()));
            fs::rename(&path, &aside).map_err(|e| BuildError::cache("replace", &path, e))?;
            remove(&aside)?;
        }
        fs::rename(temporary, &path).map_err(|e| BuildError::cache("create", &path, e))?;
        Ok(path)
    }

    fn clear_leftovers(&self) -> Result<(), BuildError> {
        let root = &self.cache.root;
        for entry in fs::read_dir(root).map_err(|e| BuildError::cache("read", root, e))? {
            let entry = entry.map_err(|e| BuildError::cache("read", root, e))?;
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), BuildError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(BuildError::cache("remove", path, e)),
        _ => Ok(()),
    }
}

/// Backdates every file: Cargo runs a build script again when a file it watches is newer than the
/// script's last run, and these are written during one.
fn make_old(folder: &Path) -> io::Result<()> {
    let times =
        FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_old(&entry.path())?;
        } else if entry.file_type()?.is_file() {
            File::open(entry.path())?.set_times(times)?;
        }
    }
    Ok(())
}
