//! The plan: what all processes must agree on about time, keys and scale, signed by the operator.

mod areas;
mod entries;
mod holders;
mod layout;
mod pool;
mod setting;
mod tariff;

use super::{Agreement, Limbs, Message};
use crate::cbor::{Reader, Writer, ascending};
use crate::error::WireError;
use crate::grid::{Grid, GridError, WindowStart};
use crate::ids::{DeploymentId, FeederId, LayoutName};
use crate::shard::MAX_SHARDS;
use crate::units::{Digest, PlanVersion, UnixSeconds};
use crate::zone::{Zone, ZoneError};

pub use areas::Areas;
pub use entries::{AnalyticsEntry, EarlierMinimum, EpochPlan, FeederPlan, MAX_KEY_LEN};
pub use holders::MAX_AGREEMENTS;
pub use layout::MAX_EDGES;
pub use pool::PoolEntry;
pub use tariff::{
    BandRule, BillingPeriod, DayType, MAX_BANDS, MAX_PERIOD_WINDOWS, Tariff, TariffVersion,
};

/// The most feeder settings of a plan, and the most feeders anywhere a list of them is read.
pub const MAX_FEEDERS: usize = 16_384;

/// The most analytics services of a plan, and the most of a pool.
pub const MAX_ANALYTICS: usize = 256;

/// The most changes of its minimum group that a plan tells.
pub const MAX_EARLIER_MINIMUMS: usize = 16;

/// The plan. Its limbs are the packed public keys of its epochs, one after the other. Signed by
/// the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The version; each change raises it.
    pub version: PlanVersion,
    /// When this plan ends, unless it is renewed ([`crate::PlanRenewal`]). A plan without it never began: it was made
    /// before plans had an end.
    pub valid_until: Option<UnixSeconds>,
    /// The length of an interval, in seconds.
    pub interval_s: u32,
    /// The bands that the intervals of billed meters are in, where there are such meters.
    pub tariff: Option<Tariff>,
    /// Intervals in a window; in the longest one where windows are days.
    pub batch: u16,
    /// The time zone whose local days windows are; none where they are multiples of their length since the Unix epoch.
    pub time_zone: Option<Zone>,
    /// What the coefficients of a report carry.
    pub layout: LayoutName,
    /// Where the bins of the layout `histogram` end, in Wh of an interval, ascending; empty with every other layout.
    pub histogram_edges_wh: Vec<u64>,
    /// The fewest contributors of a released sum, at least 1, from the last window of `min_meters_before` on.
    pub min_meters: u32,
    /// What it is for earlier windows, ascending; empty where it never changed.
    pub min_meters_before: Vec<EarlierMinimum>,
    /// Feeder settings. They ascend by (feeder, first window); sealing sorts.
    pub feeders: Vec<FeederPlan>,
    /// One or two epochs, ascending in number and first window.
    pub epochs: Vec<EpochPlan>,
    /// Analytics services. They ascend by id; sealing sorts.
    pub analytics: Vec<AnalyticsEntry>,
    /// How many shards the feeders are divided into, 1 to [`MAX_SHARDS`]. It never changes.
    pub shards: u16,
    /// The analytics services that share the feeders that no other names. They ascend by (pool, analytics); sealing sorts.
    pub pool: Vec<PoolEntry>,
    /// The agreements of the holders of mask keys, each after the one that it follows; empty where the operator has them alone.
    pub holders: Vec<Agreement>,
}

impl Plan {
    /// The grid of intervals and windows.
    ///
    /// # Errors
    /// Interval or batch out of range, or not those of days of the zone: never for a plan that was decoded.
    pub fn grid(&self) -> Result<Grid, GridError> {
        Grid::planned(self.interval_s, self.batch, self.time_zone)
    }

    /// The epoch `window` belongs to: the last whose first window is not after it.
    pub fn epoch_for(&self, window: WindowStart) -> Option<&EpochPlan> {
        self.epochs
            .iter()
            .rfind(|epoch| epoch.first_window <= window)
    }

    /// The setting of `feeder` for `window`: the newest whose first window is not after it.
    ///
    /// Looks in O(log n), in the order decoding guarantees; a plan built by hand is sorted
    /// first ([`Plan::sort`]).
    pub fn feeder(&self, feeder: &FeederId, window: WindowStart) -> Option<&FeederPlan> {
        let key = (feeder, window);
        let after = self
            .feeders
            .partition_point(|setting| (&setting.feeder, setting.first_window) <= key);
        let setting = &self.feeders[after.checked_sub(1)?];
        (setting.feeder == *feeder).then_some(setting)
    }

    /// The packed public key of the epoch at `index` of [`Plan::epochs`] in the plan's `limbs`.
    pub fn public_key<'l>(&self, index: usize, limbs: &'l [u8]) -> Option<&'l [u8]> {
        let len = |epoch: &EpochPlan| epoch.key_len as usize;
        let start: usize = self.epochs.get(..index)?.iter().map(len).sum();
        let end = start.checked_add(len(self.epochs.get(index)?))?;
        limbs.get(start..end)
    }

    /// SHA-256 of the plan's signed array, with its `limbs`: what a renewal names.
    pub fn digest(&self, limbs: &[u8]) -> Digest {
        Digest::of(&self.to_cbor(Some(&Digest::of(limbs))))
    }

    /// Sorts the lists into the order that the format requires.
    pub fn sort(&mut self) {
        let by = |a: &FeederPlan, b: &FeederPlan| order(a).cmp(&order(b));
        self.feeders.sort_by(by);
        self.epochs.sort_by_key(|epoch| epoch.epoch);
        self.analytics.sort_by(|a, b| a.id.cmp(&b.id));
        self.pool.sort_by(|a, b| a.order().cmp(&b.order()));
    }
}

