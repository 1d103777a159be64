//! A web page in a browser on the machine of a service, under a name that its owner points there.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::chaos::serve::Role;
use harness::process::free_address;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::gain::Gain;
use super::stage::Ground;

const REQUEST: &[u8] =
    b"GET /metrics HTTP/1.1\r\nHost: evil.example:9465\r\nConnection: close\r\n\r\n";

/// Reads the operator's metrics.
pub(super) async fn metrics(ground: Ground) -> Result<Gain> {
    let address = free_address()?;
    let mut stage = ground.stage((1, 1), |settings| {
        settings.operator.metrics_listen = Some(address);
    })?;
    stage.run(&[Role::Broker, Role::Operator])?;
    let onlooker = stage.outsider("onlooker")?;
    let runs = onlooker.until("the operator's plan", |seen| seen.plan.is_some());
    runs.await?;
    let asks = async {
        let mut page = TcpStream::connect(address).await?;
        page.write_all(REQUEST).await?;
        let mut answer = String::new();
        page.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), asks).await;
    let answer = answer.context("no answer")??;
    let lines = answer
        .lines()
        .filter(|line| line.starts_with("cipherwatt_"));
    let lines = lines.count();
    let status = answer.lines().next().unwrap_or_default().to_owned();
    Ok(Gain::of(
        lines > 0,
        format!("{lines} metrics of the operator"),
        status,
    ))
}
