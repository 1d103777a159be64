//! A customer's energy by tariff band, of a month of reports: under masks, and nothing finer than a band is opened.

use anyhow::Result;
use harness::usage::thread_time;
use packed::{ADDITIVE, RING};
use service::config::Settings;

use super::{BAND, Operation, Size, error, median};
use crate::peers::ours::{DAYS, Ours};
use crate::peers::work::{BATCH, Work};

pub(super) fn measure(settings: &Settings, work: &Work, size: Size) -> Result<Operation> {
    // The reports of so many customers stand for a month of one's.
    let mut work = work.clone();
    work.readings.truncate(DAYS);
    let ours = Ours::new(settings, &work, Some(&ADDITIVE))?;
    let bands: Vec<u8> = (0..BATCH).map(|k| u8::from(BAND.contains(&k))).collect();
    let reports: Vec<usize> = (0..DAYS).collect();
    let (mut client, mut server, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut found, mut truth, mut bytes) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..size.rounds {
        let billed = ours.bill(&reports, &bands)?;
        client.push(billed.client_us);
        server.push(billed.server_us);
        bytes = billed.bytes;
        let began = thread_time();
        let [opened, entered] = ours.open_bill(&billed, &bands)?;
        answers.push((thread_time() - began).as_secs_f64() * 1e3);
        found.extend(opened.map(|wh| wh as f64));
        truth.extend(entered.map(|wh| wh as f64));
    }
    let error = error(&found, &truth);
    let shape = ours.encoding().shape;
    Ok(Operation {
        operation: "bills",
        system: "Cipherwatt",
        parameters: format!("{} profile, {DAYS} reports a bill", ADDITIVE.name),
        client_us: Some(median(&client)?),
        bytes: Some(bytes),
        server_us: Some(median(&server)?),
        answer_ms: Some(median(&answers)?),
        // A word for each coefficient that is added and kept, and one for each band.
        sum_bytes: Some(8 * (RING.dimension + shape.coefficients() - shape.checks().start + 2)),
        keys_bytes: 0,
        memory_bytes: None,
        right: error == 0.0,
        error,
    })
}
