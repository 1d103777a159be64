//! One encrypted bit of a sum: is it at its rating or over it.

use anyhow::Result;
use harness::comparison::Keys;
use openfhe::SignKeys;
use packed::RING;
use packed::layout::{Encoding, Layout, Shape};
use packed::noise;

use super::{Operation, Size};
use crate::peers::work::{BATCH, Work};

/// How often a sum is compared.
const COMPARED: usize = 4;

pub(super) fn measure(work: &Work, size: Size) -> Result<Operation> {
    let keys = Keys::generate()?;
    let meters = u32::try_from(size.reports)?;
    let norms = keys.norms();
    let profile = noise::choose(Layout::Profile, work.reference_wh, meters, &norms);
    let quantum_wh = noise::quantum_wh(profile, &norms, work.reference_wh, meters);
    let shape = Shape::new(Layout::Profile, u16::try_from(BATCH)?)?;
    let encoding = Encoding::new(profile, shape, work.reference_wh, quantum_wh, None)?;
    let quantum = i64::try_from(quantum_wh)?;
    let whole = |wh: &i64| wh / quantum * quantum;
    let reports: Vec<Vec<i64>> = (work.readings.iter().take(size.reports))
        .map(|report| report.iter().map(whole).collect())
        .collect();
    let sum = keys.sum(&encoding, &reports)?;
    let bound = 2 * u64::from(meters) * work.reference_wh / quantum_wh;
    let mut cases = Vec::with_capacity(COMPARED);
    for index in 0..COMPARED {
        // Ratings of half of the load and of twice it.
        let at = if index % 2 == 0 {
            sum.quanta[index] / 2
        } else {
            2 * sum.quanta[index]
        };
        cases.push(keys.is_at_least(&sum, index, (at, bound))?);
    }
    let seconds: f64 = cases.iter().map(|case| case.cost_s).sum();
    let margin = cases.iter().map(|case| case.error_wh).fold(0.0, f64::max);
    let greatest = sum.quanta.iter().map(|quanta| quanta * quantum).max();
    Ok(Operation {
        operation: "comparison",
        system: "Cipherwatt",
        parameters: format!("{} profile, FHEW at 128 bits", profile.name),
        client_us: None,
        bytes: None,
        server_us: None,
        answer_ms: Some(seconds * 1e3 / COMPARED as f64),
        sum_bytes: Some(8 * (RING.dimension + shape.coefficients())),
        keys_bytes: usize::try_from(SignKeys::FILE_LEN)?,
        memory_bytes: None,
        error: margin / greatest.unwrap_or(1).max(1) as f64,
        right: cases.iter().all(|case| case.value == case.truth),
    })
}
