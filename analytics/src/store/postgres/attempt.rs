//! Writing: attempts at a commit, and what can wait.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use wire::Shard;

use super::PostgresStore;
use super::commit::{self, Stored};
use super::days::Days;
use super::fault::corrupt;
use super::share::Share;
use crate::metrics;
use crate::store::StoreError;

/// How often the size of the database is asked for.
const SIZE: Duration = Duration::from_secs(60);

impl PostgresStore {
    /// One attempt at the rows of the shards that are still held; returns which are not.
    pub(super) fn attempt(&mut self, share: &Share<'_>) -> Result<BTreeSet<Shard>, StoreError> {
        let place = self.place();
        let run = self.own.then_some(self.run);
        let (numbers, days, uncertain) = (&mut self.numbers, &mut self.days, &mut self.uncertain);
        let proof = self.connection.run("write to", 1, async |session| {
            if *uncertain && !commit::end_earlier(session).await? {
                return Ok(Err(StoreError::Io {
                    operation: "write to",
                    path: place.clone(),
                    source: io::Error::other(
                        "a session of a commit that was given up has not ended yet",
                    ),
                }));
            }
            commit::name(session, share, numbers).await?;
            let stored = Stored::read(session, share, numbers).await?;
            let mut columns = match commit::columns(share, numbers, stored) {
                Ok(columns) => columns,
                Err(problem) => return Ok(Err(corrupt(&place, problem))),
            };
            columns.run = run;
            days.make(session, columns.days()).await?;
            *uncertain = true;
            let started = Instant::now();
            let proof = commit::write(session, &columns).await?;
            metrics::database::statement(started.elapsed());
            Ok(Ok(proof))
        });
        if proof.is_err() {
            // What was learnt may not hold any more: another process drops the table of a day, another server is promoted.
            self.numbers.clear();
            self.days = Days::default();
        }
        let proof = proof??;
        self.uncertain = false;
        let lost = share.leases().map(|(shard, _)| shard);
        let lost: BTreeSet<Shard> = lost.filter(|shard| !proof.held.contains(shard)).collect();
        if !proof.written && lost.is_empty() {
            return Err(StoreError::InUse { path: place });
        }
        Ok(lost)
    }

    /// What can wait: the size, and tables that are empty.
    pub(super) fn look_after(&mut self) {
        let now = Instant::now();
        let (_, asked) = self.bytes;
        let asks = asked.is_none_or(|asked| now >= asked + SIZE);
        let due = self.days.due();
        if !asks && due.is_empty() {
            return;
        }
        self.bytes.1 = Some(now);
        let days = &mut self.days;
        let looked = self.connection.run("read", 1, async |session| {
            for day in due {
                days.drop(session, day).await?;
            }
            let size = "SELECT pg_database_size(current_database())";
            session
                .client
                .query_one(size, &[])
                .await?
                .try_get::<_, i64>(0)
        });
        match looked {
            Ok(bytes) => self.bytes.0 = bytes.cast_unsigned(),
            Err(error) => tracing::debug!(
                error = %service::Chain(&error),
                "the size of the database and its empty tables wait for another time"
            ),
        }
    }
}
