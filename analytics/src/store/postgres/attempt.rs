//! Writing: attempts at a commit, and what can wait.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use wire::Shard;

use super::PostgresStore;
use super::commit::{self, Stored};
use super::fault::corrupt;
use super::share::Share;
use crate::metrics;
use crate::store::StoreError;

/// How often the database is looked at.
const SIZE: Duration = Duration::from_secs(60);

impl PostgresStore {
    /// One attempt at the rows of the shards that are still held; returns which are not.
    pub(super) fn attempt(&mut self, share: &Share<'_>) -> Result<BTreeSet<Shard>, StoreError> {
        self.looked = None;
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
            self.days.forget();
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

    /// What can wait: tables that are empty, the size, and whether the database is still to be believed.
    pub(super) fn look_after(&mut self) {
        let now = Instant::now();
        let is_due = |asked: Instant| now >= asked + SIZE;
        let looks = self.bytes.1.is_none_or(is_due);
        if !looks && !self.days.is_due() {
            return;
        }
        if let Err(error) = self.look(looks, now) {
            tracing::warn!(
                error = %service::Chain(&error),
                "the size of the database and its empty tables wait for another time"
            );
        }
    }

    fn look(&mut self, looks: bool, now: Instant) -> Result<(), StoreError> {
        let days = &mut self.days;
        self.connection
            .run("read", 1, async |session| days.drop_empty(session).await)?;
        if !looks {
            return Ok(());
        }
        self.bytes.1 = Some(now);
        self.connection.check_again()?;
        let size = self.connection.run("read", 1, async |session| {
            let size = "SELECT pg_database_size(current_database())";
            let row = session.client.query_one(size, &[]).await?;
            row.try_get::<_, i64>(0)
        })?;
        self.bytes.0 = size.cast_unsigned();
        Ok(())
    }
}
