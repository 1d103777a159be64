//! What products on ciphertexts without masks find.

use harness::levelled::Asked;
use serde_json::{Value, json};

use super::Answer;

/// The sum and the variance of each hour of a day, and the energy in two tariff bands, of all customers.
pub(super) fn levelled(asked: &Asked) -> Answer {
    let found = &asked.found;
    let of = |show: fn(&harness::levelled::Compared) -> Value| -> Value {
        json!({
            "sum_wh": show(&found.sum_wh),
            "variance_wh2": show(&found.variance_wh2),
            "bands_wh": show(&found.bands_wh),
        })
    };
    Answer {
        value: of(|one| json!(one.value)),
        truth: of(|one| json!(one.truth)),
        error: of(|one| json!({"greatest": one.error(), "margin": one.margin})),
        parameters: json!({"meters": asked.meters, "reference_wh": asked.reference_wh, "masks": false,
            "scheme": "CKKS, N=4096 [60, 40], OpenFHE"}),
        cost: json!({"bytes_per_report": asked.report_bytes, "keys_bytes": asked.keys_bytes, "seal_s": asked.seal_s,
            "compute_s": asked.compute_s, "open_s": asked.open_s}),
        right: found.is_right(),
        said: format!(
            "{} customers used {:.0} Wh in the peak band, in truth {:.0} Wh, by products without masks",
            asked.meters, found.bands_wh.value[1], found.bands_wh.truth[1]
        ),
    }
}
