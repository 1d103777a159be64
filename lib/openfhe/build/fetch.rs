//! The published packages, through pip.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest, Sha256};

use super::cache::Cache;
use super::error::BuildError;
use super::platform::check_libc;
use super::tree::{hex, tree_hash};
use super::wheels::{CONFIG_CORE, LIBRARIES, TREE, WHEELS, Wheel};

/// Written last, so a folder that has it was unpacked to the end.
const COMPLETE: &str = "complete";

/// How to fetch: which Python, what it sees, what it must bring.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    /// The interpreter, `python3` unless a test says otherwise.
    pub python: OsString,
    /// Variables added to the environment of every command.
    pub env: Vec<(OsString, OsString)>,
    /// The packages.
    pub wheels: Vec<Wheel>,
    /// The [`tree_hash`] of what is unpacked from them; `None` for packages that a test makes up.
    pub tree: Option<String>,
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            python: OsString::from("python3"),
            env: Vec::new(),
            wheels: WHEELS.to_vec(),
            tree: Some(TREE.to_owned()),
        }
    }
}

impl Fetch {
    /// The unpacked tree in the cache, downloaded if it is not there yet or is not as it was.
    pub(crate) fn tree_in(&self, cache: &Cache) -> Result<PathBuf, BuildError> {
        let name = self.entry_name();
        let path = cache.entry(&name);
        if self.is_intact(&path) {
            return Ok(path);
        }
        let lock = cache.lock()?;
        if self.is_intact(&path) {
            return Ok(path);
        }
        self.check_python()?;
        let temporary = lock.temporary()?;
        let tree = temporary.path().join("tree");
        self.download(temporary.path())?;
        self.unpack(temporary.path(), &tree)?;
        let unpack_error = |details: String| BuildError::Unpack {
            path: tree.clone(),
            details,
        };
        finish(&tree).map_err(|e| unpack_error(e.to_string()))?;
        let found = tree_hash(&tree).map_err(|e| unpack_error(e.to_string()))?;
        match &self.tree {
            Some(pinned) if *pinned != found => Err(unpack_error(format!(
                "it has the hash {found} instead of {pinned}"
            ))),
            _ => lock.publish(&tree, &name),
        }
    }

    /// Whether every header and library is as it was unpacked: what is compiled in and linked is hashed each time.
    fn is_intact(&self, tree: &Path) -> bool {
        let is_pinned = |pinned: &String| tree_hash(tree).is_ok_and(|found| found == *pinned);
        tree.join(COMPLETE).is_file() && self.tree.as_ref().is_none_or(is_pinned)
    }

    /// Names the entry by everything that decides its content.
    fn entry_name(&self) -> String {
        let mut hash = Sha256::new();
        for wheel in &self.wheels {
            hash.update(wheel.sha256);
        }
        hash.update(CONFIG_CORE);
        hash.update(UNPACK);
        let version = self.wheels.first().map_or("none", |wheel| wheel.version);
        format!("openfhe-{version}-{}", hex(&hash.finalize()[..6]))
    }

    /// Refuses a Python that is missing, too old, without pip, or on too old a C library.
    fn check_python(&self) -> Result<(), BuildError> {
        let probe = "import os, sys, zipfile, hashlib\n\
                     assert sys.version_info >= (3, 8), 'Python ' + sys.version.split()[0]\n\
                     print(os.confstr('CS_GNU_LIBC_VERSION') if 'CS_GNU_LIBC_VERSION' in os.confstr_names else '')";
        let output = self.run([OsStr::new("-c"), OsStr::new(probe)])?;
        if !output.status.success() {
            let text = text(&output);
            return Err(BuildError::PythonUnusable {
                python: self.python(),
                found: text
                    .lines()
                    .last()
                    .unwrap_or("it does not run")
                    .trim()
                    .to_owned(),
            });
        }
        check_libc(String::from_utf8_lossy(&output.stdout).trim())?;
        let output = self.run(["-m", "pip", "--version"].map(OsStr::new))?;
        if !output.status.success() {
            return Err(BuildError::PipMissing {
                python: self.python(),
            });
        }
        Ok(())
    }

