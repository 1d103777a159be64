//! What is in the file: tables, and the meaning of their columns.
//!
//! Keys start with feeder and window, so that a window is one range of each table. A change here needs another
//! [`FORMAT`] and a step in `migrate`.

use packed::Profile;
use redb::{TableDefinition, WriteTransaction};
use wire::{Digest, FeederId, KeyEpoch, MeterId, Part, PlanVersion, Salt, UnixMillis, WindowStart};

use super::fault::corrupted;
use super::row::{Row, columns};
use crate::store::{BillKey, ContributorRow, Replaces, Stage, SumKey, SumRow};

/// Version of the tables below.
pub(super) const FORMAT: &str = "4";

/// In its place while the file is not to be used, which its mark says: programs that know no marks refuse it.
pub(super) const MARKED: &str = "4, with its sums in another store";

/// What the rows mean, as text by name.
pub(super) const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
/// Numbers by name; so far [`COMMITS`] alone.
pub(super) const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");
/// A sum's row: epoch, plan version, name of the profile, contributors, earliest and latest sealing in Unix milliseconds,
/// stage, and what it replaces: part, least and greatest rank, meters.
pub(super) const SUMS: TableDefinition<SumColumns, Row<RowColumns>> = TableDefinition::new("sums");
/// The record of each sum that takes reports: digest and packed ciphertext.
pub(super) const LIMBS: TableDefinition<SumColumns, &[u8]> = TableDefinition::new("limbs");
/// Part, number, salt and digest by feeder, window and meter: the key holds a meter to one report a window, whatever the part. Of
/// sums that keep members only it has none: those are in the next three tables.
pub(super) const CONTRIBUTORS: TableDefinition<MeterColumns, Row<ContributorColumns>> =
    TableDefinition::new("contributors");
/// Where the members of a sum are in its feeder's stream: start and length.
pub(super) const MEMBERS: TableDefinition<SumColumns, Row<MembersColumns>> =
    TableDefinition::new("members");
/// The feeders' streams, a check and up to 4,000 bytes by feeder and piece.
pub(super) const PIECES: TableDefinition<PieceColumns, &[u8]> = TableDefinition::new("pieces");
/// The seat of a meter on its feeder.
pub(super) const SEATS: TableDefinition<SeatColumns, Row<u32>> = TableDefinition::new("seats");
/// Digest of the sum, digest of the message and the message of each release that the operator has not answered for good.
pub(super) const RELEASES: TableDefinition<SumColumns, ReleaseColumns> =
    TableDefinition::new("releases");
/// The feeders' times, in Unix seconds.
pub(super) const TIMES: TableDefinition<&str, Row<u64>> = TableDefinition::new("times");

/// The record of each group of a bill. Files of before there were bills do not have the table, and versions of before leave it alone:
/// what these add is in no bill.
pub(super) const BILLS: TableDefinition<BillColumns, &[u8]> = TableDefinition::new("bills");

