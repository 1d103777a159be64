//! Python packages, each set in a virtual environment of its own in the cache.
//!
//! Made on first use with `python3 -m venv` and pip, from pinned versions whose hashes pip checks; named by what is in it
//! and by the interpreter's version, so that another Python or another pin makes another one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use tokio::time::timeout;

use crate::command::run;

/// Longest wait for an environment: a slow network included.
const PATIENCE: Duration = Duration::from_secs(300);
/// Written last, so an environment that has it was made to the end.
const COMPLETE: &str = "complete";

#[derive(Debug, Clone, Copy)]
pub(crate) struct Packages {
    pub(crate) name: &'static str,
    /// pip's requirements, with hashes.
    pub(crate) requirements: &'static str,
}

/// TenSEAL and what it needs.
pub(crate) const TENSEAL: Packages = Packages {
    name: "tenseal",
    requirements: include_str!("../../peers/tenseal.txt"),
};

/// phe and gmpy2.
pub(crate) const PAILLIER: Packages = Packages {
    name: "paillier",
    requirements: include_str!("../../peers/paillier.txt"),
};

/// The program all Python peers are.
pub(crate) const PROGRAM: &str = include_str!("../../peers/peers.py");

/// The interpreter of an environment that has `packages`, made if it is not there yet.
pub(crate) async fn interpreter(packages: Packages) -> Result<PathBuf> {
    let root = cache_root(|name| std::env::var_os(name))?;
    let version = run(Command::new("python3").args(["-c", VERSION]))
        .await
        .context("python3")?;
    let folder = root.join(environment_name(packages, &version));
    let python = folder.join("bin/python");
    if folder.join(COMPLETE).is_file() {
        return Ok(python);
    }
    fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
    let lock = File::create(root.join("peers.lock")).context("peers.lock")?;
    // Another run may be making it: wait without holding up the runtime.
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    if !folder.join(COMPLETE).is_file() {
        let made = timeout(PATIENCE, make(&folder, &python, packages)).await;
        made.with_context(|| format!("pip did not finish within {} s", PATIENCE.as_secs()))??;
    }
    drop(lock);
    Ok(python)
}

const VERSION: &str = "import platform, sys; print(sys.implementation.name, platform.python_version(), \
                       platform.machine(), sys.prefix)";

async fn make(folder: &Path, python: &Path, packages: Packages) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .await
        .context("python3 -m venv (Debian, Ubuntu: apt install python3-venv)")?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, packages.requirements).context("requirements.txt")?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--no-input", "--quiet"])
        .args(["--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--require-hashes", "-r"])
        .arg(&requirements);
    run(&mut pip).await.context("pip install")?;
    fs::write(folder.join(COMPLETE), "").context(COMPLETE)
}

/// The cache folder of the whole project: that of `lib/openfhe`'s build.
fn cache_root(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let set = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(root) = set("CIPHERWATT_CACHE") {
        return Ok(root);
    }
    let xdg = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let cache = xdg.or_else(|| set("HOME").map(|home| home.join(".cache")));
    Ok(cache
        .context("no place for a cache: set CIPHERWATT_CACHE or HOME")?
        .join("cipherwatt"))
}

fn environment_name(packages: Packages, version: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(packages.requirements);
    hash.update(version);
    let hash = hex::encode(&hash.finalize()[..6]);
    format!("peers-{}-{hash}", packages.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_named_by_its_packages_and_its_python() {
        let name = environment_name(TENSEAL, "cpython 3.11.7");
        assert!(name.starts_with("peers-tenseal-"), "{name}");
        assert_ne!(name, environment_name(TENSEAL, "cpython 3.12.1"));
        assert_ne!(
            environment_name(TENSEAL, "x").rsplit('-').next(),
            environment_name(PAILLIER, "x").rsplit('-').next()
        );
    }

    #[test]
    fn every_package_is_pinned_with_hashes() {
        for packages in [TENSEAL, PAILLIER] {
            let joined = packages.requirements.replace("\\\n", " ");
            let lines: Vec<_> = joined
                .lines()
                .filter(|line| !line.starts_with('#'))
                .collect();
            assert!(!lines.is_empty());
            for line in lines {
                assert!(
                    line.contains("==") && line.contains("--hash=sha256:"),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn the_cache_is_where_the_build_has_its_own() {
        let with = |set: &'static [(&str, &str)]| {
            cache_root(move |name| {
                let found = set.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| OsString::from(value))
            })
        };
        let all = with(&[
            ("CIPHERWATT_CACHE", "/a"),
            ("XDG_CACHE_HOME", "/b"),
            ("HOME", "/c"),
        ]);
        assert_eq!(all.unwrap(), Path::new("/a"));
        let xdg = with(&[("CIPHERWATT_CACHE", ""), ("XDG_CACHE_HOME", "/b")]);
        assert_eq!(xdg.unwrap(), Path::new("/b/cipherwatt"));
        let home = with(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/c")]);
        assert_eq!(home.unwrap(), Path::new("/c/.cache/cipherwatt"));
        assert!(with(&[]).is_err());
    }
}
