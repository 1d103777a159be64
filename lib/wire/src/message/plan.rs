//! The plan: what all processes must agree on about time, keys and scale, signed by the operator.

use super::{FORMAT, Limbs, Message};
use crate::cbor::{Reader, Writer, ascending};
use crate::contributors::MAX_CONTRIBUTORS;
use crate::error::WireError;
use crate::grid::{Grid, GridError, MAX_INTERVAL_S, WindowStart};
use crate::ids::{AnalyticsId, DeploymentId, FeederId, LayoutName, ProfileName};
use crate::keys::{MaskKey, VerifyingKey};
use crate::units::{Digest, KeyEpoch, PlanVersion};

/// The most feeder settings of a plan, and the most feeders anywhere a list of them is read.
pub const MAX_FEEDERS: usize = 16_384;

/// The most analytics services of a plan.
pub const MAX_ANALYTICS: usize = 256;

/// The longest public key of an epoch, in bytes.
pub const MAX_KEY_LEN: u32 = 1 << 22;

/// One setting of a feeder: it holds from `first_window` until the feeder's next setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeederPlan {
    /// The feeder.
    pub feeder: FeederId,
    /// The parameter profile of its ciphertexts.
    pub profile: ProfileName,
    /// Full scale of a reading, in Wh: a power of two no smaller than the energy any meter of the feeder can have in an
    /// interval.
    pub reference_wh: u64,
    /// What every reading is a whole multiple of, in Wh: a power of two.
    pub quantum_wh: u64,
    /// What every squared reading is a whole multiple of, in Wh²: a power of two. Only with the layout `moments`.
    pub square_unit_wh2: Option<u64>,
    /// The most meters that a sum may have, 1 to [`MAX_CONTRIBUTORS`]: the quantum was chosen for so many.
    pub max_meters: u32,
    /// The plan version that brought this setting; reports made under it carry this number.
    pub since: PlanVersion,
    /// The first window it holds for.
    pub first_window: WindowStart,
}

/// A key epoch: its key holds from `first_window` until the next epoch's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochPlan {
    /// The number of the epoch.
    pub epoch: KeyEpoch,
    /// SHA-256 over the ring's parameters and the packed public key.
    pub fingerprint: [u8; 32],
    /// The key that meters agree their masks with.
    pub mask_key: MaskKey,
    /// The first window of the epoch.
    pub first_window: WindowStart,
    /// Length of the packed public key in the plan's limbs, in bytes.
    pub key_len: u32,
}

/// An enrolled analytics service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalyticsEntry {
    /// The service.
    pub id: AnalyticsId,
    /// Its verifying key.
    pub key: VerifyingKey,
    /// The feeders it adds for; empty means all that no other entry names.
    pub feeders: Vec<FeederId>,
}

/// The plan. Its limbs are the packed public keys of its epochs, one after the other. Signed by
/// the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The version; each change raises it.
    pub version: PlanVersion,
    /// The length of an interval, in seconds.
    pub interval_s: u32,
    /// Intervals in a window.
    pub batch: u16,
    /// What the coefficients of a report carry.
    pub layout: LayoutName,
    /// The fewest contributors of a released sum, at least 1.
    pub min_meters: u32,
    /// Feeder settings. They ascend by (feeder, first window); sealing sorts.
    pub feeders: Vec<FeederPlan>,
    /// One or two epochs, ascending in number and first window.
    pub epochs: Vec<EpochPlan>,
    /// Analytics services. They ascend by id; sealing sorts.
    pub analytics: Vec<AnalyticsEntry>,
}

