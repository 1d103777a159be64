//! Reads of a register.
//!
//! The written rules: an interval has a read within a minute of both its ends, of several the nearest, of two as near the earlier; one
//! in which the register falls is missing, unless it went over a power of ten of at least 10,000 kWh to at most a hundredth of that.

use anyhow::Result;

use super::NONE;
use super::series::Series;

/// 10,000 kWh in millionths of a watt-hour.
const LEAST: i128 = 10_000_000_000_000;

/// Adds the intervals between reads, in the order of time.
pub(super) fn intervals(reads: &[(u64, i64)], step_s: u64, series: &mut Series) -> Result<()> {
    let reads: Vec<(u64, i64)> = reads
        .iter()
        .copied()
        .filter(|(_, value)| *value != NONE)
        .collect();
    let near = 60.min((step_s - 1) / 2);
    let mut ends: Vec<(u64, usize)> = Vec::new();
    for (place, (at, _)) in reads.iter().enumerate() {
        let end = (at + near) / step_s * step_s;
        if at.abs_diff(end) > near {
            continue;
        }
        match ends.last_mut() {
            Some((known, other)) if *known == end => {
                if at.abs_diff(end) < reads[*other].0.abs_diff(end) {
                    *other = place;
                }
            }
            _ => ends.push((end, place)),
        }
    }
    for pair in ends.windows(2) {
        if pair[1].0 - pair[0].0 != step_s {
            continue;
        }
        let between = &reads[pair[0].1..=pair[1].1];
        let steps = between.windows(2).map(|pair| counted(pair[0].1, pair[1].1));
        let energy: Option<i128> = steps.sum();
        series.add(
            pair[0].0,
            step_s,
            energy.and_then(|energy| i64::try_from(energy).ok()),
        );
    }
    Ok(())
}

/// What was used while the register went from one figure to another; `None` if it is another register.
fn counted(from: i64, to: i64) -> Option<i128> {
    let (from, to) = (i128::from(from), i128::from(to));
    if to >= from {
        return Some(to - from);
    }
    let mut power = LEAST;
    while power <= from {
        power *= 10;
    }
    let used = power - from + to;
    (to >= 0 && used * 100 <= power).then_some(used)
}
