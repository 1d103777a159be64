//! `epochs.json`: the fingerprints of every epoch that had keys here, so that a wrong file in the place of a retired key is told
//! from it. The plan names those of its own epochs only.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wire::{EpochPlan, KeyEpoch};

use crate::disk::{self, JsonFileError};

const FILE: &str = "epochs.json";

/// The largest file that is read: more epochs than anybody begins.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What is known of the keys of an epoch, in hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownEpoch {
    /// Of the ring and the public key.
    pub(super) fingerprint: String,
    pub(super) mask_key: String,
}

impl KnownEpoch {
    pub(super) fn of(entry: &EpochPlan) -> Self {
        Self {
            fingerprint: hex::encode(entry.fingerprint),
            mask_key: hex::encode(entry.mask_key.as_bytes()),
        }
    }
}

/// All that are known; none of the epochs that were retired before there was such a file.
pub(super) fn read(dir: &Path) -> Result<BTreeMap<KeyEpoch, KnownEpoch>, JsonFileError> {
    let parse = |json: &[u8]| serde_json::from_slice(json);
    let known = disk::read_json(&dir.join(FILE), MAX_BYTES, parse)?;
    Ok(known.unwrap_or_default())
}

/// Records an epoch, durably.
pub(super) fn record(dir: &Path, entry: &EpochPlan) -> Result<(), JsonFileError> {
    let mut known = read(dir)?;
    let epoch = KnownEpoch::of(entry);
    if known.get(&entry.epoch) == Some(&epoch) {
        return Ok(());
    }
    known.insert(entry.epoch, epoch);
    disk::replace_json(&dir.join(FILE), &known)
}
