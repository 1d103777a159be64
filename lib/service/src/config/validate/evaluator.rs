//! The evaluator.

use super::super::Settings;
use super::{Check, positive, range};

pub(super) fn evaluator(settings: &Settings) -> Check {
    let evaluator = &settings.evaluator;
    range("evaluator.threads", evaluator.threads, 0, 1_024)?;
    range("evaluator.max_bits", evaluator.max_bits, 1, wire::MAX_BITS)?;
    range("evaluator.max_sums", evaluator.max_sums, 1, 10_000_000)?;
    positive("evaluator.keep", evaluator.keep)
}
