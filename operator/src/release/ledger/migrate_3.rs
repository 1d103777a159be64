//! Ledgers of format 3: without noisy totals. An operator of that version would not know what was given away, so the format counts.

use redb::ReadableDatabase as _;

use super::error::{LedgerError, faulty};
use super::header::{FORMAT_KEY, META, check_header, is_of_format};
use super::noise;
use super::store::Store;

/// What such a ledger says of itself.
pub(super) const FORMAT: &str = "3";

/// Brings a ledger of format 3 to the present format, for which `header` is. Others are left as they are.
pub(super) fn upgrade(
    store: &mut Store,
    header: &[(&'static str, &str); 3],
) -> Result<(), LedgerError> {
    let path = store.path().to_owned();
    let view = store.database()?.begin_read();
    let view = view.map_err(|error| faulty(&path, error))?;
    if !is_of_format(&view, FORMAT).map_err(|error| faulty(&path, error))? {
        return Ok(());
    }
    let [(_, format), rest @ ..] = header;
    check_header(&path, &view, rest)?;
    drop(view);
    store.with(|database| {
        let changes = database.begin_write()?;
        noise::create(&changes)?;
        changes.open_table(META)?.insert(FORMAT_KEY, *format)?;
        changes.commit()?;
        Ok(())
    })
}
