//! What can go wrong while OpenFHE is fetched and the shim compiled.
//!
//! Each message is one sentence that names the cause and one that says what to do. Output of the
//! tools that failed is kept apart ([`BuildError::details`]) and printed after it.

use std::io;
use std::path::{Path, PathBuf};

use super::compiler::Missing;

/// A build that cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// Not Linux, where the linking is known to work.
    #[error(
        "the OpenFHE bridge builds on Linux only, not for {target}. Use a Linux machine, container or virtual machine \
         (x86-64 with glibc 2.34 or later needs nothing else)"
    )]
    NotLinux { target: String },
    /// Not a machine the published libraries run on.
    #[error(
        "the published OpenFHE libraries are for x86_64-unknown-linux-gnu, not for {target}. Build OpenFHE 1.4.2 on \
         this platform with WITH_OPENMP=ON and NATIVE_SIZE=64, install it, and set OPENFHE_ROOT to its prefix"
    )]
    UnsupportedTarget { target: String },
    /// The host builds for another machine.
    #[error(
        "cross-compiling from {host} to {target} is not supported with the published OpenFHE libraries. Build on the \
         target itself, or set OPENFHE_ROOT to the prefix of an OpenFHE 1.4.2 for it"
    )]
    CrossCompiling { host: String, target: String },
    /// The C library is older than the libraries were linked against.
    #[error(
        "the published OpenFHE libraries need glibc 2.34 or later, and this machine has {found}. Use a newer \
         distribution (Debian 12, Ubuntu 22.04), or set OPENFHE_ROOT to the prefix of an OpenFHE 1.4.2 built here"
    )]
    OldLibc { found: String },
    /// No Python.
    #[error(
        "`{python}` was not found, and it is needed once, to download OpenFHE. Install Python 3.8 or later with pip \
         (Debian, Ubuntu: `apt install python3 python3-pip`), or set OPENFHE_ROOT to the prefix of your own OpenFHE 1.4.2"
    )]
    PythonMissing { python: String },
    /// A Python that does not run, or too old.
    #[error(
        "`{python}` is not a working Python 3.8 or later ({found}). Install one with pip (Debian, Ubuntu: `apt install \
         python3 python3-pip`), or set OPENFHE_ROOT to the prefix of your own OpenFHE 1.4.2"
    )]
    PythonUnusable { python: String, found: String },
    /// Python without pip.
    #[error(
        "`{python}` has no pip, and it is needed once, to download OpenFHE. Install it (Debian, Ubuntu: `apt install \
         python3-pip`; Fedora: `dnf install python3-pip`), or set OPENFHE_ROOT to the prefix of your own OpenFHE 1.4.2"
    )]
    PipMissing { python: String },
    /// The package index could not be reached.
    #[error(
        "pip could not reach its package index to download OpenFHE 1.4.2. Check the network and proxy settings; or set \
         PIP_INDEX_URL to a mirror; or copy the wheels {wheels} into a folder and set PIP_NO_INDEX=1 and \
         PIP_FIND_LINKS=FOLDER; then build again"
    )]
    NoNetwork { wheels: String, details: String },
    /// The index was reached but does not have the packages.
    #[error(
        "pip's package index does not have {wheels}. If PIP_INDEX_URL, PIP_FIND_LINKS or a pip configuration file names \
         a mirror, it must carry them; then build again"
    )]
    NotOnIndex { wheels: String, details: String },
    /// A downloaded file is not the pinned one.
    #[error(
        "a downloaded OpenFHE package is not the pinned one (sha256 differs), so nothing was installed. Something \
         between here and the package index changes files: check the mirror or proxy pip uses, run `{python} -m pip cache \
         purge`, and build again"
    )]
    WrongHash { python: String, details: String },
    /// pip failed in some other way.
    #[error(
        "`{python} -m pip download` failed. Its output says why; repeat the build when it is fixed, or set OPENFHE_ROOT to \
         the prefix of your own OpenFHE 1.4.2"
    )]
    Download { python: String, details: String },
    /// The wheels do not hold what they should.
    #[error("the downloaded OpenFHE packages could not be unpacked into {}. Check that the disk has 100 MB free, and build again", path.display())]
    Unpack { path: PathBuf, details: String },
    /// The user's own install lacks something.
    #[error(
        "OPENFHE_ROOT={} is not an OpenFHE 1.4.2 install that can be used: {problem}. It must be the prefix given to \
         `cmake --install` of OpenFHE 1.4.2 built with WITH_OPENMP=ON and NATIVE_SIZE=64; unset it to use the published libraries",
        root.display()
    )]
    OwnInstall { root: PathBuf, problem: String },
    /// No C++ compiler.
    #[error(transparent)]
    CompilerMissing(#[from] Missing),
    /// The shim does not compile.
    #[error(
        "`{compiler}` could not compile the OpenFHE bridge. It must know C++17 and OpenMP, as g++ 9 and later do: install g++ \
         and unset CXX, or set CXX to such a compiler"
    )]
    Compile { compiler: String, details: String },
    /// Nowhere to put the cache.
    #[error(
        "no place for the build cache: neither CIPHERWATT_CACHE, XDG_CACHE_HOME nor HOME is set. Set CIPHERWATT_CACHE to an \
         absolute path of a folder that may be written"
    )]
    NoCache,
    /// A cache path that the loader or Cargo could not take.
    #[error(
        "{} cannot be the build cache: {problem}. Set CIPHERWATT_CACHE to an absolute path of plain characters",
        path.display()
    )]
    CachePath {
        path: PathBuf,
        problem: &'static str,
    },
    /// The cache cannot be read or written.
    #[error(
        "cannot {action} {}: the build cache must be a folder this user may write; set CIPHERWATT_CACHE to another one",
        path.display()
    )]
    Cache {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl BuildError {
    /// Wraps a failed file operation in the cache.
    pub(crate) fn cache(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Cache {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// What the failing tool printed, if one did.
    pub(crate) fn details(&self) -> Option<&str> {
        match self {
            Self::NoNetwork { details, .. }
            | Self::NotOnIndex { details, .. }
            | Self::WrongHash { details, .. }
            | Self::Download { details, .. }
            | Self::Unpack { details, .. }
            | Self::Compile { details, .. } => Some(details),
            _ => None,
        }
    }
}
