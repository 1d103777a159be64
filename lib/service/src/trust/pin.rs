//! Which operator a process trusts.
//!
//! The key is configured (`deployment.operator_key`), or pinned at an earlier first use, or, in
//! development with the broker on loopback, the one that an operator with the same
//! `deployment.state_dir` left beside its signing key. Nothing is ever trusted because it came over
//! the network: messages do not carry the operator's key.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wire::VerifyingKey;

use super::KeepError;
use crate::Chain;
use crate::config::{Mode, Settings};
use crate::files;

#[derive(Debug)]
pub(super) struct Pin {
    key: Option<VerifyingKey>,
    file: PathBuf,
    /// Where an operator on this machine leaves its verifying key; `None` if that is not trusted.
    first_use: Option<PathBuf>,
}

impl Pin {
    /// Reads the key that is configured, or pinned in the state folder of a process.
    pub(super) fn open(settings: &Settings, folder: &Path) -> Result<Self, KeepError> {
        let file = folder.join("operator.pin");
        let deployment = &settings.deployment;
        let key = match deployment.operator_key {
            Some(key) => Some(key),
            None => read(&file)?,
        };
        let trusting = deployment.mode == Mode::Development && settings.mqtt.is_loopback();
        if key.is_none() && !trusting {
            return Err(KeepError::KeyNeeded {
                address: settings.mqtt.address.clone(),
            });
        }
        let signing = deployment.operator_folder().join(files::SIGNING_KEY);
        Ok(Self {
            key,
            file,
            first_use: trusting.then(|| files::verifying_key_path(&signing)),
        })
    }

    /// The operator's key, if there is one to trust.
    pub(super) fn key(&self) -> Option<VerifyingKey> {
        self.key.or_else(|| {
            let path = self.first_use.as_ref()?;
            read(path)
                .inspect_err(|error| tracing::warn!("{}", Chain(error)))
                .ok()?
        })
    }

    /// A message was signed with this key: from now on no other is accepted.
    pub(super) fn used(&mut self, key: VerifyingKey) {
        if self.key.is_some() {
            return;
        }
        self.key = Some(key);
        tracing::info!(operator = %key, "operator trusted on first use and pinned");
        let text = format!("{key}\n");
        if let Err(error) = files::write_atomic(&self.file, text.as_bytes(), files::PRIVATE) {
            let path = self.file.display();
            tracing::error!(%path, %error, "cannot pin the operator's key beyond this run");
        }
    }

    /// What a person can do about a message from another operator.
    pub(super) fn advice(&self) -> String {
        match self.file.exists() {
            true => format!(
                "; if the operator has a new key on purpose, remove {}",
                self.file.display()
            ),
            false => String::new(),
        }
    }

    /// What a person can do about a missing key.
    pub(super) fn missing(&self) -> String {
        let place = self.first_use.as_ref().map_or_else(String::new, |path| {
            format!(" (there is none in {} yet)", path.display())
        });
        format!(
            "the operator's key is not known{place}: set deployment.operator_key, or use the \
             operator's deployment.state_dir"
        )
    }
}

/// A verifying key as text; `None` if there is no such file.
fn read(path: &Path) -> Result<Option<VerifyingKey>, KeepError> {
    match fs::read_to_string(path) {
        Ok(text) => text
            .trim_end()
            .parse()
            .map(Some)
            .map_err(|_| KeepError::Pin {
                path: path.to_owned(),
            }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeepError::Io {
            path: path.to_owned(),
            source,
        }),
    }
}
