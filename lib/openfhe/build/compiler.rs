//! The C++ compiler. Uses nothing but the standard library, because `link-cplusplus/build.rs` includes
//! it too.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::process::Command;

/// A C++ compiler that runs.
#[derive(Debug, Clone)]
#[allow(
    dead_code,
    reason = "one of the two build scripts only asks whether there is one"
)]
pub(crate) struct Compiler {
    /// The command.
    pub path: OsString,
    /// What `--version` prints.
    pub version: String,
}

/// There is none.
#[derive(Debug)]
pub(crate) struct Missing {
    /// The command that was looked for.
    pub compiler: String,
}

impl Compiler {
    /// `CXX` if it is set, else `g++`, else `c++`.
    pub(crate) fn find(cxx: Option<&OsStr>) -> Result<Self, Missing> {
        let own = cxx.filter(|cxx| !cxx.is_empty());
        let candidates = own.map_or_else(
            || vec![OsStr::new("g++"), OsStr::new("c++")],
            |cxx| vec![cxx],
        );
        for path in &candidates {
            match Command::new(path).arg("--version").output() {
                Ok(output) if output.status.success() => {
                    return Ok(Self {
                        path: path.into(),
                        version: String::from_utf8_lossy(&output.stdout).into_owned(),
                    });
                }
                _ => {}
            }
        }
        Err(Missing {
            compiler: candidates[0].to_string_lossy().into_owned(),
        })
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no C++ compiler: `{}` does not run. Install one (Debian, Ubuntu: `apt install g++`; Fedora: `dnf install \
             gcc-c++`), or set CXX to yours; then build again",
            self.compiler
        )
    }
}

impl std::error::Error for Missing {}
