//! Reading rows back.

use bytes::Bytes;
use packed::Profile;
use tokio_postgres::Row;
use wire::{Digest, FeederId, KeyEpoch, MeterId, Part, PlanVersion, UnixMillis, WindowStart};

use super::columns::bands_of;
use crate::store::{BillKey, ReleaseRow, Replaces, Stage, SumKey, SumRow, fit};

/// The columns of [`sum`], of `feeders f` and `sums s`.
macro_rules! sum_columns {
    () => {
        "f.id, s.start, s.part, s.epoch, s.plan_version, s.profile, s.contributors, s.sealed_first, s.sealed_last, s.stage, \
         s.replaces, s.rank_first, s.rank_last, s.replaced, s.record IS NOT NULL"
    };
}

pub(super) const SUMS: &str = concat!(
    "SELECT ",
    sum_columns!(),
    " FROM feeders f JOIN sums s ON s.feeder = f.number WHERE $1::smallint[] IS NULL OR f.shard = ANY($1) \
      ORDER BY f.id, s.start, s.part"
);
pub(super) const FEEDER: &str = concat!(
    "SELECT ",
    sum_columns!(),
    " FROM feeders f JOIN sums s ON s.feeder = f.number WHERE f.id = $1 ORDER BY s.start, s.part"
);
pub(super) const SUM: &str = concat!(
    "SELECT ",
    sum_columns!(),
    " FROM feeders f JOIN sums s ON s.feeder = f.number WHERE f.id = $1 AND s.start = $2 AND s.part = $3"
);
pub(super) const TIME: &str = "SELECT time FROM feeders WHERE id = $1";
pub(super) const TIMES: &str = "SELECT id, time FROM feeders WHERE time IS NOT NULL AND ($1::smallint[] IS NULL OR shard = ANY($1)) \
                                ORDER BY id";
pub(super) const UNSETTLED: &str = "SELECT f.id, r.start, r.part, r.digest FROM feeders f JOIN releases r ON r.feeder = f.number \
                                    WHERE $1::smallint[] IS NULL OR f.shard = ANY($1) ORDER BY f.id, r.start, r.part";
pub(super) const PERIODS: &str = "SELECT DISTINCT f.id, b.period FROM feeders f JOIN bills b ON b.feeder = f.number \
                                  WHERE $1::smallint[] IS NULL OR f.shard = ANY($1)";
pub(super) const RECORD: &str = "SELECT s.record FROM feeders f JOIN sums s ON s.feeder = f.number \
                                 WHERE f.id = $1 AND s.start = $2 AND s.part = $3";
pub(super) const RELEASE: &str = "SELECT r.digest, r.bytes_digest, r.bytes FROM feeders f JOIN releases r ON r.feeder = f.number \
                                  WHERE f.id = $1 AND r.start = $2 AND r.part = $3";
pub(super) const CONTRIBUTORS: &str = "SELECT c.block FROM feeders f JOIN contributors c ON c.feeder = f.number \
                                       WHERE f.id = $1 AND c.start = $2 ORDER BY c.number";
pub(super) const SEATS: &str =
    "SELECT s.meter, s.seat FROM feeders f JOIN seats s ON s.feeder = f.number WHERE f.id = $1";
pub(super) const BILL: &str = "SELECT b.record FROM feeders f JOIN bills b ON b.feeder = f.number WHERE f.id = $1 AND b.period = $2 \
                               AND b.meter = $3 AND b.epoch = $4 AND b.plan_version = $5 AND b.bands = $6";
pub(super) const BILLS: &str = "SELECT f.id, b.period, b.meter, b.epoch, b.plan_version, b.bands FROM feeders f \
                                JOIN bills b ON b.feeder = f.number \
                                WHERE (f.id, b.period, b.meter, b.epoch, b.plan_version, b.bands) >= ($1, $2, $3, $4, $5, $6) \
                                ORDER BY 1, 2, 3, 4, 5, 6 LIMIT $7";

/// Why a row is not what was written.
pub(super) type Problem = String;

