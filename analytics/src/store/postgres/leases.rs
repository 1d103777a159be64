//! Leases as rows, by the database's clock.

use service::Settings;
use wire::Shard;

use super::connection::Connection;
use crate::ownership::{Leases, Member, Terms};
use crate::store::{Fence, Lease, StoreError};

/// The part of one process in the leases of a database, over a connection of its own.
#[derive(Debug)]
pub struct PostgresLeases {
    connection: Connection,
    member: Member,
}

const TURN: &str =
    "SELECT shard, fence FROM take_turn($1, $2, $3::double precision * interval '1 second', $4)";

const GIVE_UP: &str = "SELECT give_up($1, $2)";

impl PostgresLeases {
    /// Connects when it is first used. The tables must be there: a [`PostgresStore`](super::PostgresStore) was opened before.
    ///
    /// # Errors
    /// [`StoreError::Io`] if this machine has no room for it.
    pub fn new(settings: &Settings, member: Member) -> Result<Self, StoreError> {
        let mut settings = settings.clone();
        // What takes longer has lost them, and turns to another server.
        let analytics = &mut settings.analytics;
        let limit = analytics.postgres.statement_timeout;
        analytics.postgres.statement_timeout = limit.min(analytics.lease_ttl);
        Ok(Self {
            connection: Connection::new(&settings, "cipherwatt analytics leases")?,
            member,
        })
    }
}

impl Leases for PostgresLeases {
    fn turn(&mut self, terms: &Terms) -> Result<Vec<Lease>, StoreError> {
        let (id, run) = (self.member.id.as_str(), self.member.run.cast_signed());
        let ttl = terms.ttl.as_secs_f64();
        let shards = i32::from(terms.shards);
        let turn = async |session: &mut super::Session<'_>| {
            let statement = session.prepared(TURN).await?;
            let rows = session
                .client
                .query(&statement, &[&id, &run, &ttl, &shards])
                .await?;
            rows.iter()
                .map(|row| {
                    let shard: i16 = row.try_get(0)?;
                    let fence: i64 = row.try_get(1)?;
                    Ok(Lease {
                        shard: Shard(shard.cast_unsigned()),
                        fence: Fence(fence.cast_unsigned()),
                    })
                })
                .collect::<Result<_, tokio_postgres::Error>>()
        };
        self.connection.run("renew the leases of", 1, turn)
    }

    fn give_up(&mut self) -> Result<(), StoreError> {
        let (id, run) = (self.member.id.as_str(), self.member.run.cast_signed());
        self.connection
            .run("give up the leases of", 1, async |session| {
                session.client.execute(GIVE_UP, &[&id, &run]).await?;
                Ok(())
            })
    }
}
