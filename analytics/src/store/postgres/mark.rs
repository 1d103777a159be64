//! The marks of a migration in a database.

use std::path::PathBuf;

use service::Settings;

use super::{LONG, PostgresStore};
use crate::store::{Mark, Marked, StoreError};

/// Whether the process that had the store last, on its own, is connected.
const RUNS: &str = "SELECT EXISTS (SELECT FROM store s JOIN pg_stat_activity a ON a.datname = current_database() \
                    AND a.application_name = 'cipherwatt analytics ' || lpad(to_hex(s.run), 16, '0'))";

impl PostgresStore {
    /// [`open`](Self::open) for a migration, also of one that is marked. A process that works on it on its own is not pushed out.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and [`StoreError::InUse`].
    pub(crate) fn open_to_migrate(settings: &Settings, run: u64) -> Result<Self, StoreError> {
        let mut store = Self::open_marked(settings, run)?;
        store.migrates = true;
        let path = store.place();
        let runs = store.one(RUNS, &[], |row| {
            row.try_get(0).map_err(|error| error.to_string())
        })?;
        match runs {
            Some(true) => Err(StoreError::InUse { path }),
            _ => Ok(store),
        }
    }
}

impl Marked for PostgresStore {
    fn mark(&self) -> Option<&Mark> {
        self.mark.as_ref()
    }

    fn set_mark(&mut self, mark: Option<Mark>, emptied: bool) -> Result<(), StoreError> {
        let text = mark.as_ref().map(ToString::to_string);
        let run = self.run;
        let set = self.connection.run("write to", LONG, async |session| {
            let changes = session.client.transaction().await?;
            changes
                .batch_execute("SET LOCAL statement_timeout = 0")
                .await?;
            let set = "UPDATE store SET mark = $1 WHERE run = $2";
            let is_own = changes.execute(set, &[&text, &run]).await? == 1;
            if is_own && emptied {
                let empty = "TRUNCATE sums, contributors, seats, releases, bills, feeders";
                changes.batch_execute(empty).await?;
            }
            changes.commit().await?;
            Ok(is_own)
        });
        self.numbers.clear();
        self.looked = None;
        if !set? {
            return Err(StoreError::InUse { path: self.place() });
        }
        self.mark = mark;
        Ok(())
    }

    fn place(&self) -> PathBuf {
        self.connection.place()
    }
}
