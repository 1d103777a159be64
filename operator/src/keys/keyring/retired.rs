//! The keys of epochs that have left the plan.

use std::sync::Arc;

use service::Chain;
use wire::{KeyEpoch, WindowStart};

use super::{Keyring, rlwe_file};
use crate::keys::error::KeyringError;
use crate::keys::known::{self, KnownEpoch};
use crate::keys::mask_file;

impl Keyring {
    /// Loads the keys of the epochs from `oldest` on that have left the plan, whose first one is `first`, for releases that
    /// come late. One that cannot be used is left out with a warning: everything newer works without it.
    pub(crate) fn load_retired(&self, oldest: KeyEpoch, first: KeyEpoch) {
        for epoch in (oldest.0..first.0).map(KeyEpoch) {
            if let Some(path) = self.missing(epoch) {
                tracing::warn!(%epoch, path = %path.display(), "the key of an old epoch is gone, so late sums of that epoch cannot be decrypted");
            } else if let Err(error) = self.load_known(epoch) {
                tracing::error!(%epoch, error = %Chain(&error), "the key of an old epoch cannot be used, so late sums of that epoch cannot be decrypted");
            }
        }
    }

    /// Loads the keys of an epoch that is in no plan any more, if they are those that were used.
    pub(super) fn load_known(&self, epoch: KeyEpoch) -> Result<(), KeyringError> {
        let keys = self.load(epoch)?;
        let entry = keys.entry(epoch, WindowStart(0));
        let found = KnownEpoch::of(&entry);
        match known::read(&self.dir)?.remove(&epoch) {
            // It was retired before fingerprints were recorded.
            None => known::record(&self.dir, &entry)?,
            Some(known) if known == found => {}
            Some(known) => {
                let (file, known, found) = match known.fingerprint == found.fingerprint {
                    false => (rlwe_file(epoch), known.fingerprint, found.fingerprint),
                    true => (mask_file::name(epoch), known.mask_key, found.mask_key),
                };
                let path = self.dir.join(file);
                return Err(KeyringError::OtherRetired {
                    epoch,
                    path,
                    known,
                    found,
                });
            }
        }
        self.write().insert(epoch, Arc::new(keys));
        Ok(())
    }
}
