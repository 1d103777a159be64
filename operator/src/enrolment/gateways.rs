//! The verifying key of each gateway: a name belongs to the key that used it first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wire::{GatewayId, VerifyingKey};

use crate::disk::{self, DiskError};

/// The verifying key of each gateway, in `gateways.json`.
#[derive(Debug)]
pub(crate) struct Gateways {
    path: PathBuf,
    keys: BTreeMap<GatewayId, VerifyingKey>,
    unsaved: bool,
}

/// The largest `gateways.json` that is read: a million gateways.
const MAX_GATEWAYS_BYTES: usize = 256 * 1024 * 1024;

/// Why the gateways' keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GatewaysError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] DiskError),
    /// The file is damaged.
    #[error("{path} is damaged, restore it from a backup", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
}

impl Gateways {
    /// Opens the keys stored in `dir`; there may be none.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub(crate) fn open(dir: &Path) -> Result<Self, GatewaysError> {
        let path = dir.join("gateways.json");
        let keys = match path.exists() {
            true => serde_json::from_slice(&disk::read(&path, MAX_GATEWAYS_BYTES)?).map_err(
                |cause| GatewaysError::Json {
                    path: path.clone(),
                    cause,
                },
            )?,
            false => BTreeMap::new(),
        };
        Ok(Self {
            path,
            keys,
            unsaved: false,
        })
    }

    /// The key of a gateway.
    pub(crate) fn get(&self, gateway: &GatewayId) -> Option<&VerifyingKey> {
        self.keys.get(gateway)
    }

    /// Whether a key may speak for a gateway: it is the known one, or none is.
    pub(crate) fn admits(&self, gateway: &GatewayId, key: &VerifyingKey) -> bool {
        self.keys.get(gateway).is_none_or(|known| known == key)
    }

    /// Ties a gateway that has none yet to its key.
    pub(crate) fn pin(&mut self, gateway: &GatewayId, key: VerifyingKey) {
        if !self.keys.contains_key(gateway) {
            self.keys.insert(gateway.clone(), key);
            self.unsaved = true;
        }
    }

    /// Makes all changes durable.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn save(&mut self) -> Result<(), GatewaysError> {
        if self.unsaved {
            let json =
                serde_json::to_vec_pretty(&self.keys).map_err(|cause| GatewaysError::Json {
                    path: self.path.clone(),
                    cause,
                })?;
            disk::replace(&self.path, &json)?;
            self.unsaved = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment::message::tests::signing;

    #[test]
    fn the_first_key_stays() {
        let dir = tempfile::tempdir().unwrap();
        let gateway = GatewayId::try_from("gateway-1").unwrap();
        let (mine, theirs) = (signing(1).verifying_key(), signing(2).verifying_key());
        let mut gateways = Gateways::open(dir.path()).unwrap();
        assert!(gateways.admits(&gateway, &theirs));
        gateways.pin(&gateway, mine);
        gateways.pin(&gateway, theirs);
        gateways.save().unwrap();
        let again = Gateways::open(dir.path()).unwrap();
        assert_eq!(again.get(&gateway), Some(&mine));
        assert!(again.admits(&gateway, &mine) && !again.admits(&gateway, &theirs));
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("gateways.json"), "{").unwrap();
        assert!(matches!(
            Gateways::open(dir.path()),
            Err(GatewaysError::Json { .. })
        ));
    }
}
