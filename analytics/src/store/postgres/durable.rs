//! Whether what the database calls committed outlives it: a receipt says no more than that.

use std::path::Path;

use tokio_postgres::Client;

use super::fault::fault;
use crate::store::StoreError;

const ASKED: &str = "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), \
                     (SELECT count(*) FROM pg_stat_replication), current_setting('data_checksums')";

/// What was found, of which each is said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// Its pages have no checksums.
    Unchecked,
    /// A standby follows that is not waited for.
    Asynchronous,
    /// None follows, of several addresses.
    Alone,
}

impl Doubt {
    pub(super) fn warn(self) {
        match self {
            Self::Unchecked => tracing::warn!(
                "the database keeps no checksums of its pages: what its disk damages is noticed late or never \
                 (pg_checksums --enable)"
            ),
            Self::Asynchronous => tracing::warn!(
                "the database has a standby that is not in synchronous_standby_names: if it is promoted, reports that were receipted \
                 may be in no total"
            ),
            Self::Alone => {
                tracing::warn!("the database has no standby: no other takes over if it is lost")
            }
        }
    }
}

/// Refuses a database that would make receipts lie: without fsync, or, of several `hosts`, with a standby that may lack what was
/// committed. A process that works already (not at its `first` connection) goes on with what is left after a promotion. Returns what
/// is doubtful.
pub(super) async fn check(
    client: &Client,
    hosts: usize,
    first: bool,
    place: &Path,
) -> Result<Vec<Doubt>, StoreError> {
    let failed = |error| fault(place, "read", error);
    let row = client.query_one(ASKED, &[]).await.map_err(failed)?;
    let text = |column| row.try_get::<_, String>(column).map_err(failed);
    let (fsync, commit, synchronous) = (text(0)?, text(1)?, text(2)?);
    let standbys: i64 = row.try_get(3).map_err(failed)?;
    let refused = |problem: String| StoreError::Refused {
        path: place.to_owned(),
        problem,
    };
    for (setting, found) in [("fsync", fsync), ("synchronous_commit", commit)] {
        if found != "on" {
            let problem =
                format!("its {setting} is {found}, and what it says is committed may be lost");
            return Err(refused(problem));
        }
    }
    let mut doubts = Vec::new();
    if text(4)? != "on" {
        doubts.push(Doubt::Unchecked);
    }
    let several = hosts > 1;
    match (synchronous.is_empty(), standbys > 0) {
        (true, true) if several && first => {
            return Err(refused(
                "its synchronous_standby_names is empty while a standby follows, which may lack what was receipted: name it there"
                    .to_owned(),
            ));
        }
        (true, true) => doubts.push(Doubt::Asynchronous),
        (true, false) if several => doubts.push(Doubt::Alone),
        _ => {}
    }
    Ok(doubts)
}
