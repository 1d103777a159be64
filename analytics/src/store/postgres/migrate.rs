//! The tables, and how those of an earlier version of this program become the present ones.
//!
//! All steps are taken in one transaction, under a lock that ends with it, so processes that start together do not meet.

use tokio_postgres::{Error, Transaction};

/// Each step makes the next version, from 0: an empty database.
const STEPS: [&str; 2] = [
    include_str!("schema.sql"),
    // What `analytics migrate` says of the rows.
    "ALTER TABLE store ADD COLUMN mark text",
];

/// Names the lock. A number that nobody else takes.
const LOCK: i64 = 0x6369_7068_6572_7761;

/// The version of the tables that this program knows.
pub(super) fn newest() -> i32 {
    // There are few.
    STEPS.len() as i32
}

/// Brings the tables to the newest version; returns the one that was found. Tables of a newer version are left alone.
pub(super) async fn migrate(changes: &Transaction<'_>) -> Result<i32, Error> {
    changes
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    changes
        .batch_execute("CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)")
        .await?;
    let row = changes
        .query_opt("SELECT version FROM schema_version", &[])
        .await?;
    let found: i32 = row.map_or(Ok(0), |row| row.try_get(0))?;
    let steps = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(left) = STEPS.get(steps..).filter(|left| !left.is_empty()) else {
        return Ok(found);
    };
    for step in left {
        changes.batch_execute(step).await?;
    }
    changes.batch_execute("DELETE FROM schema_version").await?;
    changes
        .execute("INSERT INTO schema_version VALUES ($1)", &[&newest()])
        .await?;
    Ok(found)
}