/// Feeder, billing period in Unix seconds, meter, epoch, plan version, name of the bands.
pub(super) type BillColumns = (&'static str, u64, &'static str, u32, u64, u64);
/// Feeder, window in Unix seconds, part.
pub(super) type SumColumns = (&'static str, u64, u16);
pub(super) type RowColumns = (
    u32,
    u64,
    &'static str,
    u32,
    u64,
    u64,
    u8,
    Option<(u16, u64, u64, u32)>,
);
/// A row to be written.
pub(super) type ContributorOf<'a> = <ContributorColumns as redb::Value>::SelfType<'a>;
/// A row to be written.
pub(super) type RowOf<'a> = <RowColumns as redb::Value>::SelfType<'a>;
pub(super) type MeterColumns = (&'static str, u64, &'static str);
pub(super) type ContributorColumns = (u16, u32, &'static [u8; 8], &'static [u8; 32]);
pub(super) type MembersColumns = (u64, u32);
pub(super) type PieceColumns = (&'static str, u64);
/// Feeder, meter.
pub(super) type SeatColumns = (&'static str, &'static str);
pub(super) type ReleaseColumns = (&'static [u8; 32], &'static [u8; 32], &'static [u8]);

/// Meta: [`FORMAT`].
pub(super) const FORMAT_KEY: &str = "format version";
/// Meta: the mark of a migration.
pub(super) const MARK_KEY: &str = "mark";
/// Meta: the deployment id.
pub(super) const DEPLOYMENT_KEY: &str = "deployment";
/// Meta: what coefficients carry.
pub(super) const LAYOUT_KEY: &str = "layout";
/// Meta: intervals and batch.
pub(super) const GRID_KEY: &str = "grid";
/// Counter: transactions committed.
pub(super) const COMMITS: &str = "commits";

/// Makes the tables of members.
pub(super) fn open_members(changes: &WriteTransaction) -> Result<(), redb::Error> {
    changes.open_table(MEMBERS)?;
    changes.open_table(PIECES)?;
    changes.open_table(SEATS)?;
    Ok(())
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

/// A feeder's stream before piece `end` as a range of keys.
pub(super) fn pieces_of(feeder: &str, end: u64) -> std::ops::Range<(&str, u64)> {
    (feeder, 0)..(feeder, end)
}

/// A feeder's seats as a range of keys.
pub(super) fn seats_of(feeder: &str) -> std::ops::RangeInclusive<(&str, &str)> {
    // No id has a character beyond ASCII.
    (feeder, "")..=(feeder, "\u{10ffff}")
}

pub(super) fn bill_columns(key: &BillKey) -> (&str, u64, &str, u32, u64, u64) {
    (
        key.feeder.as_str(),
        key.period.0,
        key.meter.as_str(),
        key.epoch.0,
        key.plan_version.0,
        key.bands,
    )
}

pub(super) fn key_columns(key: &SumKey) -> (&str, u64, u16) {
    (key.feeder.as_str(), key.window.0, key.part.0)
}

pub(super) fn row_columns(row: &SumRow) -> RowOf<'_> {
    let replaces = row.replaces.map(|replaces| {
        let (first, last) = replaces.ranks;
        (replaces.part.0, first, last, replaces.meters)
    });
    (
        row.epoch.0,
        row.plan_version.0,
        row.profile.name,
        row.contributors,
        row.sealed_at.0.0,
        row.sealed_at.1.0,
        row.stage.number(),
        replaces,
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
        columns: RowOf<'_>,
    ) -> Result<SumRow, String> {
        let (epoch, plan_version, profile, contributors, oldest, newest, stage, replaces) = columns;
        Ok(SumRow {
            key: self.key(key)?,
            epoch: KeyEpoch(epoch),
            plan_version: PlanVersion(plan_version),
            profile: Profile::by_name(profile).map_err(|error| error.to_string())?,
            contributors,
            sealed_at: (UnixMillis(oldest), UnixMillis(newest)),
            stage: Stage::numbered(stage)?,
            replaces: replaces.map(|(part, first, last, meters)| Replaces {
                part: Part(part),
                ranks: (first, last),
                meters,
            }),
        })
    }

    /// The row of a sum in a table of the present format.
    pub(super) fn checked_row(
        &mut self,
        key: (&str, u64, u16),
        row: (RowOf<'_>, u32),
    ) -> Result<SumRow, redb::Error> {
        let columns = columns::<SumColumns, RowColumns>(&key, row)?;
        self.row(key, columns).map_err(corrupted)
    }

    pub(super) fn contributor(
        &mut self,
        key: (&str, u64, &str),
        row: (ContributorOf<'_>, u32),
    ) -> Result<ContributorRow, redb::Error> {
        let columns = columns::<MeterColumns, ContributorColumns>(&key, row)?;
        self.contributed(key, columns).map_err(corrupted)
    }

    fn contributed(
        &mut self,
        (feeder, window, meter): (&str, u64, &str),
        (part, number, salt, digest): ContributorOf<'_>,
    ) -> Result<ContributorRow, String> {
        Ok(ContributorRow {
            key: self.key((feeder, window, part))?,
            meter: MeterId::try_from(meter).map_err(|error| error.to_string())?,
            number,
            salt: Salt(*salt),
            digest: Digest(*digest),
        })
    }
}
