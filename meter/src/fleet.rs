//! The fleet: the meters behind this gateway, their feeders and their keys.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;
use service::config::Settings;
use service::files::{self, KeyFileError};
use wire::{EnrolRequest, FeederId, MeterId, SigningKey, VerifyingKey, Watts};
use zeroize::Zeroizing;

use crate::seal::Member;
use crate::source::MeterSpec;

/// Longest file of meter keys taken: some millions of meters.
const MAX_KEY_FILE: u64 = 1 << 30;

/// The meters' signing keys, in the gateway's folder.
pub(crate) const KEYS: &str = "meters.keys";

/// The meters that have a key in `directory`, each with its verifying key; `None` if there is no file of keys.
///
/// # Errors
/// A file that cannot be read, that others can read, or that is damaged.
pub(crate) fn verifying_keys(
    directory: &Path,
) -> Result<Option<Vec<(MeterId, VerifyingKey)>>, KeyFileError> {
    let keys = MeterKeys::load(&directory.join(KEYS))?;
    let public = |keys: MeterKeys| {
        let keys = keys.0.into_iter();
        keys.map(|(meter, key)| (meter, key.verifying_key()))
            .collect()
    };
    Ok(keys.map(public))
}

/// Meters in one enrolment request.
const ENROL_METERS: usize = 4_096;

/// The meters behind a gateway.
pub(crate) struct Fleet {
    /// What the source says of them, in its order.
    pub(crate) specs: Vec<MeterSpec>,
    /// Who they are, in the same order; after them, meters that are gone and have reports in the journal.
    pub(crate) members: Arc<Vec<Member>>,
    index: HashMap<MeterId, usize>,
    gone: HashMap<MeterId, Vec<usize>>,
    key: SigningKey,
}

/// The feeder of the meter at `index` of a fleet spread over `feeders` feeders: `feeder-1` to `feeder-N` in turn.
///
/// # Panics
/// Never: the name is within the alphabet and the length of an id.
#[must_use]
pub fn feeder_of(index: usize, feeders: u32) -> FeederId {
    let number = index % feeders.max(1) as usize + 1;
    FeederId::try_from(format!("feeder-{number}").as_str()).expect("a feeder's name is a valid id")
}

impl Fleet {
    /// The fleet of the meters in `specs`, spread over `feeders` feeders; its keys are read from `directory`, or made there.
    /// `journaled` are the meters, each with its feeder, that still have something in the journal: those that are no longer
    /// in the fleet, or have another feeder there, stay members until it is settled.
    ///
    /// # Errors
    /// A key file that is unreadable, unsafe or damaged.
    pub(crate) fn open(
        specs: &[MeterSpec],
        feeders: u32,
        directory: &Path,
        journaled: impl IntoIterator<Item = (FeederId, MeterId)>,
    ) -> Result<Self, KeyFileError> {
        let ids = specs.iter().map(|spec| spec.id.clone());
        let mut keys = MeterKeys::load_or_create(&directory.join(KEYS), ids)?;
        let mut members: Vec<Member> = specs
            .iter()
            .enumerate()
            .map(|(index, spec)| keys.member(&spec.id, feeder_of(index, feeders)))
            .collect();
        let index: HashMap<MeterId, usize> = members
            .iter()
            .enumerate()
            .map(|(index, member)| (member.meter.clone(), index))
            .collect();
        let mut gone: HashMap<MeterId, Vec<usize>> = HashMap::new();
        for (feeder, meter) in journaled {
            let known = index
                .get(&meter)
                .into_iter()
                .chain(gone.get(&meter).into_iter().flatten());
            if known
                .into_iter()
                .any(|&index| members[index].feeder == feeder)
            {
                continue;
            }
            members.push(keys.member(&meter, feeder));
            gone.entry(meter).or_default().push(members.len() - 1);
        }
        Ok(Self {
            specs: specs.to_vec(),
            members: Arc::new(members),
            index,
            gone,
            key: files::load_or_create_signing_key(&directory.join("gateway.key"))?,
        })
    }

    /// Number of meters that readings are taken of: the first of the members.
    #[must_use]
    pub(crate) fn meters(&self) -> usize {
        self.specs.len()
    }

    /// Where a meter is among the members: once, or more often if it has changed its feeder.
    pub(crate) fn indices(&self, meter: &MeterId) -> impl Iterator<Item = usize> {
        let gone = self.gone.get(meter).into_iter().flatten();
        self.index.get(meter).into_iter().chain(gone).copied()
    }

