//! How things are written in a table.

use std::time::{Duration, UNIX_EPOCH};

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::store::Stage;

/// A table whose columns after the first `text` are numbers.
pub(super) fn table(header: &[&str], text: usize) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(text) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

pub(super) fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Open => "open",
        Stage::Held => "held",
        Stage::Released => "released",
        Stage::Pooled => "pooled",
        Stage::Settled => "settled",
        Stage::Refused => "refused",
        Stage::Divided => "divided",
        Stage::Closed => "closed",
    }
}

pub(super) fn utc(seconds: u64) -> String {
    match UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        Some(time) if seconds < 253_402_300_800 => {
            humantime::format_rfc3339_seconds(time).to_string()
        }
        _ => seconds.to_string(),
    }
}
