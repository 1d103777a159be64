//! `operator init`: keys, certificates and settings of a new deployment in production mode, made without a broker.
//!
//! ```text
//! north/cipherwatt.toml            what all processes read
//! north/NAME.toml, .crt, .key      what one of them reads beside it: how it reaches the broker, and as whom
//! north/ca.crt, ca.key             who signed the certificates
//! north/state/operator/            the operator's keys
//! ```

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use accounts::{Folder, FolderError, Name, NameError};
use service::files;
use wire::{DeploymentId, VerifyingKey};

use crate::keys::error::KeyringError;
use crate::keys::keyring::{FIRST_EPOCH, Keyring};

/// The settings that a deployment in production mode starts from.
const PRODUCTION: &str = include_str!("../../config/production.toml");

/// The processes may run as different users, and there is no secret in the settings.
const PUBLIC: u32 = 0o644;

/// The file that all processes read.
const SETTINGS: &str = "cipherwatt.toml";

/// A deployment cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// One is there.
    #[error("{path} is there already, and nothing is overwritten: choose another folder with --dir", path = path.display())]
    Exists {
        /// Its settings.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operator's keys cannot be made.
    #[error("cannot make the operator's keys")]
    Keys(#[from] KeyringError),
    /// A certificate cannot be made.
    #[error("cannot make the certificates")]
    Certificates(#[from] FolderError),
    /// A gateway or analytics service cannot be called that.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// What a deployment is made of.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// Where its files go: a folder that is made.
    pub dir: PathBuf,
    /// Names and addresses by which clients know the broker.
    pub hosts: Vec<String>,
    /// Its gateways.
    pub gateways: Vec<String>,
    /// Its analytics services.
    pub analytics: Vec<String>,
}

/// What was made.
#[derive(Debug)]
pub struct Made {
    /// The settings that all processes read.
    pub settings: PathBuf,
    /// The name of each process, and the settings that it reads beside those.
    pub processes: Vec<(String, PathBuf)>,
    /// The folder of the operator's keys.
    pub keys: PathBuf,
}

impl Made {
    /// What to start, and what to do then: a line for each.
    #[must_use]
    pub fn next_steps(&self) -> String {
        let shared = self.settings.display();
        let mut text = String::from("start each in a terminal of its own, or as a service:\n");
        for (name, own) in &self.processes {
            let binary = match name.split('.').next() {
                Some("gateway") => "meter",
                Some(role) => role,
                None => name,
            };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "  {binary} --config {shared} --config {}",
                own.display()
            );
        }
        let _ = write!(
            text,
            "the gateway reads the file that meter.replay of {shared} names: name yours there first\n\
             then approve who asks to join:\n  operator pending --config {shared}\n\
             keep a copy of {} in a safe place: without these keys no sum can be opened\n",
            self.keys.display()
        );
        text
    }
}

/// Makes a deployment.
///
/// # Errors
/// If its folder has one, or a file cannot be written.
pub fn init(deployment: &Deployment) -> Result<Made, InitError> {
    let dir = std::path::absolute(&deployment.dir).map_err(io_at(&deployment.dir))?;
    let settings = dir.join(SETTINGS);
    if settings.symlink_metadata().is_ok() {
        return Err(InitError::Exists { path: settings });
    }
    let names = clients(deployment)?;
    let folder = Folder::create(&dir, &deployment.hosts)?;
    let mut processes = vec![("broker".to_owned(), dir.join("broker.toml"))];
    for name in names {
        processes.push((name.to_string(), folder.add(&name)?));
    }
    let state = dir.join("state");
    let (keys, key) = make_keys(&state)?;
    // Last, so that a deployment is whole if it has it.
    let text = settings_text(&deployment.id, &key, &state);
    files::write_new(&settings, text.as_bytes(), PUBLIC).map_err(io_at(&settings))?;
    Ok(Made {
        settings,
        processes,
        keys,
    })
}

/// Who connects to the broker.
fn clients(deployment: &Deployment) -> Result<Vec<Name>, NameError> {
    let of = |role: &'static str, ids: &[String]| -> Vec<String> {
        ids.iter().map(|id| format!("{role}.{id}")).collect()
    };
    let mut names = vec!["operator".to_owned()];
    names.extend(of("analytics", &deployment.analytics));
    names.extend(of("gateway", &deployment.gateways));
    names.iter().map(|name| name.parse()).collect()
}

/// The operator's signing key and the keys of the first epoch, where a first start would make them.
fn make_keys(state: &Path) -> Result<(PathBuf, VerifyingKey), InitError> {
    let dir = files::state_folder(state, "operator").map_err(io_at(state))?;
    let keyring = Keyring::open(&dir, None)?;
    keyring.epoch(FIRST_EPOCH)?;
    let key = keyring.verifying();
    Ok((dir, key))
}

/// The settings of production mode with what this deployment sets.
fn settings_text(id: &DeploymentId, key: &VerifyingKey, state: &Path) -> String {
    let state = state.display().to_string();
    [
        (
            "id = \"north\"\n",
            format!("id = \"{id}\"\nstate_dir = {state:?}\n"),
        ),
        (
            "# operator_key = \"64 hexadecimal digits\"\n",
            format!("operator_key = \"{key}\"\n"),
        ),
    ]
    .iter()
    .fold(PRODUCTION.to_owned(), |text, (from, to)| {
        text.replacen(from, to, 1)
    })
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> InitError {
    let path = path.to_owned();
    |source| InitError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use service::config::{Mode, Overrides, load_layers};

    use super::*;

    fn north(dir: PathBuf) -> Deployment {
        Deployment {
            id: "north".parse().unwrap(),
            dir,
            hosts: Vec::new(),
            gateways: vec!["gateway-1".to_owned()],
            analytics: vec!["analytics-1".to_owned()],
        }
    }

    #[test]
    fn every_process_starts_from_what_was_made_in_production_mode() {
        let root = tempfile::tempdir().unwrap();
        let made = init(&north(root.path().join("north"))).unwrap();
        let names: Vec<&str> = made
            .processes
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let expected = [
            "broker",
            "operator",
            "analytics.analytics-1",
            "gateway.gateway-1",
        ];
        assert_eq!(names, expected);
        let key = std::fs::read_to_string(root.path().join("north/state/operator/signing.pub"));
        for (name, own) in &made.processes {
            let files = [made.settings.clone(), own.clone()];
            let loaded = load_layers(&files, std::iter::empty(), &Overrides::new());
            let settings = loaded
                .unwrap_or_else(|error| panic!("{name}: {error}"))
                .settings;
            assert_eq!(settings.deployment.mode, Mode::Production, "{name}");
            assert_eq!(settings.deployment.id.as_str(), "north");
            let pinned = settings.deployment.operator_key.map(|key| key.to_string());
            assert_eq!(pinned.as_deref(), Some(key.as_ref().unwrap().trim()));
        }
    }

    #[test]
    fn keys_are_the_owners_alone_and_are_those_of_the_first_epoch() {
        let root = tempfile::tempdir().unwrap();
        init(&north(root.path().join("north"))).unwrap();
        for key in ["signing.key", "epoch-1.key", "mask-1.key"] {
            let path = root.path().join("north/state/operator").join(key);
            assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn a_deployment_is_never_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let north = north(root.path().join("north"));
        init(&north).unwrap();
        let key = || std::fs::read(root.path().join("north/state/operator/signing.key")).unwrap();
        let before = key();
        assert!(matches!(init(&north), Err(InitError::Exists { .. })));
        assert_eq!(key(), before);
    }
}
