//! Where Prometheus scrapes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use axum::routing::get;
use tokio::net::TcpListener;

use super::host::{is_own_host, without_port};
use super::recorder::{drain_metrics, install_metrics, render_metrics};
use crate::config::Metrics;
use crate::failpoint;
use crate::mqtt;
use crate::stop::Stop;

const NOT_OURS: &str = "Host must be this machine's address, localhost, or one of metrics.hosts\n";

/// The endpoint cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address is in use or cannot be bound.
    #[error("cannot listen on {listen} for metrics")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The address is not loopback, and `metrics.remote` is not set.
    #[error(
        "metrics are served on loopback only, not on {listen}: whoever reaches it can scrape it; metrics.remote = true allows it"
    )]
    Remote {
        /// The address.
        listen: SocketAddr,
    },
}

/// Serves `GET /metrics` in the Prometheus text format and `GET /health`, until the stop fires. `/health` is 503
/// while the broker refuses a subscription. Both are 403 to a request that names another host.
/// Returns the bound address, which differs from `listen` if its port is 0.
///
/// # Errors
/// [`EndpointError`].
pub async fn serve_metrics(
    listen: SocketAddr,
    rules: &Metrics,
    stop: Stop,
) -> Result<SocketAddr, EndpointError> {
    if !listen.ip().is_loopback() && !rules.remote {
        return Err(EndpointError::Remote { listen });
    }
    let error = |source| EndpointError::Listen { listen, source };
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
    let routes = routes(rules.clone());
    tokio::spawn(async move {
        let until = async move { stop.stopped().await };
        let served = axum::serve(listener, routes)
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

fn routes(rules: Metrics) -> Router {
    let format = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Router::new()
        .route("/metrics", get(async move || (format, render_metrics())))
        .route("/health", get(async || health()))
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let allowed = is_allowed(&rules, request.headers());
            async move {
                match allowed {
                    true => next.run(request).await,
                    false => (StatusCode::FORBIDDEN, NOT_OURS).into_response(),
                }
            }
        }))
}

/// Whether the request names this machine as only somebody who means it can.
fn is_allowed(rules: &Metrics, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let name = without_port(host);
    let is_ours = is_own_host(host, rules.remote);
    is_ours
        || failpoint::sabotaged("metrics_host")
        || rules.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
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