    fn download(&self, folder: &Path) -> Result<(), BuildError> {
        let requirements = folder.join("requirements.txt");
        let mut lines = String::new();
        for wheel in &self.wheels {
            let _ = writeln!(
                lines,
                "{}=={} --hash=sha256:{}",
                wheel.name, wheel.version, wheel.sha256
            );
        }
        fs::write(&requirements, lines)
            .map_err(|e| BuildError::cache("write", &requirements, e))?;
        let fixed = [
            "-m",
            "pip",
            "download",
            "--no-input",
            "--progress-bar=off",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "--python-version=3.11",
            "--implementation=cp",
            "--abi=abi3",
            "--platform=manylinux_2_28_x86_64",
            "-r",
        ]
        .map(OsStr::new);
        let rest = [
            requirements.as_os_str(),
            OsStr::new("-d"),
            folder.as_os_str(),
        ];
        let output = self.run(fixed.into_iter().chain(rest))?;
        if output.status.success() {
            return Ok(());
        }
        Err(self.explain(text(&output)))
    }

    /// Which of the known causes made pip fail.
    fn explain(&self, details: String) -> BuildError {
        const NETWORK: [&str; 8] = [
            "connection broken",
            "NewConnectionError",
            "Could not fetch URL",
            "Max retries exceeded",
            "name resolution",
            "ProxyError",
            "timed out",
            "ConnectionError",
        ];
        let python = self.python();
        if details.contains("No module named pip") {
            BuildError::PipMissing { python }
        } else if details.contains("DO NOT MATCH THE HASHES") {
            BuildError::WrongHash { python, details }
        } else if NETWORK.iter().any(|sign| details.contains(sign)) {
            let wheels = self.names();
            BuildError::NoNetwork { wheels, details }
        } else if details.contains("No matching distribution") {
            let wheels = self.names();
            BuildError::NotOnIndex { wheels, details }
        } else {
            BuildError::Download { python, details }
        }
    }

    fn unpack(&self, folder: &Path, tree: &Path) -> Result<(), BuildError> {
        let unpack_error = |details: String| BuildError::Unpack {
            path: tree.to_path_buf(),
            details,
        };
        let mut arguments = vec![OsString::from("-c"), UNPACK.into(), tree.into()];
        for wheel in &self.wheels {
            let prefix = format!("{}-{}-", wheel.name, wheel.version);
            let path = fs::read_dir(folder)
                .map_err(|e| BuildError::cache("read", folder, e))?
                .filter_map(Result::ok)
                .find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
                .ok_or_else(|| {
                    unpack_error(format!(
                        "pip reported success but there is no {prefix}*.whl"
                    ))
                })?
                .path();
            arguments.extend([wheel.sha256.into(), path.into_os_string()]);
        }
        let output = self.run(arguments.iter().map(OsString::as_os_str))?;
        let details = text(&output);
        match output.status.success() {
            true => Ok(()),
            false if details.contains("HASH MISMATCH") => Err(BuildError::WrongHash {
                python: self.python(),
                details,
            }),
            false => Err(unpack_error(details)),
        }
    }

    fn run<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a OsStr>,
    ) -> Result<Output, BuildError> {
        Command::new(&self.python)
            .args(arguments)
            // Some machines allow pip only inside a virtual environment; a download installs nothing.
            .env("PIP_REQUIRE_VIRTUALENV", "0")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("LC_ALL", "C.UTF-8")
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .output()
            .map_err(|e| match e.kind() {
                io::ErrorKind::NotFound => BuildError::PythonMissing {
                    python: self.python(),
                },
                _ => BuildError::PythonUnusable {
                    python: self.python(),
                    found: e.to_string(),
                },
            })
    }

    fn python(&self) -> String {
        self.python.to_string_lossy().into_owned()
    }

    fn names(&self) -> String {
        let names: Vec<_> = self
            .wheels
            .iter()
            .map(|wheel| format!("{}=={}", wheel.name, wheel.version))
            .collect();
        names.join(" and ")
    }
}

const UNPACK: &str = include_str!("unpack.py");

/// Turns the unpacked files into an install: names the linker looks for, and the right configuration.
fn finish(tree: &Path) -> io::Result<()> {
    let lib = tree.join("lib");
    for (file, link) in LIBRARIES {
        fs::metadata(lib.join(file))?;
        std::os::unix::fs::symlink(file, lib.join(link))?;
    }
    // The others need it by its SONAME.
    fs::rename(lib.join("libgomp.so"), lib.join("libgomp.so.1"))?;
    std::os::unix::fs::symlink("libgomp.so.1", lib.join("libgomp.so"))?;
    fs::write(tree.join("include/openfhe/core/config_core.h"), CONFIG_CORE)?;
    fs::write(tree.join(COMPLETE), "")
}

fn text(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}
