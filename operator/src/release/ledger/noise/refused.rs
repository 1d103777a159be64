//! That there is no noisy total of a sum, since it was refused before it was opened.

use redb::{Error, ReadableDatabase as _, ReadableTable};

use super::{Key, NoiseKey, REFUSED, TOTALS, UNWRITTEN};
use crate::publish::line::Line;
use crate::release::ledger::{Ledger, LedgerError};

impl Ledger {
    /// Decides that there is no noisy total of a sum that is refused, unless the recipient was told something of the window, whatever the
    /// part; the lines that are new. With them it forgets of those in `written` that they may not be in their files.
    ///
    /// # Errors
    /// The ledger could not be written: nobody may be told.
    pub(crate) fn refuse_noise(
        &mut self,
        mut lines: Vec<(NoiseKey, Line)>,
        written: &[NoiseKey],
    ) -> Result<Vec<(NoiseKey, Line)>, LedgerError> {
        self.store.with(|database| {
            let known = database.begin_read()?.open_table(TOTALS)?;
            for at in (0..lines.len()).rev() {
                if is_told(&known, &lines[at].0)? {
                    lines.remove(at);
                }
            }
            if lines.is_empty() {
                return Ok(lines);
            }
            let mut changes = database.begin_write()?;
            changes.set_quick_repair(true);
            {
                let mut totals = changes.open_table(TOTALS)?;
                let mut unwritten = changes.open_table(UNWRITTEN)?;
                for key in written {
                    unwritten.remove(key.row())?;
                }
                for (key, line) in &lines {
                    totals.insert(key.row(), (REFUSED, line.json().as_str()))?;
                    unwritten.insert(key.row(), ())?;
                }
            }
            changes.commit()?;
            Ok(lines)
        })
    }
}

/// Whether a recipient was told something of a feeder's window.
fn is_told(
    totals: &impl ReadableTable<Key, (u8, &'static str)>,
    key: &NoiseKey,
) -> Result<bool, Error> {
    let at = |part| (key.window.0, key.feeder.as_str(), part, "");
    let last = (key.window.0, key.feeder.as_str(), u16::MAX, "\u{7f}");
    for row in totals.range(at(0)..last)? {
        if row?.0.value().3 == key.recipient.as_str() {
            return Ok(true);
        }
    }
    Ok(false)
}