impl Plan {
    /// The grid of intervals and windows.
    ///
    /// # Errors
    /// Interval or batch out of range: never for a plan that was decoded.
    pub fn grid(&self) -> Result<Grid, GridError> {
        Grid::new(self.interval_s, self.batch)
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

    /// The one analytics service that adds for `feeder`: the first entry that names it, else the
    /// first that names none.
    pub fn analytics_for(&self, feeder: &FeederId) -> Option<&AnalyticsEntry> {
        let names = |entry: &&AnalyticsEntry| entry.feeders.contains(feeder);
        let entries = &self.analytics;
        (entries.iter().find(names)).or_else(|| entries.iter().find(|e| e.feeders.is_empty()))
    }

    /// The packed public key of the epoch at `index` of [`Plan::epochs`] in the plan's `limbs`.
    pub fn public_key<'l>(&self, index: usize, limbs: &'l [u8]) -> Option<&'l [u8]> {
        let len = |epoch: &EpochPlan| epoch.key_len as usize;
        let start: usize = self.epochs.get(..index)?.iter().map(len).sum();
        let end = start.checked_add(len(self.epochs.get(index)?))?;
        limbs.get(start..end)
    }

    /// SHA-256 over everything that decides what a report of this setting and epoch means. Masks are bound to it, so a
    /// report counts under no other setting.
    pub fn setting_digest(&self, setting: &FeederPlan, epoch: &EpochPlan) -> Digest {
        let mut writer = Writer::with_capacity(512);
        writer.array(8);
        writer.text("cipherwatt/setting");
        writer.uint(FORMAT);
        writer.text(self.deployment.as_str());
        writer.uint(self.interval_s);
        writer.uint(self.batch);
        writer.text(self.layout.as_str());
        setting.write(&mut writer);
        writer.bytes(&epoch.fingerprint);
        Digest::of(&writer.into_bytes())
    }

    /// Sorts the lists into the order that the format requires.
    pub fn sort(&mut self) {
        let by = |a: &FeederPlan, b: &FeederPlan| order(a).cmp(&order(b));
        self.feeders.sort_by(by);
        self.epochs.sort_by_key(|epoch| epoch.epoch);
        self.analytics.sort_by(|a, b| a.id.cmp(&b.id));
    }
}

fn order(setting: &FeederPlan) -> (&FeederId, WindowStart) {
    (&setting.feeder, setting.first_window)
}

impl FeederPlan {
    fn write(&self, writer: &mut Writer) {
        writer.array(10);
        writer.text(self.feeder.as_str());
        writer.null(); // area
        writer.text(self.profile.as_str());
        writer.uint(self.reference_wh);
        writer.uint(self.quantum_wh);
        writer.optional_uint(self.square_unit_wh2);
        writer.uint(self.max_meters);
        writer.uint(self.since.0);
        writer.uint(self.first_window.0);
        writer.array(0); // optional coefficients
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array_of(10, "plan.feeder_setting")?;
        let feeder = reader.id("plan.feeder")?;
        reader.reserved_null("plan.area")?;
        let setting = Self {
            feeder,
            profile: reader.id("plan.profile")?,
            reference_wh: reader.power_of_two("plan.reference_wh")?,
            quantum_wh: reader.power_of_two("plan.quantum_wh")?,
            square_unit_wh2: reader.optional(|r| r.power_of_two("plan.square_unit_wh2"))?,
            max_meters: reader.u32_in(1, MAX_CONTRIBUTORS, "plan.max_meters")?,
            since: PlanVersion(reader.u64("plan.since")?),
            first_window: reader.window("plan.feeder_first_window")?,
        };
        reader.reserved_list("plan.extra")?;
        Ok(setting)
    }

    /// Checks it against the plan it is in.
    fn check(&self, plan: &Plan) -> Result<(), WireError> {
        if self.since > plan.version {
            return Err(WireError::OutOfRange {
                field: "plan.since",
                value: self.since.0.into(),
                min: 0,
                max: plan.version.0.into(),
            });
        }
        if self.square_unit_wh2.is_some() != (plan.layout.as_str() == LAYOUT_WITH_SQUARES) {
            return Err(WireError::SquareUnit {
                feeder: self.feeder.clone(),
                layout: plan.layout.clone(),
            });
        }
        Ok(())
    }
}

