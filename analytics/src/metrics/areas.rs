//! Rests of areas.

use metrics::counter;

/// Its name and help.
pub(super) const RESTS: (&str, &str) = (
    "cipherwatt_analytics_area_rests_total",
    "Releases that are the rest of an area: sums of several feeders, each too small to be released",
);

pub(crate) fn rest() {
    counter!(RESTS.0).increment(1);
}
