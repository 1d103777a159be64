//! The tables of contributors: one for the windows that start on a day, made before the first of them and dropped after the last has
//! gone, so that what is past costs no vacuum.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use super::connection::Session;

/// How often tables are looked through that may be empty.
const LOOK: Duration = Duration::from_secs(60);

/// Seconds in a day.
const DAY: i64 = 86_400;

#[derive(Debug, Default)]
pub(super) struct Days {
    made: BTreeSet<i64>,
    /// Days of which windows have gone.
    passed: BTreeSet<i64>,
    looked: Option<Instant>,
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
                "CREATE TABLE IF NOT EXISTS {} PARTITION OF contributors FOR VALUES FROM ({from}) TO ({to})",
                table(day)
            );
            match session.client.batch_execute(&make).await {
                Err(error) if !is_there(&error) => return Err(error),
                _ => self.made.insert(day),
            };
        }
        Ok(())
    }

    /// Windows of these days have gone.
    pub(super) fn passed(&mut self, days: impl Iterator<Item = i64>) {
        self.passed.extend(days);
    }

    /// The days whose tables may be empty, if it is time to look: all that windows have gone of but the last.
    pub(super) fn due(&mut self) -> Vec<i64> {
        let now = Instant::now();
        if self.passed.len() < 2 || self.looked.is_some_and(|looked| now < looked + LOOK) {
            return Vec::new();
        }
        self.looked = Some(now);
        let mut days: Vec<i64> = self.passed.iter().copied().collect();
        days.pop();
        days
    }

    /// Drops the table of a day if it is empty.
    pub(super) async fn drop(&mut self, session: &mut Session<'_>, day: i64) -> Result<(), Error> {
        let table = table(day);
        let changes = session.client.transaction().await?;
        // Whoever waits for the lock holds up commits.
        changes
            .batch_execute("SET LOCAL lock_timeout = '200ms'; LOCK TABLE contributors IN ACCESS EXCLUSIVE MODE")
            .await?;
        let there = changes
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&table])
            .await?;
        let mut gone = !there.try_get::<_, bool>(0)?;
        if !gone {
            let row = changes
                .query_one(&format!("SELECT EXISTS (SELECT FROM {table})"), &[])
                .await?;
            if !row.try_get::<_, bool>(0)? {
                changes
                    .batch_execute(&format!("DROP TABLE {table}"))
                    .await?;
                gone = true;
            }
        }
        changes.commit().await?;
        if gone {
            self.passed.remove(&day);
            self.made.remove(&day);
        }
        Ok(())
    }
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
