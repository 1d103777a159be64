//! What each meter of a simulated fleet enters: what an attack on one household is after.

use std::collections::BTreeMap;

use anyhow::Result;
use meter::Scale;
use readings::{MicroWattHours, Reading, Simulated, Source as _, clamp};
use service::Settings;
use wire::{Grid, MeterId, UnixSeconds, WindowStart};

/// What each meter of the simulated fleet enters, in Wh, by window and interval, from its first window on.
///
/// # Errors
/// The settings are of no simulated fleet.
pub fn entered(
    settings: &Settings,
    grid: Grid,
    scale: Scale,
    (first, windows): (WindowStart, u64),
) -> Result<BTreeMap<(MeterId, WindowStart), Vec<i64>>> {
    let interval_s = grid.interval_s();
    let mut source = Simulated::new(&meter::simulated(settings))?;
    let specs = source.meters().to_vec();
    let mut remainders = vec![MicroWattHours(0); specs.len()];
    let mut entered: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    let end = grid.after(first, windows).0;
    for start in (first.0..end).step_by(interval_s as usize) {
        let start = UnixSeconds(start);
        let mut readings = Vec::new();
        source.read(start, interval_s, &mut readings)?;
        let window = grid.window_of(start);
        for ((spec, reading), remainder) in specs.iter().zip(readings).zip(&mut remainders) {
            // A simulated meter has every reading.
            let Reading::Energy(energy) = reading else {
                continue;
            };
            let (energy, _) = clamp(energy, spec.capacity_w, interval_s);
            let (wh, rest) = meter::quantise(energy, *remainder, scale);
            *remainder = rest;
            let of_meter = entered.entry((spec.id.clone(), window)).or_default();
            of_meter.push(wh.0);
        }
    }
    Ok(entered)
}
