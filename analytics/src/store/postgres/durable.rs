//! Whether what the database calls committed outlives it: a receipt says no more than that.

use std::path::Path;

use tokio_postgres::Client;

use super::fault::fault;
use crate::store::StoreError;

const ASKED: &str = "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), \
                     (SELECT count(*) FROM pg_stat_replication), current_setting('data_checksums')";

/// Refuses a database that would make receipts lie: without fsync, or, of several `hosts`, with a standby that may lack what was
/// committed. A process that works already (not at its `first` connection) goes on with what is left after a promotion, and warns.
pub(super) async fn check(
    client: &Client,
    hosts: usize,
    first: bool,
    place: &Path,
) -> Result<(), StoreError> {
    let failed = |error| fault(place, "read", error);
    let row = client.query_one(ASKED, &[]).await.map_err(failed)?;
    let text = |column| row.try_get::<_, String>(column).map_err(failed);
    let (fsync, commit, synchronous) = (text(0)?, text(1)?, text(2)?);
    let standbys: i64 = row.try_get(3).map_err(failed)?;
    let refused = |what, found: &str, expected: &str| StoreError::Mismatch {
        path: place.to_owned(),
        what,
        found: found.to_owned(),
        expected: expected.to_owned(),
    };
    if fsync != "on" {
        return Err(refused("fsync", &fsync, "on"));
    }
    if commit != "on" {
        return Err(refused("synchronous_commit", &commit, "on"));
    }
    if text(4)? != "on" {
        tracing::warn!(
            "the database keeps no checksums of its pages: what its disk damages is noticed late or never \
             (pg_checksums --enable)"
        );
    }
    let several = hosts > 1;
    match (synchronous.is_empty(), standbys > 0) {
        (false, _) => {}
        (true, true) if several && first => {
            return Err(refused(
                "synchronous_standby_names",
                "empty while a standby follows",
                "one that names it, without which it may lack what was receipted",
            ));
        }
        (true, true) => tracing::warn!(
            "the database has a standby that is not in synchronous_standby_names: if it is promoted, reports that were receipted \
             may be in no total"
        ),
        (true, false) if several => {
            tracing::warn!("the database has no standby: no other takes over if it is lost");
        }
        (true, false) => {}
    }
    Ok(())
}
