//! An OpenFHE to compile and link against.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::BuildError;

/// The version that the bridge is written for.
const VERSION: &str = "1.4.2";

/// An installed OpenFHE.
#[derive(Debug, Clone)]
pub(crate) struct Install {
    /// Include folders, in order.
    pub includes: Vec<PathBuf>,
    /// The folder with the libraries.
    pub lib: PathBuf,
    /// Files whose change means that the shim must be compiled again.
    pub watched: Vec<PathBuf>,
}

impl Install {
    /// The tree that [`super::fetch`] unpacked.
    pub(crate) fn fetched(tree: &Path) -> Result<Self, BuildError> {
        Ok(Self::at(tree, tree.join("lib")))
    }

    /// The user's own install under this prefix, after a check that it is usable.
    pub(crate) fn own(root: &Path) -> Result<Self, BuildError> {
        let unusable = |problem: String| BuildError::OwnInstall {
            root: root.to_path_buf(),
            problem,
        };
        // Canonical, because the path becomes part of the libraries that are built.
        let prefix = root
            .canonicalize()
            .map_err(|e| unusable(format!("it cannot be opened ({e})")))?;
        let lib = ["lib", "lib64"]
            .map(|folder| prefix.join(folder))
            .into_iter()
            .find(|folder| folder.join("libOPENFHEpke.so").exists())
            .ok_or_else(|| {
                unusable("there is no libOPENFHEpke.so in its lib or lib64".to_owned())
            })?;
        let install = Self::at(&prefix, lib);
        let read = |path: &str| {
            let path = prefix.join("include/openfhe").join(path);
            fs::read_to_string(&path)
                .map_err(|e| unusable(format!("{} cannot be read ({e})", path.display())))
        };
        read("pke/openfhe.h")?;
        let config = read("core/config_core.h")?;
        let defines = |line: &str| {
            config
                .lines()
                .any(|l| l.split_whitespace().eq(line.split_whitespace()))
        };
        if !defines("#define NATIVEINT 64") {
            return Err(unusable("it was not built with NATIVE_SIZE=64".to_owned()));
        }
        // Without OpenMP one random number generator is shared by all threads, a data race on the
        // randomness of the encryption.
        if !defines("#define WITH_OPENMP") {
            return Err(unusable(
                "it was built without OpenMP, so encryption from several threads would be unsafe"
                    .to_owned(),
            ));
        }
        match version(&prefix) {
            Some(found) if found != VERSION => Err(unusable(format!("its version is {found}"))),
            // An install without its CMake files: the compiler will tell.
            _ => Ok(install),
        }
    }

    fn at(prefix: &Path, lib: PathBuf) -> Self {
        let include = prefix.join("include/openfhe");
        let includes =
            ["core", "pke", "binfhe", "third-party/include"].map(|folder| include.join(folder));
        let watched = vec![
            lib.join("libOPENFHEpke.so"),
            include.join("core/config_core.h"),
        ];
        Self {
            includes: std::iter::once(include.clone()).chain(includes).collect(),
            lib,
            watched,
        }
    }
}

/// The version in the CMake package files of an install.
fn version(prefix: &Path) -> Option<String> {
    let file = ["lib/OpenFHE", "lib64/OpenFHE"]
        .map(|folder| prefix.join(folder).join("OpenFHEConfigVersion.cmake"))
        .into_iter()
        .find_map(|path| fs::read_to_string(path).ok())?;
    let (_, rest) = file.split_once("set(PACKAGE_VERSION \"")?;
    Some(rest.split_once('"')?.0.to_owned())
}
