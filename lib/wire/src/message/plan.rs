//! The plan: what all processes must agree on about time, keys and scale, signed by the operator.

use super::{Limbs, Message};
use crate::cbor::{Reader, Writer, ascending};
use crate::error::WireError;
use crate::grid::{Grid, GridError, MAX_INTERVAL_S, WindowStart};
use crate::ids::{AnalyticsId, DeploymentId, FeederId, LayoutName, ProfileName};
use crate::keys::VerifyingKey;
use crate::units::{KeyEpoch, PlanVersion};

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
    /// What a slot of 1.0 means, in Wh: a power of two no smaller than the energy any meter of
    /// the feeder can have in an interval.
    pub reference_wh: u64,
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
    /// SHA-256 over the profile's parameters and the public key's limbs.
    pub fingerprint: [u8; 32],
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
    /// The slot layout.
    pub layout: LayoutName,
    /// The parameter profile.
    pub profile: ProfileName,
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

impl Message for Plan {
    const CONTENT_TYPE: &'static str = "cipherwatt/plan";
    const LIMBS: Limbs = Limbs::Required;
    const FIELDS: usize = 10;

    fn write(&self, writer: &mut Writer) {
        let mut sorted = self.clone();
        sorted.sort();
        writer.text(sorted.deployment.as_str());
        writer.uint(sorted.version.0);
        writer.uint(sorted.interval_s);
        writer.uint(sorted.batch);
        writer.text(sorted.layout.as_str());
        writer.text(sorted.profile.as_str());
        writer.uint(sorted.min_meters);
        writer.list(&sorted.feeders, |writer, setting| {
            writer.array(4);
            writer.text(setting.feeder.as_str());
            writer.uint(setting.reference_wh);
            writer.uint(setting.since.0);
            writer.uint(setting.first_window.0);
        });
        writer.list(&sorted.epochs, |writer, epoch| {
            writer.array(4);
            writer.uint(epoch.epoch.0);
            writer.bytes(&epoch.fingerprint);
            writer.uint(epoch.first_window.0);
            writer.uint(epoch.key_len);
        });
        writer.list(&sorted.analytics, |writer, entry| {
            writer.array(3);
            writer.text(entry.id.as_str());
            writer.bytes(entry.key.as_bytes());
            writer.list(&entry.feeders, |writer, feeder| {
                writer.text(feeder.as_str())
            });
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            deployment: reader.id("plan.deployment")?,
            version: PlanVersion(reader.u64("plan.version")?),
            interval_s: reader.u32_in(1, MAX_INTERVAL_S, "plan.interval_s")?,
            batch: reader.u16_in(1, u16::MAX, "plan.batch")?,
            layout: reader.id("plan.layout")?,
            profile: reader.id("plan.profile")?,
            min_meters: reader.u32_from(1, "plan.min_meters")?,
            feeders: reader.list(MAX_FEEDERS, "plan.feeders", |reader| {
                reader.array_of(4, "plan.feeder_setting")?;
                Ok(FeederPlan {
                    feeder: reader.id("plan.feeder")?,
                    reference_wh: reader.power_of_two("plan.reference_wh")?,
                    since: PlanVersion(reader.u64("plan.since")?),
                    first_window: reader.window("plan.feeder_first_window")?,
                })
            })?,
            epochs: reader.list(2, "plan.epochs", |reader| {
                reader.array_of(4, "plan.epoch_setting")?;
                Ok(EpochPlan {
                    epoch: KeyEpoch(reader.u32("plan.epoch")?),
                    fingerprint: reader.bytes_of("plan.fingerprint")?,
                    first_window: reader.window("plan.epoch_first_window")?,
                    key_len: reader.u32_in(1, MAX_KEY_LEN, "plan.key_len")?,
                })
            })?,
            analytics: reader.list(MAX_ANALYTICS, "plan.analytics", |reader| {
                reader.array_of(3, "plan.analytics_entry")?;
                Ok(AnalyticsEntry {
                    id: reader.id("plan.analytics_id")?,
                    key: VerifyingKey::from_bytes(reader.bytes_of("plan.analytics_key")?),
                    feeders: reader.list(MAX_FEEDERS, "plan.analytics_feeders", |reader| {
                        reader.id("plan.analytics_feeder")
                    })?,
                })
            })?,
        })
    }

    fn check(&self) -> Result<(), WireError> {
        ascending(&self.feeders, "plan.feeders", |a, b| order(a) < order(b))?;
        for setting in &self.feeders {
            if setting.since > self.version {
                return Err(WireError::OutOfRange {
                    field: "plan.since",
                    value: setting.since.0.into(),
                    min: 0,
                    max: self.version.0.into(),
                });
            }
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
            reference_wh: 1024,
            since: PlanVersion(since),
            first_window: WindowStart(first_window),
        }
    }

    fn epoch(epoch: u32, first_window: u64, key_len: u32) -> EpochPlan {
        EpochPlan {
            epoch: KeyEpoch(epoch),
            fingerprint: [0; 32],
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
            profile: id("additive"),
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