/// The one layout whose reports carry squared readings.
const LAYOUT_WITH_SQUARES: &str = "moments";

impl EpochPlan {
    fn write(&self, writer: &mut Writer) {
        writer.array(5);
        writer.uint(self.epoch.0);
        writer.bytes(&self.fingerprint);
        writer.bytes(self.mask_key.as_bytes());
        writer.uint(self.first_window.0);
        writer.uint(self.key_len);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array_of(5, "plan.epoch_setting")?;
        Ok(Self {
            epoch: KeyEpoch(reader.u32("plan.epoch")?),
            fingerprint: reader.bytes_of("plan.fingerprint")?,
            mask_key: reader.mask_key("plan.mask_key")?,
            first_window: reader.window("plan.epoch_first_window")?,
            key_len: reader.u32_in(1, MAX_KEY_LEN, "plan.key_len")?,
        })
    }
}

impl AnalyticsEntry {
    fn write(&self, writer: &mut Writer) {
        writer.array(3);
        writer.text(self.id.as_str());
        writer.bytes(self.key.as_bytes());
        writer.list(&self.feeders, |writer, feeder| writer.text(feeder.as_str()));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array_of(3, "plan.analytics_entry")?;
        Ok(Self {
            id: reader.id("plan.analytics_id")?,
            key: VerifyingKey::from_bytes(reader.bytes_of("plan.analytics_key")?),
            feeders: reader.list(MAX_FEEDERS, "plan.analytics_feeders", |reader| {
                reader.id("plan.analytics_feeder")
            })?,
        })
    }
}

/// How many shards the topics have. More are for a later version.
const SHARDS: u64 = 1;

impl Message for Plan {
    const CONTENT_TYPE: &'static str = "cipherwatt/plan";
    const LIMBS: Limbs = Limbs::Required;
    const FIELDS: usize = 13;

    fn write(&self, writer: &mut Writer) {
        let mut sorted = self.clone();
        sorted.sort();
        writer.text(sorted.deployment.as_str());
        writer.uint(sorted.version.0);
        writer.null(); // valid_until
        writer.uint(sorted.interval_s);
        writer.uint(sorted.batch);
        writer.text(sorted.layout.as_str());
        writer.uint(sorted.min_meters);
        writer.uint(SHARDS);
        writer.list(&sorted.feeders, |writer, setting| setting.write(writer));
        writer.list(&sorted.epochs, |writer, epoch| epoch.write(writer));
        writer.list(&sorted.analytics, |writer, entry| entry.write(writer));
        writer.array(0); // pool
        writer.array(0); // holders
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let deployment = reader.id("plan.deployment")?;
        let version = PlanVersion(reader.u64("plan.version")?);
        reader.reserved_null("plan.valid_until")?;
        let interval_s = reader.u32_in(1, MAX_INTERVAL_S, "plan.interval_s")?;
        let batch = reader.u16_in(1, u16::MAX, "plan.batch")?;
        let layout = reader.id("plan.layout")?;
        let min_meters = reader.u32_from(1, "plan.min_meters")?;
        reader.reserved_uint(SHARDS, "plan.shards")?;
        let plan = Self {
            deployment,
            version,
            interval_s,
            batch,
            layout,
            min_meters,
            feeders: reader.list(MAX_FEEDERS, "plan.feeders", FeederPlan::read)?,
            epochs: reader.list(2, "plan.epochs", EpochPlan::read)?,
            analytics: reader.list(MAX_ANALYTICS, "plan.analytics", AnalyticsEntry::read)?,
        };
        reader.reserved_list("plan.pool")?;
        reader.reserved_list("plan.holders")?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), WireError> {
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
        ascending(&self.analytics, "plan.analytics", |a, b| a.id < b.id)
    }

