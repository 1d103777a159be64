//! Ledgers of format 2: a row a release, in the same file.
//!
//! The start that finds one moves its rows in one commit. They do not say who the contributors were, so that every meter
//! of the feeder counts as one: the windows are closed for good.

use redb::{Error, ReadableDatabase as _, ReadableTable as _, TableDefinition, WriteTransaction};
use wire::{Digest, KeyEpoch, Part, WindowStart};

use super::error::{LedgerError, faulty};
use super::header::{FORMAT_KEY, META, check_header, is_of_format};
use super::noise;
use super::rows::{SUMS, feeder_id, key, row, service_id};
use super::store::{REFUSALS, Store};
use crate::release::opening::{Opening, Release};

/// What such a ledger says of itself.
pub(super) const FORMAT: &str = "2";

/// Key epoch, meters, digest of the limbs, and analytics service (empty: not known) by window, feeder and part.
type Row = (u32, u32, &'static [u8; 32], &'static str);
const RELEASES: TableDefinition<(u64, &str, u16), Row> = TableDefinition::new("releases");

/// Brings a ledger of format 2 to the present format, for which `header` is. Another one must have that header.
pub(super) fn upgrade(
    store: &mut Store,
    header: &[(&'static str, &str); 3],
) -> Result<(), LedgerError> {
    let path = store.path().to_owned();
    let database = store.database()?;
    let at = |error: Error| faulty(&path, error);
    let view = database.begin_read().map_err(|error| at(error.into()))?;
    if !is_of_format(&view, FORMAT).map_err(at)? {
        return check_header(&path, &view, header);
    }
    let [(_, format), rest @ ..] = header;
    check_header(&path, &view, rest)?;
    drop(view);
    let moved = store.with(|database| {
        let changes = database.begin_write()?;
        let moved = move_rows(&changes)?;
        changes.delete_table(RELEASES)?;
        changes.open_table(REFUSALS)?;
        noise::create(&changes)?;
        changes.open_table(META)?.insert(FORMAT_KEY, *format)?;
        changes.commit()?;
        Ok(moved)
    })?;
    store.recount(moved);
    tracing::info!(path = %path.display(), releases = moved, "brought a ledger of format 2 to the present format");
    Ok(())
}

fn move_rows(changes: &WriteTransaction) -> Result<u64, Error> {
    let releases = changes.open_table(RELEASES)?;
    let mut sums = changes.open_table(SUMS)?;
    let mut moved = 0;
    for release in releases.iter()? {
        let (place, columns) = release?;
        let (window, feeder, part) = place.value();
        let (epoch, meters, digest, analytics) = columns.value();
        let opening = Opening::from(Release {
            feeder: feeder_id(feeder)?,
            window_start: WindowStart(window),
            part: Part(part),
            epoch: KeyEpoch(epoch),
            meters,
            digest: Digest(*digest),
            analytics: service_id(analytics)?,
        });
        sums.insert(key(&opening), row(&opening))?;
        moved += 1;
    }
    Ok(moved)
}