fn order(setting: &FeederPlan) -> (&FeederId, WindowStart) {
    (&setting.feeder, setting.first_window)
}

impl Plan {
    /// A number where windows are not days, as before they could be.
    fn write_batch(&self, writer: &mut Writer) {
        let Some(zone) = self.time_zone else {
            return writer.uint(self.batch);
        };
        writer.array(2);
        writer.uint(self.batch);
        writer.text(zone.name());
    }

    /// A number where it never changed, as before plans told of that.
    fn write_min_meters(&self, writer: &mut Writer) {
        if self.min_meters_before.is_empty() {
            return writer.uint(self.min_meters);
        }
        writer.array(2);
        writer.uint(self.min_meters);
        writer.list(&self.min_meters_before, |writer, earlier| {
            earlier.write(writer);
        });
    }
}

fn read_batch(reader: &mut Reader<'_>) -> Result<(u16, Option<Zone>), WireError> {
    let (field, zone_field) = ("plan.batch", "plan.time_zone");
    if !reader.is_array() {
        return Ok((reader.u16_in(1, u16::MAX, field)?, None));
    }
    reader.array_of(2, field)?;
    let batch = reader.u16_in(1, u16::MAX, field)?;
    let name = reader.text(zone_field)?;
    // In another spelling it would be another plan of the same meaning.
    match Zone::named(name) {
        Ok(zone) if zone.name() == name => Ok((batch, Some(zone))),
        _ => Err(WireError::TimeZone {
            source: ZoneError {
                name: name.to_owned(),
            },
        }),
    }
}

fn read_min_meters(reader: &mut Reader<'_>) -> Result<(u32, Vec<EarlierMinimum>), WireError> {
    let (field, before) = ("plan.min_meters", "plan.min_meters_before");
    if !reader.is_array() {
        return Ok((reader.u32_from(1, field)?, Vec::new()));
    }
    reader.array_of(2, field)?;
    let min_meters = reader.u32_from(1, field)?;
    let earlier = reader.list(MAX_EARLIER_MINIMUMS, before, EarlierMinimum::read)?;
    match earlier.is_empty() {
        true => Err(WireError::Empty { field: before }),
        false => Ok((min_meters, earlier)),
    }
}

impl Message for Plan {
    const CONTENT_TYPE: &'static str = "cipherwatt/plan";
    const LIMBS: Limbs = Limbs::Required;
    const FIELDS: usize = 13;

    fn write(&self, writer: &mut Writer) {
        let mut sorted = self.clone();
        sorted.sort();
        writer.text(sorted.deployment.as_str());
        writer.uint(sorted.version.0);
        writer.optional_uint(sorted.valid_until.map(|until| until.0));
        sorted.write_interval(writer);
        sorted.write_batch(writer);
        sorted.write_layout(writer);
        sorted.write_min_meters(writer);
        writer.uint(sorted.shards);
        writer.list(&sorted.feeders, |writer, setting| setting.write(writer));
        writer.list(&sorted.epochs, |writer, epoch| epoch.write(writer));
        writer.list(&sorted.analytics, |writer, entry| entry.write(writer));
        writer.list(&sorted.pool, |writer, entry| entry.write(writer));
        writer.list(&sorted.holders, |writer, agreement| {
            writer.bytes(&agreement.to_bytes());
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let deployment = reader.id("plan.deployment")?;
        let version = PlanVersion(reader.u64("plan.version")?);
        let valid_until = reader.optional(|r| r.seconds("plan.valid_until"))?;
        let (interval_s, tariff) = tariff::read(reader)?;
        let (batch, time_zone) = read_batch(reader)?;
        let (layout, histogram_edges_wh) = layout::read(reader)?;
        let (min_meters, min_meters_before) = read_min_meters(reader)?;
        let shards = reader.u16_in(1, MAX_SHARDS, "plan.shards")?;
        Ok(Self {
            deployment,
            version,
            valid_until,
            interval_s,
            tariff,
            batch,
            time_zone,
            layout,
            histogram_edges_wh,
            min_meters,
            min_meters_before,
            feeders: reader.list(MAX_FEEDERS, "plan.feeders", FeederPlan::read)?,
            epochs: reader.list(2, "plan.epochs", EpochPlan::read)?,
            analytics: reader.list(MAX_ANALYTICS, "plan.analytics", AnalyticsEntry::read)?,
            shards,
            pool: reader.list(MAX_ANALYTICS, "plan.pool", PoolEntry::read)?,
            holders: reader.list(MAX_AGREEMENTS, "plan.holders", |reader| {
                Agreement::from_bytes(reader.bytes("plan.holders")?)
            })?,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        self.grid()?;
        self.check_edges()?;
        if let Some(tariff) = &self.tariff {
            tariff.check(self.interval_s)?;
        }
        ascending(&self.min_meters_before, "plan.min_meters_before", |a, b| {
            a.until < b.until
        })?;
        ascending(&self.feeders, "plan.feeders", |a, b| order(a) < order(b))?;
        for setting in &self.feeders {
            setting.check(self)?;
        }
        if self.epochs.is_empty() {
            return Err(WireError::Empty {
                field: "plan.epochs",
            });
        }
        ascending(&self.epochs, "plan.epochs", |a, b| {
            a.epoch < b.epoch && a.first_window < b.first_window
        })?;
        ascending(&self.analytics, "plan.analytics", |a, b| a.id < b.id)?;
        holders::check(&self.holders)?;
        self.check_pool()
    }

    fn limbs_len(&self) -> Option<usize> {
        let lens = self.epochs.iter().map(|epoch| epoch.key_len as usize);
        Some(lens.sum())
    }
}

#[cfg(test)]
mod tests;
