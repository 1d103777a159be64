//! TenSEAL, as `bench/peers/peers.py` uses it.

use anyhow::Result;
use tokio::process::Command;

use super::{BAND, Operation, Size, error, median};
use crate::peers::process::Process;
use crate::peers::protocol::{Measured, Opened, Prepared, Request};
use crate::peers::venv;
use crate::peers::work::Work;

/// The peer that does an operation, if TenSEAL can do it.
pub(super) fn peer(operation: &str) -> Option<&'static str> {
    match operation {
        "sum" => Some("tenseal"),
        "squares" => Some("tenseal-squares"),
        "tariff" => Some("tenseal-tariff"),
        _ => None,
    }
}

pub(super) async fn measure(
    (operation, peer): (&'static str, &'static str),
    work: &Work,
    size: Size,
) -> Result<Operation> {
    let mut command = Command::new(venv::interpreter(venv::TENSEAL).await?);
    command.args(["-u", "-c", venv::PROGRAM, peer]);
    let mut process = Process::start(&mut command)?;
    let prepared: Prepared = process
        .ask(&Request::Prepare {
            readings: (&work.readings[..]).into(),
            reference_wh: work.reference_wh,
        })
        .await?;
    let (mut client, mut server, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..size.rounds {
        let first = round * size.reports;
        let reports: Vec<usize> = (first..first + size.reports).collect();
        let measured: Measured = process
            .ask(&Request::Round {
                reports: reports.into(),
            })
            .await?;
        let measured = measured.checked()?;
        let each = |stages: &std::collections::BTreeMap<String, f64>| {
            stages.values().sum::<f64>() * 1e6 / measured.reports
        };
        client.push(each(&measured.client));
        server.push(each(&measured.server));
        bytes.push(measured.bytes as f64 / measured.reports);
    }
    let opened: Opened = process.ask(&Request::Finish).await?;
    let error = error(&opened.totals_wh, &truth(operation, work, &opened.included));
    Ok(Operation {
        operation,
        system: "TenSEAL",
        parameters: prepared.describe,
        client_us: Some(median(&client)?),
        bytes: Some(median(&bytes)?),
        server_us: Some(median(&server)?),
        answer_ms: None,
        sum_bytes: None,
        keys_bytes: prepared.keys_bytes,
        memory_bytes: process.peak_bytes(),
        right: error < 1e-3,
        error,
    })
}

fn truth(operation: &str, work: &Work, included: &[usize]) -> Vec<f64> {
    let reports = || {
        included
            .iter()
            .filter_map(|index| work.readings.get(*index))
    };
    let of = |k: usize, of: fn(f64) -> f64| reports().map(|report| of(report[k] as f64)).sum();
    let batch = crate::peers::work::BATCH;
    match operation {
        "squares" => (0..batch).map(|k| of(k, |wh| wh * wh)).collect(),
        "tariff" => vec![BAND.map(|k| -> f64 { of(k, |wh| wh) }).sum()],
        _ => (0..batch).map(|k| of(k, |wh| wh)).collect(),
    }
}
