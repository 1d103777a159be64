//! Which machines the published libraries run on.
//!
//! pip cannot tell: the wheel with the libraries is tagged for every platform.

use super::error::BuildError;

/// The oldest C library the published libraries load with.
const OLDEST_GLIBC: (u32, u32) = (2, 34);

/// A target and the host that builds for it, as target triples (`x86_64-unknown-linux-gnu`).
#[derive(Debug, Clone)]
pub(crate) struct Platform {
    /// What is built for.
    pub target: String,
    /// What builds.
    pub host: String,
}

impl Platform {
    /// Refuses what not even an own install of OpenFHE helps.
    pub(crate) fn check_linux(&self) -> Result<(), BuildError> {
        if self.target.split('-').any(|part| part == "linux") {
            return Ok(());
        }
        Err(BuildError::NotLinux {
            target: self.target.clone(),
        })
    }

    /// Refuses targets that the published libraries were not built for.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let mut parts = self.target.split('-');
        let arch = parts.next().unwrap_or_default();
        let rest: Vec<_> = parts.collect();
        if arch != "x86_64" || rest.get(1) != Some(&"linux") || rest.get(2) != Some(&"gnu") {
            return Err(BuildError::UnsupportedTarget {
                target: self.target.clone(),
            });
        }
        if self.host != self.target {
            return Err(BuildError::CrossCompiling {
                host: self.host.clone(),
                target: self.target.clone(),
            });
        }
        Ok(())
    }
}

/// Refuses a C library older than 2.34. `found` is what `confstr(CS_GNU_LIBC_VERSION)` answers,
/// such as `glibc 2.36`.
pub(crate) fn check_libc(found: &str) -> Result<(), BuildError> {
    let version = found.strip_prefix("glibc ").and_then(|version| {
        let (major, minor) = version.split_once('.')?;
        let minor: String = minor.chars().take_while(char::is_ascii_digit).collect();
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    match version {
        Some(version) if version >= OLDEST_GLIBC => Ok(()),
        _ => Err(BuildError::OldLibc {
            found: if found.is_empty() {
                "another C library"
            } else {
                found
            }
            .to_owned(),
        }),
    }
}
