//! CKKS with one product, on ciphertexts without masks: what additions cannot do. Both rows compute sum and squares, one a band too.

use anyhow::{Result, ensure};
use harness::levelled::Parties;
use harness::usage::thread_time;
use openfhe::levelled::{Levelled, PRODUCT_BYTES, REPORT_BYTES, SLOTS};
use operator::levelled::Opened;
use service::config::Settings;

use super::{BAND, Operation, Size, error, median};
use crate::peers::work::{BATCH, Work};

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
        "products" => Some(Product::Squares),
        "tariff" => Some(Product::Tariff),
        _ => None,
    }
}

pub(super) fn measure(
    settings: &Settings,
    (operation, product): (&'static str, Product),
    work: &Work,
    size: Size,
) -> Result<Operation> {
    ensure!(BATCH <= SLOTS, "a report has more readings than slots");
    let parties = Parties::new(settings)?;
    let mut reports = parties.products.reports()?;
    let (mut client, mut server) = (Vec::new(), Vec::new());
    for readings in work.readings.chunks(size.reports) {
        let began = thread_time();
        let sealed = readings.iter();
        let sealed = sealed.map(|report| parties.seal(report, work.reference_wh));
        let sealed: Vec<Vec<u8>> = sealed.collect::<Result<_>>()?;
        let encrypted = thread_time();
        for report in &sealed {
            reports.add(report)?;
        }
        let added = thread_time();
        let each = |from: std::time::Duration, to: std::time::Duration| {
            (to - from).as_secs_f64() * 1e6 / readings.len() as f64
        };
        client.push(each(began, encrypted));
        server.push(each(encrypted, added));
    }
    let began = thread_time();
    let answer = match product {
        Product::Squares => reports.compute(&[])?,
        Product::Tariff => {
            let is_in = |slot| f64::from(BAND.contains(&slot));
            reports.compute(&[std::array::from_fn(is_in)])?
        }
    };
    let opened = parties.opener.open(&answer, work.reference_wh)?;
    let answer_ms = (thread_time() - began).as_secs_f64() * 1e3;
    let (found, truth) = both(product, &opened, work);
    let error = error(&found, &truth);
    Ok(Operation {
        operation,
        system: "OpenFHE, without masks",
        // Whatever is asked, the server adds up these two.
        parameters: "N=4096 [60, 40], scale 2^40, with sum and squares".to_owned(),
        client_us: Some(median(&client)?),
        bytes: Some(REPORT_BYTES as f64),
        server_us: Some(median(&server)?),
        answer_ms: Some(answer_ms),
        // The sum, and three polynomials modulo both primes of squares.
        sum_bytes: Some(REPORT_BYTES + 3 * PRODUCT_BYTES),
        keys_bytes: usize::try_from(Levelled::FILE_LEN)?,
        memory_bytes: None,
        right: error < 1e-3,
        error,
    })
}

fn both(product: Product, opened: &Opened, work: &Work) -> (Vec<f64>, Vec<f64>) {
    let all = |k: usize, of: fn(f64) -> f64| {
        let reports = work.readings.iter();
        reports.map(|report| of(report[k] as f64)).sum::<f64>()
    };
    match product {
        Product::Squares => {
            let truth = (0..BATCH).map(|k| all(k, |wh| wh * wh));
            (opened.squares_wh2[..BATCH].to_vec(), truth.collect())
        }
        Product::Tariff => {
            let truth = BAND.map(|k| all(k, |wh| wh)).sum();
            (opened.bands_wh.clone(), vec![truth])
        }
    }
}