    fn limbs_len(&self) -> Option<usize> {
        let lens = self.epochs.iter().map(|epoch| epoch.key_len as usize);
        Some(lens.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::IdError;

    fn id<T: for<'t> TryFrom<&'t str, Error = IdError>>(text: &str) -> T {
        T::try_from(text).unwrap()
    }

    fn setting(feeder: &str, since: u64, first_window: u64) -> FeederPlan {
        FeederPlan {
            feeder: id(feeder),
            profile: id("additive"),
            reference_wh: 1024,
            quantum_wh: 1,
            square_unit_wh2: Some(16),
            max_meters: 255,
            since: PlanVersion(since),
            first_window: WindowStart(first_window),
        }
    }

    fn epoch(epoch: u32, first_window: u64, key_len: u32) -> EpochPlan {
        EpochPlan {
            epoch: KeyEpoch(epoch),
            fingerprint: [0; 32],
            mask_key: MaskKey([9; 32]),
            first_window: WindowStart(first_window),
            key_len,
        }
    }

    fn entry(name: &str, feeders: &[&str]) -> AnalyticsEntry {
        AnalyticsEntry {
            id: id(name),
            key: VerifyingKey::from_bytes([0; 32]),
            feeders: feeders.iter().map(|f| id(f)).collect(),
        }
    }

    fn plan() -> Plan {
        let mut plan = Plan {
            deployment: id("d"),
            version: PlanVersion(3),
            interval_s: 900,
            batch: 4,
            layout: id("moments"),
            min_meters: 15,
            feeders: vec![
                setting("b", 2, 7200),
                setting("b", 1, 3600),
                setting("a", 1, 3600),
            ],
            epochs: vec![epoch(5, 3600, 3), epoch(6, 7200, 2)],
            analytics: vec![entry("rest", &[]), entry("named", &["b"])],
        };
        plan.sort();
        plan
    }

    #[test]
    fn a_window_has_the_newest_setting_and_epoch_not_after_it() {
        let plan = plan();
        let since = |feeder: &str, window| {
            let setting = plan.feeder(&id(feeder), WindowStart(window));
            setting.map(|setting| setting.since.0)
        };
        assert_eq!(since("b", 3599), None);
        assert_eq!(since("b", 3600), Some(1));
        assert_eq!(since("b", 7199), Some(1));
        assert_eq!(since("b", 7200), Some(2));
        assert_eq!(since("a", 1 << 40), Some(1));
        assert_eq!(since("c", 7200), None);
        assert_eq!(since("0", 7200), None);

        let epoch = |window| {
            plan.epoch_for(WindowStart(window))
                .map(|epoch| epoch.epoch.0)
        };
        assert_eq!(epoch(3599), None);
        assert_eq!(epoch(3600), Some(5));
        assert_eq!(epoch(7200), Some(6));
    }

    #[test]
    fn a_feeder_belongs_to_the_service_that_names_it_or_to_the_rest() {
        let mut plan = plan();
        let owner = |plan: &Plan, feeder: &str| {
            plan.analytics_for(&id(feeder))
                .map(|entry| entry.id.to_string())
        };
        assert_eq!(owner(&plan, "b").as_deref(), Some("named"));
        assert_eq!(owner(&plan, "a").as_deref(), Some("rest"));
        let agree = |plan: &Plan| {
            let owners = crate::Owners::of(&plan.analytics);
            for feeder in ["a", "b", "c"] {
                let found = owners.owner(&id(feeder)).map(ToString::to_string);
                assert_eq!(found, owner(plan, feeder), "{feeder}");
            }
        };
        agree(&plan);
        plan.analytics.retain(|entry| !entry.feeders.is_empty());
        assert_eq!(owner(&plan, "a"), None);
        agree(&plan);
    }

    #[test]
    fn keys_are_cut_from_the_limbs_in_order() {
        let plan = plan();
        assert_eq!(plan.public_key(0, b"abcde"), Some(&b"abc"[..]));
        assert_eq!(plan.public_key(1, b"abcde"), Some(&b"de"[..]));
        assert_eq!(plan.public_key(1, b"abcd"), None);
        assert_eq!(plan.public_key(2, b"abcde"), None);
    }
}
