//! The keys of the meters, each made once and kept in one file of mode 0600.
//!
//! A meter has two: one to sign with, and one to agree its masks with. They are separate, so that neither use can be turned
//! against the other.
//!
//! The file is CBOR: `[2, [* [meter, signing seed, mask secret]]]`. The earlier format was `[* [meter, signing seed]]`; meters
//! of such a file get mask keys when it is opened.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use masks::MaskSecret;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteArray;
use service::files::{self, KeyFileError};
use wire::{FeederId, MaskKey, MeterId, SigningKey};
use zeroize::{Zeroize as _, Zeroizing};

use crate::member::{Member, PublicKeys};

/// Longest file of meter keys taken: some millions of meters.
const MAX_KEY_FILE: u64 = 1 << 30;

/// The version of the file.
const FORMAT: u64 = 2;

/// The keys of a meter.
struct MeterKey {
    signing: SigningKey,
    mask: MaskSecret,
}

impl MeterKey {
    fn generate() -> Result<Self, std::io::Error> {
        Ok(Self {
            signing: SigningKey::generate(),
            mask: MaskSecret::generate()?,
        })
    }

    fn public(&self) -> PublicKeys {
        PublicKeys {
            verifying: self.signing.verifying_key(),
            mask: MaskKey(self.mask.public()),
        }
    }
}

/// The keys of a gateway's meters.
#[derive(Default)]
pub(super) struct MeterKeys(HashMap<MeterId, MeterKey>);

/// 32 secret bytes in the file.
struct Secret(Zeroizing<[u8; 32]>);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_slice())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = ByteArray::<32>::deserialize(deserializer)?;
        let secret = Self(Zeroizing::new(*bytes));
        bytes.zeroize();
        Ok(secret)
    }
}

#[derive(Serialize, Deserialize)]
struct KeyRow(MeterId, Secret, Secret);

/// A row of the first format.
#[derive(Deserialize)]
struct KeyRow1(MeterId, Secret);

impl MeterKeys {
    /// The keys in `path` with one for each of `ids`; new ones are there before this returns.
    pub(super) fn load_or_create(
        path: &Path,
        ids: impl Iterator<Item = MeterId>,
    ) -> Result<Self, KeyFileError> {
        let (mut keys, mut changed) = Self::read(path)?.unwrap_or_default();
        for id in ids {
            if let Entry::Vacant(vacant) = keys.0.entry(id) {
                vacant.insert(MeterKey::generate().map_err(io(path))?);
                changed = true;
            }
        }
        if changed {
            keys.save(path).map_err(io(path))?;
        }
        Ok(keys)
    }

    /// The public keys in `path`; `None` if there is no such file. Those of the first format have no mask keys yet.
    pub(super) fn public(path: &Path) -> Result<Option<Vec<(MeterId, PublicKeys)>>, KeyFileError> {
        let Some((keys, _)) = Self::read(path)? else {
            return Ok(None);
        };
        let public = |(meter, key): (MeterId, MeterKey)| (meter, key.public());
        Ok(Some(keys.0.into_iter().map(public).collect()))
    }

    /// The keys in `path`, and whether some of them are new: those of a file of the first format.
    fn read(path: &Path) -> Result<Option<(Self, bool)>, KeyFileError> {
        let Some(bytes) = files::read_private(path, MAX_KEY_FILE)? else {
            return Ok(None);
        };
        let malformed = |_| KeyFileError::Malformed {
            path: path.to_owned(),
        };
        let mut keys = HashMap::new();
        // The first format begins with a list of meters where the others have their number.
        match ciborium::from_reader::<(u64, IgnoredAny), _>(bytes.as_slice()) {
            Ok((FORMAT, _)) => {
                let rows: (u64, Vec<KeyRow>) =
                    ciborium::from_reader(bytes.as_slice()).map_err(malformed)?;
                for KeyRow(meter, signing, mask) in rows.1 {
                    let signing = SigningKey::from_bytes(&signing.0);
                    let mask = MaskSecret::from_bytes(&mask.0);
                    keys.insert(meter, MeterKey { signing, mask });
                }
                Ok(Some((Self(keys), false)))
            }
            Ok((format, _)) => Err(KeyFileError::Later {
                path: path.to_owned(),
                format,
            }),
            Err(_) => {
                let rows: Vec<KeyRow1> =
                    ciborium::from_reader(bytes.as_slice()).map_err(malformed)?;
                for KeyRow1(meter, signing) in rows {
                    let signing = SigningKey::from_bytes(&signing.0);
                    let mask = MaskSecret::generate();
                    let mask = mask.map_err(|error| io(path)(error.into()))?;
                    keys.insert(meter, MeterKey { signing, mask });
                }
                Ok(Some((Self(keys), true)))
            }
        }
    }

    fn save(&self, path: &Path) -> Result<(), std::io::Error> {
        let row = |(meter, key): (&MeterId, &MeterKey)| {
            let signing = Secret(key.signing.to_bytes());
            KeyRow(meter.clone(), signing, Secret(key.mask.to_bytes()))
        };
        let rows: Vec<KeyRow> = self.0.iter().map(row).collect();
        // Room for all of it: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(rows.len() * 160 + 16));
        ciborium::into_writer(&(FORMAT, rows), &mut *bytes).map_err(std::io::Error::other)?;
        files::write_atomic(path, &bytes, files::PRIVATE)
    }

    /// A meter on a feeder, with its keys.
    pub(super) fn member(
        &mut self,
        id: &MeterId,
        feeder: FeederId,
    ) -> Result<Member, std::io::Error> {
        // Every meter of the fleet has keys. One that is gone and whose keys are lost cannot sign any more; what it has
        // sealed is sent as it is.
        let key = match self.0.get(id) {
            Some(key) => key,
            None => self.0.entry(id.clone()).or_insert(MeterKey::generate()?),
        };
        Ok(Member {
            meter: id.clone(),
            feeder,
            key: key.signing.clone(),
            mask: MaskSecret::from_bytes(&key.mask.to_bytes()),
            public: key.public(),
        })
    }
}

/// An error of the key file at `path`.
pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> KeyFileError {
    let path = path.to_owned();
    move |source| KeyFileError::Io {
        path: path.clone(),
        source,
    }
}
