//! The fleet: the meters behind this gateway, their feeders and their keys.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use service::config::Settings;
use service::files::{self, KeyFileError};
use wire::{
    CapacityClass, EnrolFeeder, EnrolMeter, EnrolRequest, FeederId, MeterId, SigningKey,
    UnixMillis, VerifyingKey, Watts,
};

use crate::member::{Member, PublicKeys};
use readings::MeterSpec;

mod keys;

use keys::MeterKeys;

/// The meters' keys, in the gateway's folder.
pub(crate) const KEYS: &str = "meters.keys";

/// The meters that have keys in `directory`, each with its public ones; `None` if there is no file of keys.
///
/// # Errors
/// A file that cannot be read, that others can read, or that is damaged.
pub(crate) fn public_keys(
    directory: &Path,
) -> Result<Option<Vec<(MeterId, PublicKeys)>>, KeyFileError> {
    MeterKeys::public(&directory.join(KEYS))
}

/// In `meter.billing`: every meter.
const ALL: &str = "all";

/// Meters in one enrolment request.
const ENROL_METERS: usize = 4_096;

/// Why a fleet cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A key file is unreadable, unsafe or damaged.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A meter has no capacity class.
    #[error(
        "meter {meter} declares a capacity of {} W: the most that can be enrolled is {} W; correct its readings or leave \
         it out", capacity.0, CapacityClass::MAX.watts().0
    )]
    Capacity {
        /// The meter.
        meter: MeterId,
        /// What it declares.
        capacity: Watts,
    },
}

/// The meters behind a gateway.
pub(crate) struct Fleet {
    /// What the source says of them, in its order.
    pub(crate) specs: Vec<MeterSpec>,
    /// The class of declared capacity of each, in the same order.
    pub(crate) capacities: Vec<CapacityClass>,
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

/// Which feeder each meter of a fleet is on.
pub(crate) enum Feeders {
    /// `feeder-1` to `feeder-N` in turn.
    Spread(u32),
    /// One for each meter, in the fleet's order.
    Given(Vec<FeederId>),
}

impl From<u32> for Feeders {
    fn from(feeders: u32) -> Self {
        Self::Spread(feeders)
    }
}

impl Feeders {
    fn of(&self, index: usize) -> FeederId {
        let given = match self {
            Self::Spread(feeders) => return feeder_of(index, *feeders),
            Self::Given(given) => given.get(index),
        };
        given.cloned().unwrap_or_else(|| feeder_of(0, 1))
    }
}

impl Fleet {
    /// The fleet of the meters in `specs`, each on its one of `feeders`; its keys are read from `directory`, or made there.
    /// `journaled` are the meters, each with its feeder, that still have something in the journal: those that are no longer
    /// in the fleet, or have another feeder there, stay members until nothing more can come of it.
    ///
    /// # Errors
    /// [`FleetError`].
    pub(crate) fn open(
        specs: &[MeterSpec],
        feeders: impl Into<Feeders>,
        directory: &Path,
        journaled: impl IntoIterator<Item = (FeederId, MeterId)>,
    ) -> Result<Self, FleetError> {
        let class = |spec: &MeterSpec| {
            CapacityClass::of(spec.capacity_w).ok_or_else(|| FleetError::Capacity {
                meter: spec.id.clone(),
                capacity: spec.capacity_w,
            })
        };
        let feeders = feeders.into();
        let capacities = specs.iter().map(class).collect::<Result<_, _>>()?;
        let path = directory.join(KEYS);
        let ids = specs.iter().map(|spec| spec.id.clone());
        let mut keys = MeterKeys::load_or_create(&path, ids)?;
        let mut member = |id: &MeterId, feeder| keys.member(id, feeder).map_err(keys::io(&path));
        let mut members = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            members.push(member(&spec.id, feeders.of(index))?);
        }
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
            members.push(member(&meter, feeder)?);
            gone.entry(meter).or_default().push(members.len() - 1);
        }
        Ok(Self {
            specs: specs.to_vec(),
            capacities,
            members: Arc::new(members),
            index,
            gone,
            key: files::load_or_create_signing_key(&directory.join("gateway.key"))?,
        })
    }

    /// What the gateway signs its requests with, so that a person can compare it with what the operator was sent.
    pub(crate) fn gateway_key(&self) -> VerifyingKey {
        self.key.verifying_key()
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

    /// The signed request that asks the operator at `now` to enrol the meters at `pending`, in chunks.
    #[must_use]
    pub(crate) fn enrol_requests(
        &self,
        settings: &Settings,
        topic: &str,
        pending: &[usize],
        now: UnixMillis,
    ) -> Vec<Vec<u8>> {
        let feeders = self.feeders();
        let chunks = pending.chunks(ENROL_METERS);
        let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        let meter = |&index: &usize| {
            let member = &self.members[index];
            EnrolMeter {
                meter: member.meter.clone(),
                feeder: member.feeder.clone(),
                capacity: self.capacities[index],
                key: member.public.verifying,
                mask_key: member.public.mask,
                billing: is_billed(settings, &member.meter),
            }
        };
        chunks
            .zip(0..)
            .map(|(chunk, number)| {
                let request = EnrolRequest {
                    gateway: settings.meter.gateway.clone(),
                    gateway_key: self.key.verifying_key(),
                    issued_at: now,
                    chunk: number,
                    chunks: count,
                    feeders: feeders.clone(),
                    meters: chunk.iter().map(meter).collect(),
                };
                wire::seal(&request, None, &settings.deployment.id, topic, &self.key).0
            })
            .collect()
    }

    /// What the gateway has on each feeder, whether it is enrolled or not.
    fn feeders(&self) -> Vec<EnrolFeeder> {
        let mut feeders: BTreeMap<&FeederId, (CapacityClass, u32)> = BTreeMap::new();
        for (member, capacity) in self.members.iter().zip(&self.capacities) {
            let (greatest, meters) = feeders.entry(&member.feeder).or_insert((*capacity, 0));
            *greatest = (*greatest).max(*capacity);
            *meters += 1;
        }
        let feeders = feeders.into_iter();
        feeders
            .map(|(feeder, (max_capacity, meters))| EnrolFeeder {
                feeder: feeder.clone(),
                max_capacity,
                meters,
            })
            .collect()
    }
}

/// Whether the configuration has a meter billed by tariff band.
pub(crate) fn is_billed(settings: &Settings, meter: &MeterId) -> bool {
    let named = &settings.meter.billing;
    named
        .iter()
        .any(|name| name == ALL || name == meter.as_str())
}

#[cfg(test)]
mod tests;
