//! What is in the file: tables, and the meaning of their columns.
//!
//! Keys start with feeder and window, so that a window is one range of each table. A change here needs another
//! [`FORMAT`] and a step in `migrate`.

use packed::Profile;
use redb::TableDefinition;
use wire::{Digest, FeederId, Grid, KeyEpoch, MeterId, Part, PlanVersion, UnixMillis, WindowStart};

use crate::store::{ContributorRow, Stage, SumKey, SumRow};

/// Version of the tables below.
pub(super) const FORMAT: &str = "2";

/// What the rows mean, as text by name.
pub(super) const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
/// Numbers by name; so far [`COMMITS`] alone.
pub(super) const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");
/// A sum's row: epoch, plan version, contributors, clamped, missing, earliest and latest sealing in Unix
/// milliseconds, stage.
pub(super) const SUMS: TableDefinition<SumColumns, RowColumns> = TableDefinition::new("sums");
/// The packed ciphertext of each sum that takes reports.
pub(super) const LIMBS: TableDefinition<SumColumns, &[u8]> = TableDefinition::new("limbs");
/// Part and digest by feeder, window and meter: the key holds a meter to one report a window, whatever the part.
pub(super) const CONTRIBUTORS: TableDefinition<MeterColumns, DigestColumns> =
    TableDefinition::new("contributors");
/// Digest and bytes of each release the operator has not settled.
pub(super) const RELEASES: TableDefinition<SumColumns, ReleaseColumns> =
    TableDefinition::new("releases");
/// The feeders' times, in Unix seconds.
pub(super) const TIMES: TableDefinition<&str, u64> = TableDefinition::new("times");

/// Feeder, window in Unix seconds, part.
pub(super) type SumColumns = (&'static str, u64, u16);
pub(super) type RowColumns = (u32, u64, u32, u64, u64, u64, u64, u8);
pub(super) type MeterColumns = (&'static str, u64, &'static str);
pub(super) type DigestColumns = (u16, &'static [u8; 32]);
pub(super) type ReleaseColumns = (&'static [u8; 32], &'static [u8]);

/// Meta: [`FORMAT`].
pub(super) const FORMAT_KEY: &str = "format version";
/// Meta: the deployment id.
pub(super) const DEPLOYMENT_KEY: &str = "deployment";
/// Meta: name and parameters of the profile.
pub(super) const PROFILE_KEY: &str = "profile";
/// Meta: intervals and batch.
pub(super) const GRID_KEY: &str = "grid";
/// Counter: transactions committed.
pub(super) const COMMITS: &str = "commits";

/// A profile as meta has it: a profile of the same name with other parameters is another.
pub(super) fn profile_text(profile: &Profile) -> String {
    let Profile {
        name,
        ring_dimension,
        moduli,
        scale_bits,
        ..
    } = profile;
    format!("{name} (N={ring_dimension}, q={moduli:?}, scale 2^{scale_bits})")
}

/// A grid as meta has it.
pub(super) fn grid_text(grid: Grid) -> String {
    format!("{} × {} s", grid.batch(), grid.interval_s())
}

/// A window's sums as a range of keys.
pub(super) fn parts_of(
    feeder: &FeederId,
    window: WindowStart,
) -> std::ops::RangeInclusive<(&str, u64, u16)> {
    (feeder.as_str(), window.0, 0)..=(feeder.as_str(), window.0, u16::MAX)
}

/// A feeder's sums as a range of keys.
pub(super) fn sums_of(feeder: &FeederId) -> std::ops::RangeInclusive<(&str, u64, u16)> {
    (feeder.as_str(), 0, 0)..=(feeder.as_str(), u64::MAX, u16::MAX)
}

/// A window's contributors as a range of keys.
pub(super) fn meters_of(
    feeder: &FeederId,
    window: WindowStart,
) -> std::ops::Range<(&str, u64, &str)> {
    (feeder.as_str(), window.0, "")..(feeder.as_str(), window.0 + 1, "")
}

pub(super) fn key_columns(key: &SumKey) -> (&str, u64, u16) {
    (key.feeder.as_str(), key.window.0, key.part.0)
}

pub(super) fn row_columns(row: &SumRow) -> RowColumns {
    let stage = match row.stage {
        Stage::Open => 0,
        Stage::Held => 1,
        Stage::Released => 2,
        Stage::Settled => 3,
    };
    (
        row.epoch.0,
        row.plan_version.0,
        row.contributors,
        row.clamped,
        row.missing,
        row.sealed_at.0.0,
        row.sealed_at.1.0,
        stage,
    )
}

/// Reads rows back; it keeps the last feeder's id, since rows come sorted by feeder.
#[derive(Default)]
pub(super) struct Reader {
    feeder: Option<FeederId>,
}

impl Reader {
    pub(super) fn feeder(&mut self, text: &str) -> Result<FeederId, String> {
        if let Some(feeder) = self.feeder.as_ref().filter(|last| last.as_str() == text) {
            return Ok(feeder.clone());
        }
        let feeder = FeederId::try_from(text).map_err(|error| error.to_string())?;
        self.feeder = Some(feeder.clone());
        Ok(feeder)
    }

    pub(super) fn key(
        &mut self,
        (feeder, window, part): (&str, u64, u16),
    ) -> Result<SumKey, String> {
        Ok(SumKey {
            feeder: self.feeder(feeder)?,
            window: WindowStart(window),
            part: Part(part),
        })
    }

    pub(super) fn row(
        &mut self,
        key: (&str, u64, u16),
        (epoch, plan_version, contributors, clamped, missing, oldest, newest, stage): RowColumns,
    ) -> Result<SumRow, String> {
        let stage = match stage {
            0 => Stage::Open,
            1 => Stage::Held,
            2 => Stage::Released,
            3 => Stage::Settled,
            other => return Err(format!("a sum is in stage {other}, which there is not")),
        };
        Ok(SumRow {
            key: self.key(key)?,
            epoch: KeyEpoch(epoch),
            plan_version: PlanVersion(plan_version),
            contributors,
            clamped,
            missing,
            sealed_at: (UnixMillis(oldest), UnixMillis(newest)),
            stage,
        })
    }

    pub(super) fn contributor(
        &mut self,
        (feeder, window, meter): (&str, u64, &str),
        (part, digest): (u16, &[u8; 32]),
    ) -> Result<ContributorRow, String> {
        Ok(ContributorRow {
            key: self.key((feeder, window, part))?,
            meter: MeterId::try_from(meter).map_err(|error| error.to_string())?,
            digest: Digest(*digest),
        })
    }
}
