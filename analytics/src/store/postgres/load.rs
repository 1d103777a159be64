//! What a process starts with, read as of one moment.

use std::path::Path;
use std::pin::pin;

use futures_util::TryStreamExt as _;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Transaction as Changes};

use super::fault::corrupt;
use super::read::{self, Problem};
use crate::store::fit::Fit;
use crate::store::{Loaded, Mark, StoreError, StoreFormat, SumRow};

/// Frees what a pool has left behind or given up, and says whether one is there. Nothing of what that wrote late is written after this.
const FREE: &str = "WITH freed AS (
                        UPDATE leases SET owner = NULL, run = NULL, fence = fence + 1
                        WHERE owner IS NULL OR expires <= clock_timestamp() RETURNING shard
                    )
                    SELECT EXISTS (SELECT FROM leases WHERE owner IS NOT NULL AND shard NOT IN (SELECT shard FROM freed))";

/// Whether there are sums, releases or bills of feeders of which nobody said in which shard they are: what a process alone has written
/// before it said so. No member of a pool would load them.
const LEFT_OUT: &str = "SELECT EXISTS (SELECT FROM feeders f WHERE f.shard IS NULL AND (
                            EXISTS (SELECT FROM sums s WHERE s.feeder = f.number)
                            OR EXISTS (SELECT FROM releases r WHERE r.feeder = f.number)
                            OR EXISTS (SELECT FROM bills b WHERE b.feeder = f.number)))";

/// Compares layout and grid with those of the store, which takes them if it has none, and makes it the run's own; without one it is of a
/// pool, whose leases are what counts. Only the last that did so has it: a pool takes its leases before, so a run that comes later finds
/// them, and one that came before has it no more.
pub(super) async fn bind(
    changes: Changes<'_>,
    format: &StoreFormat,
    run: Option<i64>,
    (migrates, place): (bool, &Path),
) -> Result<Result<(), StoreError>, Error> {
    let texts = format.texts();
    let row = changes
        .query_one(
            "UPDATE store SET layout = coalesce(layout, $1), grid = coalesce(grid, $2), run = $3 RETURNING layout, grid, mark",
            &[&texts[0].1, &texts[1].1, &run],
        )
        .await?;
    let mark: Option<String> = row.try_get(2)?;
    let mark = mark.map(|text| text.parse::<Mark>()).transpose();
    let mark = mark.map_err(|problem| corrupt(place, problem));
    // Whoever opened it before a migration began.
    if let Err(error) = mark.and_then(|mark| match migrates {
        true => Ok(()),
        false => Mark::check(mark.as_ref(), place),
    }) {
        changes.rollback().await?;
        return Ok(Err(error));
    }
    for (column, (what, expected)) in texts.iter().enumerate() {
        let found: String = row.try_get(column)?;
        if found != *expected {
            changes.rollback().await?;
            return Ok(Err(StoreError::mismatch(place, what, found, expected)));
        }
    }
    if run.is_none() && changes.query_one(LEFT_OUT, &[]).await?.try_get(0)? {
        changes.rollback().await?;
        let problem = "it has sums of feeders without a shard, which an earlier version wrote: let a process without `analytics.pool` run \
                       until all of them are released and reclaimed"
            .to_owned();
        let path = place.to_owned();
        return Ok(Err(StoreError::Refused { path, problem }));
    }
    if run.is_some() && changes.query_one(FREE, &[]).await?.try_get(0)? {
        changes.rollback().await?;
        let path = place.to_owned();
        return Ok(Err(StoreError::InUse { path }));
    }
    changes.commit().await?;
    Ok(Ok(()))
}

/// Gives the rows of a statement to `each`, without keeping them.
async fn stream(
    changes: &Changes<'_>,
    statement: &str,
    shards: &Option<Vec<i16>>,
    mut each: impl FnMut(&Row) -> Result<(), Problem>,
) -> Result<Result<(), Problem>, Error> {
    let parameters: [&(dyn ToSql + Sync); 1] = [shards];
    let rows = changes.query_raw(statement, parameters).await?;
    let mut rows = pin!(rows);
    while let Some(row) = rows.try_next().await? {
        if let Err(problem) = each(&row) {
            return Ok(Err(problem));
        }
    }
    Ok(Ok(()))
}

/// Everything that a process starts with.
pub(super) async fn load(
    changes: &Changes<'_>,
    shards: Option<Vec<i16>>,
    each: &mut dyn FnMut(SumRow),
) -> Result<Result<Loaded, Problem>, Error> {
    let mut loaded = Loaded::default();
    let mut fit = Fit::default();
    let read = [
        stream(changes, read::SUMS, &shards, |row| {
            let (sum, has_record) = read::sum(row)?;
            fit.sum(&sum, has_record)?;
            each(sum);
            Ok(())
        })
        .await?,
        stream(changes, read::TIMES, &shards, |row| {
            loaded.times.push(read::time(row)?);
            Ok(())
        })
        .await?,
        stream(changes, read::UNSETTLED, &shards, |row| {
            loaded.releases.push(read::unsettled(row)?);
            Ok(())
        })
        .await?,
        stream(changes, read::PERIODS, &shards, |row| {
            loaded.periods.insert(read::period(row)?);
            Ok(())
        })
        .await?,
    ];
    let read = read.into_iter().collect::<Result<(), _>>();
    let read = read.and_then(|()| fit.end(&loaded.releases));
    Ok(read.map(|()| loaded))
}