fn get<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: usize,
) -> Result<T, Problem> {
    row.try_get(column).map_err(|error| error.to_string())
}

fn id<T: for<'a> TryFrom<&'a str, Error: ToString>>(
    row: &Row,
    column: usize,
) -> Result<T, Problem> {
    T::try_from(get(row, column)?).map_err(|error| error.to_string())
}

fn key(row: &Row) -> Result<SumKey, Problem> {
    Ok(SumKey {
        feeder: id(row, 0)?,
        window: window(row, 1)?,
        part: part(get(row, 2)?)?,
    })
}

fn window(row: &Row, column: usize) -> Result<WindowStart, Problem> {
    Ok(WindowStart(get::<i64>(row, column)?.cast_unsigned()))
}

fn part(column: i32) -> Result<Part, Problem> {
    let part = u16::try_from(column);
    part.map(Part).map_err(|_| format!("{column} is no part"))
}

fn digest(row: &Row, column: usize) -> Result<Digest, Problem> {
    let bytes: &[u8] = get(row, column)?;
    let bytes = bytes.try_into();
    bytes
        .map(Digest)
        .map_err(|_| "a digest has not 32 bytes".to_owned())
}

pub(super) fn seat(row: &Row) -> Result<(MeterId, i32), Problem> {
    Ok((id(row, 0)?, get(row, 1)?))
}

/// A sum's row, and whether it has a record.
pub(super) fn sum(row: &Row) -> Result<(SumRow, bool), Problem> {
    let number = |column| get::<i64>(row, column).map(i64::cast_unsigned);
    let small = |column| get::<i32>(row, column).map(i32::cast_unsigned);
    let stage = u8::try_from(get::<i16>(row, 9)?).unwrap_or(u8::MAX);
    let replaces = match get::<Option<i32>>(row, 10)? {
        None => None,
        Some(column) => Some(Replaces {
            part: part(column)?,
            ranks: (number(11)?, number(12)?),
            meters: small(13)?,
        }),
    };
    let sum = SumRow {
        key: key(row)?,
        epoch: KeyEpoch(small(3)?),
        plan_version: PlanVersion(number(4)?),
        profile: Profile::by_name(get(row, 5)?).map_err(|error| error.to_string())?,
        contributors: small(6)?,
        sealed_at: (UnixMillis(number(7)?), UnixMillis(number(8)?)),
        stage: Stage::numbered(stage)?,
        replaces,
    };
    Ok((sum, get(row, 14)?))
}

/// What must be a sum's row whose record is there if it takes reports.
pub(super) fn whole_sum(row: &Row) -> Result<SumRow, Problem> {
    let (sum, has_record) = sum(row)?;
    fit::record(&sum, has_record)?;
    Ok(sum)
}

pub(super) fn time(row: &Row) -> Result<(FeederId, u64), Problem> {
    Ok((id(row, 0)?, get::<i64>(row, 1)?.cast_unsigned()))
}

pub(super) fn unsettled(row: &Row) -> Result<(SumKey, Digest), Problem> {
    Ok((key(row)?, digest(row, 3)?))
}

pub(super) fn period(row: &Row) -> Result<(FeederId, WindowStart), Problem> {
    Ok((id(row, 0)?, window(row, 1)?))
}

pub(super) fn release(key: &SumKey, row: &Row) -> Result<ReleaseRow, Problem> {
    Ok(ReleaseRow {
        key: key.clone(),
        digest: digest(row, 0)?,
        bytes_digest: digest(row, 1)?,
        bytes: Bytes::copy_from_slice(get(row, 2)?),
    })
}

pub(super) fn bill_key(row: &Row) -> Result<BillKey, Problem> {
    Ok(BillKey {
        feeder: id(row, 0)?,
        period: window(row, 1)?,
        meter: id::<MeterId>(row, 2)?,
        epoch: KeyEpoch(get::<i32>(row, 3)?.cast_unsigned()),
        plan_version: PlanVersion(get::<i64>(row, 4)?.cast_unsigned()),
        bands: bands_of(get(row, 5)?),
    })
}
