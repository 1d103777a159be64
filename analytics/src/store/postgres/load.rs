//! What a process starts with, read as of one moment.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Transaction as Changes};

use super::read::{self, Problem};
use crate::store::{Loaded, StoreFormat, SumRow};

/// Compares layout and grid with those of the store, which takes them if it has none, and makes it the run's own.
pub(super) async fn bind(
    changes: &Changes<'_>,
    format: &StoreFormat,
    run: Option<i64>,
) -> Result<Option<(&'static str, String, String)>, Error> {
    let [(layout, expected_layout), (grid, expected_grid)] = format.texts();
    let row = changes
        .query_one(
            "UPDATE store SET layout = coalesce(layout, $1), grid = coalesce(grid, $2), run = coalesce($3, run) \
             RETURNING layout, grid",
            &[&expected_layout, &expected_grid, &run],
        )
        .await?;
    let found: (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let wrong = [
        (layout, found.0, expected_layout),
        (grid, found.1, expected_grid),
    ];
    Ok(wrong
        .into_iter()
        .find(|(_, found, expected)| found != expected))
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
    let read = [
        stream(changes, read::SUMS, &shards, |row| {
            each(read::whole_sum(row)?);
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
    Ok(read.into_iter().collect::<Result<(), _>>().map(|()| loaded))
}
