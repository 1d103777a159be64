//! A package index in a folder, and stand-ins for python3.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::build;
use super::build::cache::Cache;
use super::build::error::BuildError;
use super::build::fetch::Fetch;
use super::build::wheels::{WHEELS, Wheel};

/// A folder with two wheels that look like the real ones, and a fetch that takes them from there.
pub(crate) struct Local {
    pub(crate) folder: TempDir,
    pub(crate) fetch: Fetch,
}

impl Local {
    /// Writes both wheels and pins their hashes.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let wheels = folder.path().join("wheels");
        fs::create_dir(&wheels).unwrap();
        let members = [
            vec![
                "lib/libOPENFHEcore.so.1",
                "lib/libOPENFHEbinfhe.so.1",
                "lib/libOPENFHEpke.so.1",
                "lib/libgomp.so",
                "x.py",
            ],
            vec![
                "openfhe+/src/core/include/config_core.h",
                "openfhe+/src/pke/include/openfhe.h",
                "openfhe+/src/binfhe/include/binfhecontext.h",
                "cereal+/include/cereal/cereal.hpp",
                "libopenfhe.so",
            ],
        ];
        let names = [
            "openfhe-1.4.2.0.22.4-py3-none-any.whl",
            "heir_py-2026.6.1-cp311-abi3-manylinux_2_28_x86_64.whl",
        ];
        let pinned = WHEELS
            .iter()
            .zip(members)
            .zip(names)
            .map(|((wheel, members), name)| {
                let prefix = if wheel.name == "openfhe" {
                    "openfhe"
                } else {
                    "heir"
                };
                let path = wheels.join(name);
                write_wheel(
                    &path,
                    wheel,
                    &members
                        .iter()
                        .map(|member| format!("{prefix}/{member}"))
                        .collect::<Vec<_>>(),
                );
                let sha256 = build::tree::hex(&Sha256::digest(fs::read(&path).unwrap()));
                Wheel {
                    sha256: Box::leak(sha256.into_boxed_str()),
                    ..*wheel
                }
            });
        let fetch = Fetch {
            wheels: pinned.collect(),
            env: offline(&wheels),
            tree: None,
            ..Fetch::default()
        };
        Self { fetch, folder }
    }

    /// A cache of this value's own.
    pub(crate) fn cache(&self) -> Cache {
        Cache::locate(
            Some(self.folder.path().join("cache").as_os_str()),
            None,
            None,
        )
        .unwrap()
    }

    /// A script in place of python3: runs `before`, then the real one.
    pub(crate) fn fake_python(&self, before: &str) -> OsString {
        let path = self.folder.path().join("python3");
        let mut file = fs::File::create(&path).unwrap();
        writeln!(file, "#!/bin/sh\n{before}\nexec python3 \"$@\"").unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o755))
            .unwrap();
        path.into_os_string()
    }
}

/// pip sees this folder and nothing else.
pub(crate) fn offline(wheels: &Path) -> Vec<(OsString, OsString)> {
    vec![
        ("PIP_CONFIG_FILE".into(), "/dev/null".into()),
        ("PIP_NO_INDEX".into(), "1".into()),
        ("PIP_FIND_LINKS".into(), wheels.into()),
    ]
}

/// A wheel with these members that pip accepts.
pub(crate) fn write_wheel(path: &Path, wheel: &Wheel, members: &[String]) {
    let script = "import sys, zipfile\n\
        path, name, version = sys.argv[1:4]\n\
        with zipfile.ZipFile(path, 'w') as archive:\n\
        \x20   for member in sys.argv[4:]:\n\
        \x20       archive.writestr(member, 'content of ' + member)\n\
        \x20   info = name + '-' + version + '.dist-info/'\n\
        \x20   archive.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n' % (name, version))\n\
        \x20   archive.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
        \x20   archive.writestr(info + 'RECORD', '')\n\
        \x20   archive.writestr(info + 'licenses/LICENSE', 'BSD')\n";
    let status = Command::new("python3")
        .args(["-c", script])
        .arg(path)
        .args([wheel.name, wheel.version])
        .args(members)
        .status()
        .unwrap();
    assert!(status.success());
}

/// The error of a fetch that must fail without leaving an entry.
pub(crate) fn fetch_error(local: &Local, fetch: &Fetch) -> BuildError {
    let error = fetch.tree_in(&local.cache()).unwrap_err();
    let names: Vec<_> = entries(local.cache().root());
    assert!(
        names.iter().all(|name| !name.starts_with("openfhe")),
        "half an entry was left: {names:?}"
    );
    error
}

/// The names in a folder.
pub(crate) fn entries(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
