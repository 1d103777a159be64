//! CKKS with one product, on ciphertexts without masks: what additions cannot do. OpenFHE encrypts, multiplies and rotates.

use anyhow::{Result, ensure};
use openfhe::levelled::{KEY_PARTS, Levelled, SLOTS, Sum};
use openfhe::secret::{LevelledSecret, generate_levelled};

use super::{BAND, Operation, Size, error, median};
use crate::peers::work::{BATCH, Work};
use harness::usage::thread_time;

/// Bytes of a report: two polynomials of 4096 residues, of 60 and of 40 bits.
const BYTES: usize = 2 * 4_096 * (60 + 40) / 8;

/// What is done with the reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    /// The squares of all reports, added up: the full variance.
    Squares,
    /// The readings of a band of all reports: weights on the slots, and the slots added up by rotations.
    Tariff,
}

/// The product that an operation is.
pub(super) fn product(operation: &str) -> Option<Product> {
    match operation {
        "squares" => Some(Product::Squares),
        "tariff" => Some(Product::Tariff),
        _ => None,
    }
}

struct Parties {
    secret: LevelledSecret,
    context: Levelled,
    keys_bytes: usize,
}

pub(super) fn measure(
    (operation, product): (&'static str, Product),
    work: &Work,
    size: Size,
) -> Result<Operation> {
    let parties = Parties::new()?;
    let context = &parties.context;
    let mut sum = context.zero()?;
    let (mut client, mut server) = (Vec::new(), Vec::new());
    for reports in work.readings.chunks(size.reports) {
        let began = thread_time();
        let sealed = reports.iter().map(|report| slots(report, work));
        let sealed = sealed.map(|slots| Ok(context.encrypt(&slots)?));
        let sealed: Vec<Sum> = sealed.collect::<Result<_>>()?;
        let encrypted = thread_time();
        for report in &sealed {
            match product {
                Product::Squares => context.add_square(&mut sum, report)?,
                Product::Tariff => context.add(&mut sum, report)?,
            }
        }
        let added = thread_time();
        let each = |from: std::time::Duration, to: std::time::Duration| {
            (to - from).as_secs_f64() * 1e6 / reports.len() as f64
        };
        client.push(each(began, encrypted));
        server.push(each(encrypted, added));
    }
    let began = thread_time();
    match product {
        Product::Squares => context.relinearise(&mut sum)?,
        Product::Tariff => {
            let is_in = |slot| if BAND.contains(&slot) { 1.0 } else { 0.0 };
            context.weigh(&mut sum, &(0..SLOTS).map(is_in).collect::<Vec<_>>())?;
            context.sum_slots(&mut sum)?;
        }
    }
    context.rescale(&mut sum)?;
    let opened = parties.secret.open(context, &sum)?;
    let answer_ms = (thread_time() - began).as_secs_f64() * 1e3;
    let (found, truth) = both(product, &opened, work);
    let error = error(&found, &truth);
    Ok(Operation {
        operation,
        system: "OpenFHE, without masks",
        parameters: "N=4096 [60, 40], scale 2^40".to_owned(),
        client_us: Some(median(&client)?),
        bytes: Some(BYTES as f64),
        server_us: Some(median(&server)?),
        answer_ms: Some(answer_ms),
        sum_bytes: Some(8 * 2 * 2 * 4_096),
        keys_bytes: parties.keys_bytes,
        right: error < 1e-3,
        error,
    })
}

impl Parties {
    fn new() -> Result<Self> {
        let mut context = Levelled::new()?;
        let secret = generate_levelled(&context)?;
        let mut keys_bytes = 0;
        for part in 0..KEY_PARTS {
            let words = secret.key(part)?;
            // Of the public key the server needs nothing.
            keys_bytes += if part > 0 { 8 * words.len() } else { 0 };
            context.set_key(part, &words)?;
        }
        ensure!(BATCH <= SLOTS, "a report has more readings than slots");
        Ok(Self {
            secret,
            context,
            keys_bytes,
        })
    }
}

/// As shares of the reference; the slots beyond are zero.
fn slots(report: &[i64], work: &Work) -> Vec<f64> {
    let mut slots = vec![0.0; SLOTS];
    for (slot, wh) in slots.iter_mut().zip(report) {
        *slot = *wh as f64 / work.reference_wh as f64;
    }
    slots
}

fn both(product: Product, opened: &[f64], work: &Work) -> (Vec<f64>, Vec<f64>) {
    let reference = work.reference_wh as f64;
    let all = |k: usize, of: fn(f64) -> f64| {
        let reports = work.readings.iter();
        reports.map(|report| of(report[k] as f64)).sum::<f64>()
    };
    match product {
        Product::Squares => {
            let found = opened[..BATCH]
                .iter()
                .map(|sum| sum * reference * reference);
            let truth = (0..BATCH).map(|k| all(k, |wh| wh * wh));
            (found.collect(), truth.collect())
        }
        Product::Tariff => {
            let truth = BAND.map(|k| all(k, |wh| wh)).sum();
            (vec![opened[0] * reference], vec![truth])
        }
    }
}
