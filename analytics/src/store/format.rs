//! What stores on a medium write the same way.

use wire::Grid;

use super::{Stage, StoreFormat};

/// What stages are called in a store, by number.
const STAGES: [Stage; 8] = [
    Stage::Open,
    Stage::Held,
    Stage::Released,
    Stage::Settled,
    Stage::Refused,
    Stage::Divided,
    Stage::Closed,
    // Of files without areas there is none, so their format is the same.
    Stage::Pooled,
];

impl Stage {
    pub(super) fn number(self) -> u8 {
        let number = STAGES.iter().position(|known| *known == self);
        // All stages are there.
        number.unwrap_or(STAGES.len()) as u8
    }

    pub(super) fn numbered(number: u8) -> Result<Self, String> {
        let known = STAGES.get(usize::from(number)).copied();
        known.ok_or_else(|| format!("a sum is in the unknown stage {number}"))
    }
}

impl StoreFormat {
    /// Layout and grid, each with what it is called.
    pub(super) fn texts(&self) -> [(&'static str, String); 2] {
        [
            ("layout", self.shape.to_string()),
            ("grid", grid_text(self.grid)),
        ]
    }
}

fn grid_text(grid: Grid) -> String {
    let text = format!("{} × {} s", grid.batch(), grid.interval_s());
    match grid.zone() {
        Some(zone) => format!("{text}, days of {zone}"),
        None => text,
    }
}
