//! The tables of contributors: one for the windows that start on a day, made before the first of them and dropped after the last has
//! gone, so that what is past costs no vacuum.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::connection::Session;

/// How often tables are looked through that were not empty, or locked.
const LOOK: Duration = Duration::from_secs(60);

/// Seconds in a day.
const DAY: i64 = 86_400;

/// What is dead in a day's table is collected while the day lasts: a sum's contributors are rewritten when it is settled.
const VACUUM: &str = "WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, \
                      toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 20000, \
                      toast.autovacuum_vacuum_cost_delay = 0)";

/// The tables that there are.
const TABLES: &str = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                      WHERE i.inhparent = 'contributors'::regclass";

#[derive(Debug, Default)]
pub(super) struct Days {
    made: BTreeSet<i64>,
    /// The last day of which windows have gone: all that is left of earlier ones goes.
    passed: Option<i64>,
    /// Up to which day tables were looked through, and when, if some of them were left.
    looked: Option<(i64, Option<Instant>)>,
}

impl Days {
    /// Makes the tables of `days` that may not be there.
    pub(super) async fn make(
        &mut self,
        session: &mut Session<'_>,
        days: impl Iterator<Item = i64>,
    ) -> Result<(), Error> {
        for day in days {
            if self.made.contains(&day) {
                continue;
            }
            let (from, to) = (day * DAY, (day + 1) * DAY);
            let make = format!(
                "CREATE TABLE IF NOT EXISTS {} PARTITION OF contributors FOR VALUES FROM ({from}) TO ({to}) {VACUUM}",
                table(day)
            );
            match session.client.batch_execute(&make).await {
                Err(error) if !is_there(&error) => return Err(error),
                _ => self.made.insert(day),
            };
        }
        Ok(())
    }

    /// Which tables there are is not known any more.
    pub(super) fn forget(&mut self) {
        self.made.clear();
    }

    /// Windows of these days have gone.
    pub(super) fn passed(&mut self, days: impl Iterator<Item = i64>) {
        self.passed = self.passed.max(days.max());
    }

    /// Whether there may be tables to drop.
    pub(super) fn is_due(&self) -> bool {
        match (self.passed, self.looked) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(passed), Some((looked, left))) => {
                let is_due = |at: Instant| at.elapsed() >= LOOK;
                passed > looked || left.is_some_and(is_due)
            }
        }
    }

    /// Drops the tables of days before the last of which windows have gone, where they are empty.
    pub(super) async fn drop_empty(&mut self, session: &mut Session<'_>) -> Result<(), Error> {
        let Some(passed) = self.passed.filter(|_| self.is_due()) else {
            return Ok(());
        };
        self.looked = Some((passed, Some(Instant::now())));
        let mut left = None;
        for row in session.client.query(TABLES, &[]).await? {
            let name: String = row.try_get(0)?;
            let Some(day) = day_of(&name).filter(|day| *day < passed) else {
                continue;
            };
            match drop_if_empty(session, &name).await {
                Ok(true) => drop(self.made.remove(&day)),
                Ok(false) => left = Some(Instant::now()),
                // Another process has just dropped it.
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {}
                Err(error) => return Err(error),
            }
        }
        self.looked = Some((passed, left));
        Ok(())
    }
}

async fn is_empty(client: &impl tokio_postgres::GenericClient, table: &str) -> Result<bool, Error> {
    let asked = format!("SELECT NOT EXISTS (SELECT FROM {table})");
    client.query_one(&asked, &[]).await?.try_get(0)
}

/// Drops a day's table; returns whether it is gone.
async fn drop_if_empty(session: &mut Session<'_>, table: &str) -> Result<bool, Error> {
    // Who waits for the lock holds up commits, so it is not asked for in vain.
    if !is_empty(session.client, table).await? {
        return Ok(false);
    }
    let changes = session.client.transaction().await?;
    let lock = format!(
        "SET LOCAL lock_timeout = '200ms'; LOCK TABLE ONLY contributors, {table} IN ACCESS EXCLUSIVE MODE"
    );
    if let Err(error) = changes.batch_execute(&lock).await {
        // It is dropped another time, or another process has dropped it. Nothing is sent while nobody waits, so not by dropping `changes`.
        let is_gone = error.code() == Some(&SqlState::UNDEFINED_TABLE);
        let passes = is_gone || error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
        changes.rollback().await?;
        return if passes { Ok(is_gone) } else { Err(error) };
    }
    let is_empty = is_empty(&changes, table).await?;
    if is_empty {
        changes
            .batch_execute(&format!("DROP TABLE {table}"))
            .await?;
    }
    changes.commit().await?;
    Ok(is_empty)
}

/// Whether a table could not be made because another process has just made it: `IF NOT EXISTS` does not see that before the other
/// commits, and waits for it.
fn is_there(error: &Error) -> bool {
    let known = [
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::UNIQUE_VIOLATION,
    ];
    error.code().is_some_and(|code| known.contains(code))
}

/// The name of a day's table: no day of an epoch that anybody lives in is negative.
fn table(day: i64) -> String {
    format!("contributors_{}", day.cast_unsigned())
}

fn day_of(table: &str) -> Option<i64> {
    table.strip_prefix("contributors_")?.parse().ok()
}
