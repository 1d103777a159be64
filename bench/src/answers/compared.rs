//! What the evaluator compares: is a feeder over its rating, and which is the largest.

use harness::comparison::demo::Asked;
use serde_json::{Value, json};

use super::Answer;

/// Of three feeders, whether the load was at the rating or over it, in the interval of the greatest and of the least sum.
pub(super) fn overload(asked: &Asked) -> Answer {
    let of = |show: fn(&harness::comparison::Compared) -> Value| -> Value {
        asked.overload.iter().map(show).collect()
    };
    let seconds: f64 = asked.overload.iter().map(|one| one.cost_s).sum();
    Answer {
        value: of(|one| json!(one.value)),
        truth: of(|one| json!(one.truth)),
        error: of(
            |one| json!({"margin_wh": one.error_wh.ceil(), "difference_wh": one.difference_wh}),
        ),
        parameters: parameters(asked),
        cost: json!({"bits": asked.overload.len(), "wall_s": seconds, "keys_s": asked.keys_s}),
        right: asked.is_right(),
        said: format!(
            "{} of {} sums of 3 feeders are at their rating or over it, within {:.0} Wh",
            asked.overload.iter().filter(|one| one.value).count(),
            asked.overload.len(),
            asked
                .overload
                .iter()
                .map(|one| one.error_wh)
                .fold(0.0, f64::max)
                .ceil()
        ),
    }
}

/// Which of the three feeders consumed most in the first interval.
pub(super) fn maximum(asked: &Asked) -> Answer {
    let ranked = &asked.maximum;
    Answer {
        value: json!(ranked.value),
        truth: json!(ranked.truth),
        error: json!({"margin_wh": ranked.error_wh.ceil()}),
        parameters: parameters(asked),
        cost: json!({"bits": ranked.signs, "wall_s": ranked.cost_s, "keys_s": asked.keys_s}),
        right: ranked.value == ranked.truth,
        said: format!(
            "feeder {} of 3 is the largest, in truth feeder {}",
            ranked.value + 1,
            ranked.truth + 1
        ),
    }
}

fn parameters(asked: &Asked) -> Value {
    json!({"meters": asked.meters, "ratings_wh": asked.ratings_wh, "bits_of_input": compare::SIGN_BITS,
        "scheme": "FHEW, 128 bits, OpenFHE"})
}
