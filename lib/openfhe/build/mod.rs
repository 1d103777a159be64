//! Where OpenFHE comes from and how the C++ side is compiled.
//!
//! `build.rs` calls [`prepare`]; `tests/build_script.rs` includes the same files and drives every
//! failure. Nothing here prints for Cargo: that is left to `build.rs`.
//!
//! # Layout
//! - [`error`]: one sentence for each thing that can go wrong, with what to do about it.
//! - [`platform`]: which machines the published libraries run on.
//! - [`cache`]: the folder shared by all builds, its lock and its renames.
//! - [`compiler`]: which C++ compiler.
//! - [`wheels`]: the packages and their hashes; [`fetch`]: pip, the unpacked tree, [`tree`]: its hash.
//! - [`install`]: an OpenFHE to compile and link against, fetched or the user's own.
//! - [`shim`]: the C++ that touches OpenFHE, compiled once into a shared library.

pub(crate) mod cache;
pub(crate) mod compiler;
pub(crate) mod error;
pub(crate) mod fetch;
pub(crate) mod install;
pub(crate) mod platform;
pub(crate) mod shim;
pub(crate) mod tree;
pub(crate) mod wheels;

use std::ffi::OsString;

use cache::Cache;
use compiler::Compiler;
use error::BuildError;
use fetch::Fetch;
use install::Install;
use platform::Platform;
use shim::Shim;

/// What the build reads from its environment.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The target being built for, and the host that builds.
    pub platform: Platform,
    /// `OPENFHE_ROOT`: the prefix of the user's own install.
    pub openfhe_root: Option<OsString>,
    /// `CIPHERWATT_CACHE`: the cache folder itself.
    pub cipherwatt_cache: Option<OsString>,
    /// `XDG_CACHE_HOME`: the cache is its child `cipherwatt`.
    pub xdg_cache_home: Option<OsString>,
    /// `HOME`: the cache is `.cache/cipherwatt` below it.
    pub home: Option<OsString>,
    /// `CXX`, or nothing for `g++`.
    pub cxx: Option<OsString>,
    /// Whether to compile OpenFHE's serialiser in as well (for a comparison in `bench/peers`; slow to compile).
    pub serialisation: bool,
}

/// What Cargo has to be told.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The compiled shim.
    pub shim: Shim,
    /// The compiler that built it, for the static bridge on top.
    pub compiler: Compiler,
    /// The OpenFHE in use.
    pub install: Install,
}

/// Obtains OpenFHE and compiles the shim, or says why not. Does nothing that is already done.
pub(crate) fn prepare(inputs: &Inputs, fetch: &Fetch) -> Result<Prepared, BuildError> {
    inputs.platform.check_linux()?;
    let cache = Cache::locate(
        inputs.cipherwatt_cache.as_deref(),
        inputs.xdg_cache_home.as_deref(),
        inputs.home.as_deref(),
    )?;
    let compiler = Compiler::find(inputs.cxx.as_deref())?;
    let install = match inputs
        .openfhe_root
        .as_deref()
        .filter(|root| !root.is_empty())
    {
        Some(root) => Install::own(root.as_ref())?,
        None => {
            inputs.platform.check()?;
            Install::fetched(&fetch.tree_in(&cache)?)?
        }
    };
    let shim = Shim::build(&cache, &install, &compiler, inputs.serialisation)?;
    Ok(Prepared {
        shim,
        compiler,
        install,
    })
}
