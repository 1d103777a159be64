//! A pool: analytics services that share feeders and stand in for each other.

use std::collections::BTreeSet;

use super::{AnalyticsEntry, Plan};
use crate::cbor::{Reader, Writer, ascending};
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::{AnalyticsId, FeederId};
use crate::keys::VerifyingKey;
use crate::shard::Shard;

/// A member of a pool. It stays until it is removed: what it signed counts as long as it is here, whoever sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolEntry {
    /// The pool, which owns the feeders.
    pub pool: AnalyticsId,
    /// The analytics service.
    pub analytics: AnalyticsId,
    /// Its verifying key.
    pub key: VerifyingKey,
}

impl PoolEntry {
    pub(super) fn order(&self) -> (&AnalyticsId, &AnalyticsId) {
        (&self.pool, &self.analytics)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.array(3);
        writer.text(self.pool.as_str());
        writer.text(self.analytics.as_str());
        writer.bytes(self.key.as_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array_of(3, "plan.pool_entry")?;
        Ok(Self {
            pool: reader.id("plan.pool_id")?,
            analytics: reader.id("plan.pool_analytics")?,
            key: reader.checked_key("plan.pool_key")?,
        })
    }
}

impl Plan {
    /// The shard of a feeder: that of the largest area that it is in, if it is in one, else that of its own name.
    pub fn shard(&self, feeder: &FeederId) -> Shard {
        if self.shards <= 1 {
            return Shard(0);
        }
        let last = self.feeder(feeder, WindowStart(u64::MAX));
        let areas = last.and_then(|setting| setting.areas.as_ref());
        Shard::of_feeder(feeder, areas, self.shards)
    }

    /// Who adds for a feeder: the analytics service that names it; else the pool; else the first service that names none. See
    /// [`crate::Owners`] for many feeders.
    pub fn owner(&self, feeder: &FeederId) -> Option<&AnalyticsId> {
        let rest = || self.analytics.iter().find(|entry| entry.feeders.is_empty());
        let pool = self.pool.first().map(|entry| &entry.pool);
        let named = self.naming(feeder).map(|entry| &entry.id);
        named.or(pool).or_else(|| rest().map(|entry| &entry.id))
    }

    /// The key of an analytics service, if it may speak for a feeder: if it owns that, or is in the pool that does.
    pub fn key_for(&self, feeder: &FeederId, service: &AnalyticsId) -> Option<&VerifyingKey> {
        let mut members = self.pool.iter();
        let member = members.find(|entry| entry.analytics == *service);
        let speaks_for = member.map_or(service, |entry| &entry.pool);
        let owner = self.owner(feeder)?;
        self.service_key(service).filter(|_| speaks_for == owner)
    }

    /// The key of an analytics service, of a pool or not.
    pub fn service_key(&self, service: &AnalyticsId) -> Option<&VerifyingKey> {
        let member = self.pool.iter().find(|entry| entry.analytics == *service);
        let own = || self.analytics.iter().find(|entry| entry.id == *service);
        let member = member.map(|entry| &entry.key);
        member.or_else(|| own().map(|entry| &entry.key))
    }

    fn naming(&self, feeder: &FeederId) -> Option<&AnalyticsEntry> {
        let mut entries = self.analytics.iter();
        entries.find(|entry| entry.feeders.contains(feeder))
    }

    /// There is one pool at most, and every name is of one service or of the pool.
    pub(super) fn check_pool(&self) -> Result<(), WireError> {
        ascending(&self.pool, "plan.pool", |a, b| a.order() < b.order())?;
        let Some(first) = self.pool.first() else {
            return Ok(());
        };
        let members = self.pool.iter().map(|entry| &entry.analytics);
        let services = self.analytics.iter().map(|entry| &entry.id);
        let names: Vec<_> = members.chain(services).chain([&first.pool]).collect();
        let is_one = self.pool.iter().all(|entry| entry.pool == first.pool);
        let distinct: BTreeSet<_> = names.iter().collect();
        match is_one && distinct.len() == names.len() {
            true => Ok(()),
            false => Err(WireError::PoolNames),
        }
    }
}
