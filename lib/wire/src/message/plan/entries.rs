//! What the lists of a plan consist of: earlier minimum groups, settings of feeders, key epochs, analytics services.

use super::areas::Areas;
use super::{MAX_FEEDERS, Plan};
use crate::cbor::{Reader, Writer};
use crate::contributors::MAX_CONTRIBUTORS;
use crate::error::WireError;
use crate::grid::WindowStart;
use crate::ids::{AnalyticsId, FeederId, ProfileName};
use crate::keys::{MaskKey, VerifyingKey};
use crate::units::{KeyEpoch, PlanVersion};

/// The longest public key of an epoch, in bytes.
pub const MAX_KEY_LEN: u32 = 1 << 22;

const RATING: &str = "plan.rating_wh";

/// The one layout whose reports carry squared readings.
const LAYOUT_WITH_SQUARES: &str = "moments";

/// The minimum group of windows before one, back to that of the entry before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlierMinimum {
    /// The first window that it does not hold for.
    pub until: WindowStart,
    /// The fewest contributors of a released sum, at least 1.
    pub min_meters: u32,
}

impl EarlierMinimum {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.array(2);
        writer.uint(self.until.0);
        writer.uint(self.min_meters);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array_of(2, "plan.min_meters_before")?;
        Ok(Self {
            until: reader.window("plan.min_meters_until")?,
            min_meters: reader.u32_from(1, "plan.min_meters")?,
        })
    }
}

/// One setting of a feeder: it holds from `first_window` until the feeder's next setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeederPlan {
    /// The feeder.
    pub feeder: FeederId,
    /// The areas that it is in, if it is in any.
    pub areas: Option<Areas>,
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
    /// What a sum is compared with in place of being opened: energy of an interval, in Wh, at least 1. None: sums are opened.
    pub rating_wh: Option<u64>,
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

impl FeederPlan {
    /// Whether reports under the two settings can be added up, as far as their scale goes.
    pub fn has_scale_of(&self, other: &Self) -> bool {
        let scale = |setting: &Self| {
            let units = (setting.quantum_wh, setting.square_unit_wh2);
            (setting.reference_wh, units, setting.max_meters)
        };
        self.profile == other.profile && scale(self) == scale(other)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.array(10);
        writer.text(self.feeder.as_str());
        Areas::write(self.areas.as_ref(), writer);
        writer.text(self.profile.as_str());
        writer.uint(self.reference_wh);
        writer.uint(self.quantum_wh);
        writer.optional_uint(self.square_unit_wh2);
        writer.uint(self.max_meters);
        writer.uint(self.since.0);
        writer.uint(self.first_window.0);
        writer.list(self.rating_wh.as_slice(), |writer, wh| writer.uint(*wh));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array_of(10, "plan.feeder_setting")?;
        let feeder = reader.id("plan.feeder")?;
        let setting = Self {
            feeder,
            areas: Areas::read(reader)?,
            profile: reader.id("plan.profile")?,
            reference_wh: reader.power_of_two("plan.reference_wh")?,
            quantum_wh: reader.power_of_two("plan.quantum_wh")?,
            square_unit_wh2: reader.optional(|r| r.power_of_two("plan.square_unit_wh2"))?,
            max_meters: reader.u32_in(1, MAX_CONTRIBUTORS, "plan.max_meters")?,
            since: PlanVersion(reader.u64("plan.since")?),
            first_window: reader.window("plan.feeder_first_window")?,
            rating_wh: reader
                .list(1, RATING, |reader| reader.u64_in(1, u64::MAX, RATING))?
                .pop(),
        };
        Ok(setting)
    }

    /// Checks it against the plan it is in.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), WireError> {
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
        match &self.areas {
            Some(areas) => areas.check(),
            None => Ok(()),
        }
    }
}

impl EpochPlan {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.array(5);
        writer.uint(self.epoch.0);
        writer.bytes(&self.fingerprint);
        writer.bytes(self.mask_key.as_bytes());
        writer.uint(self.first_window.0);
        writer.uint(self.key_len);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
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
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.array(3);
        writer.text(self.id.as_str());
        writer.bytes(self.key.as_bytes());
        writer.list(&self.feeders, |writer, feeder| writer.text(feeder.as_str()));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
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