    /// The feeder that a meter of the fleet is on; `None` if it is gone.
    pub(crate) fn feeder_now(&self, meter: &MeterId) -> Option<&FeederId> {
        let index = self.index.get(meter)?;
        Some(&self.members[*index].feeder)
    }

    /// Where a meter of a feeder is among the members.
    #[must_use]
    pub(crate) fn position(&self, feeder: &FeederId, meter: &MeterId) -> Option<usize> {
        self.indices(meter)
            .find(|&index| self.members[index].feeder == *feeder)
    }

    /// The signed requests that ask the operator to enrol the meters at `pending`.
    #[must_use]
    pub(crate) fn enrol_requests(
        &self,
        settings: &Settings,
        topic: &str,
        pending: &[usize],
    ) -> Vec<Vec<u8>> {
        let mut feeders: HashMap<FeederId, Watts> = HashMap::new();
        for (member, spec) in self.members.iter().zip(&self.specs) {
            let greatest = feeders.entry(member.feeder.clone()).or_insert(Watts(0));
            greatest.0 = greatest.0.max(spec.capacity_w.0);
        }
        let mut feeders: Vec<(FeederId, Watts)> = feeders.into_iter().collect();
        feeders.sort();
        let chunks = pending.chunks(ENROL_METERS);
        let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        chunks
            .zip(0..)
            .map(|(chunk, number)| {
                let request = EnrolRequest {
                    gateway: settings.meter.gateway.clone(),
                    gateway_key: self.key.verifying_key(),
                    chunk: number,
                    chunks: count,
                    feeders: feeders.clone(),
                    meters: chunk
                        .iter()
                        .map(|&index| {
                            let member = &self.members[index];
                            let capacity = self.specs[index].capacity_w;
                            (
                                member.meter.clone(),
                                member.feeder.clone(),
                                capacity,
                                member.verifying_key,
                            )
                        })
                        .collect(),
                };
                wire::seal(&request, None, &settings.deployment.id, topic, &self.key).0
            })
            .collect()
    }
}

/// The signing keys of the meters, each made once and kept in one file of mode 0600.
#[derive(Default)]
struct MeterKeys(HashMap<MeterId, SigningKey>);

#[derive(Serialize, Deserialize)]
struct KeyRow(MeterId, ByteArray<32>);

impl MeterKeys {
    fn load_or_create(
        path: &Path,
        ids: impl Iterator<Item = MeterId>,
    ) -> Result<Self, KeyFileError> {
        let mut keys = Self::load(path)?.unwrap_or_default();
        let known = keys.0.len();
        for id in ids {
            keys.0.entry(id).or_insert_with(SigningKey::generate);
        }
        if keys.0.len() > known {
            keys.save(path)?;
        }
        Ok(keys)
    }

    fn load(path: &Path) -> Result<Option<Self>, KeyFileError> {
        let Some(bytes) = files::read_private(path, MAX_KEY_FILE)? else {
            return Ok(None);
        };
        let rows: Vec<KeyRow> =
            ciborium::from_reader(bytes.as_slice()).map_err(|_| KeyFileError::Malformed {
                path: path.to_owned(),
            })?;
        let keys = rows.into_iter();
        let keys = keys.map(|KeyRow(meter, seed)| (meter, SigningKey::from_bytes(&seed)));
        Ok(Some(Self(keys.collect())))
    }

    fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        let rows: Vec<KeyRow> = self
            .0
            .iter()
            .map(|(meter, key)| KeyRow(meter.clone(), ByteArray::new(*key.to_bytes())))
            .collect();
        let io = |source| KeyFileError::Io {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(rows.len() * 128));
        ciborium::into_writer(&rows, &mut *bytes)
            .map_err(|error| io(std::io::Error::other(error)))?;
        files::write_atomic(path, &bytes, files::PRIVATE).map_err(io)?;
        Ok(())
    }

    fn member(&mut self, id: &MeterId, feeder: FeederId) -> Member {
        // Every meter of the fleet has a key. One that is gone and whose key is lost cannot sign any more; what it has
        // sealed is sent as it is.
        let key = self
            .0
            .entry(id.clone())
            .or_insert_with(SigningKey::generate);
        let key = SigningKey::from_bytes(&key.to_bytes());
        Member {
            meter: id.clone(),
            feeder,
            verifying_key: key.verifying_key(),
            key,
        }
    }
}
