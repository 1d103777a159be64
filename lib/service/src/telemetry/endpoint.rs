//! Where Prometheus scrapes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;

use super::recorder::{drain_metrics, install_metrics, render_metrics};
use crate::mqtt;
use crate::stop::Stop;

/// The endpoint cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen} for metrics")]
pub struct EndpointError {
    listen: SocketAddr,
    source: io::Error,
}

/// Serves `GET /metrics` in the Prometheus text format and `GET /health`, until the stop fires. `/health` is 503
/// while the broker refuses a subscription.
/// Returns the bound address, which differs from `listen` if its port is 0.
///
/// # Errors
/// If the address is in use or cannot be bound.
pub async fn serve_metrics(listen: SocketAddr, stop: Stop) -> Result<SocketAddr, EndpointError> {
    let error = |source| EndpointError { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(error)?;
    let bound = listener.local_addr().map_err(error)?;
    install_metrics();
    let upkeep = tokio::spawn(async {
        // Histograms collect samples until they are drained, even if nobody scrapes.
        let mut every = tokio::time::interval(Duration::from_secs(5));
        loop {
            every.tick().await;
            drain_metrics();
        }
    });
    tokio::spawn(async move {
        let until = async move { stop.stopped().await };
        let served = axum::serve(listener, routes())
            .with_graceful_shutdown(until)
            .await;
        upkeep.abort();
        if let Err(error) = served {
            tracing::error!(%error, "the metrics endpoint ended");
        }
    });
    tracing::info!(address = %bound, "metrics at http://{bound}/metrics");
    Ok(bound)
}

fn routes() -> Router {
    let format = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Router::new()
        .route("/metrics", get(async move || (format, render_metrics())))
        .route("/health", get(async || health()))
}

/// A process without its subscriptions is up and cannot work.
fn health() -> (StatusCode, String) {
    let refused = mqtt::health::refused();
    match refused.is_empty() {
        true => (StatusCode::OK, "ok\n".to_owned()),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "the broker refuses the subscription to {}\n",
                refused.join(", ")
            ),
        ),
    }
}
