//! The page over HTTP: a handful of files that are part of the binary, and one stream of events.
//!
//! There is no login. What keeps others out is the address, loopback unless a setting says otherwise, and that a browser
//! lets no other site read from here: no answer allows another origin, and a request whose `Host` is a name somebody
//! else could point at this machine (DNS rebinding) is refused.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use futures_util::stream;
use service::Stop;
use service::telemetry::is_own_host;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;
use tokio_io_timeout::TimeoutStream;

use crate::state::{Frame, Live, Page};

/// A page that takes nothing for this long is dropped.
const STALLED: Duration = Duration::from_secs(10);

/// How soon a page that lost its stream connects again.
const RETRY: Duration = Duration::from_millis(500);

/// Everything the page is made of: path, type, content.
const FILES: [(&str, &str, &[u8]); 9] = [
    ("/", HTML, include_bytes!("../assets/index.html")),
    ("/live.css", CSS, include_bytes!("../assets/live.css")),
    ("/main.js", JS, include_bytes!("../assets/main.js")),
    ("/state.js", JS, include_bytes!("../assets/state.js")),
    ("/view.js", JS, include_bytes!("../assets/view.js")),
    ("/chart.js", JS, include_bytes!("../assets/chart.js")),
    (
        "/favicon.svg",
        "image/svg+xml",
        include_bytes!("../assets/favicon.svg"),
    ),
    (
        "/uplot.js",
        JS,
        include_bytes!("../vendor/uplot/uPlot.iife.min.js"),
    ),
    (
        "/uplot.css",
        CSS,
        include_bytes!("../vendor/uplot/uPlot.min.css"),
    ),
];

/// Where the chart library's licence is, since its files are passed on.
const LICENCE: (&str, &[u8]) = (
    "/uplot-licence.txt",
    include_bytes!("../vendor/uplot/LICENSE"),
);

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Nothing from elsewhere, nothing inline, in no other site's frame.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/// The page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The address is not loopback, and `operator.live_remote` is not set.
    #[error(
        "the live page listens on loopback only, not on {listen}: whoever reaches it can read it; operator.live_remote = true allows it"
    )]
    NotLoopback {
        /// `operator.live_listen`.
        listen: SocketAddr,
    },
    /// The address is in use or not this machine's.
    #[error("cannot listen on {listen} for the live page")]
    Listen {
        /// `operator.live_listen`.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// Serves the page until the stop fires; with `remote` also beyond loopback. Returns the bound address, which differs
/// from `listen` if its port is 0.
///
/// # Errors
/// The address cannot be bound, or is not loopback without `remote`.
///
/// ```
/// use live::{About, Live, Metrics, Source};
/// use service::Stop;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (_handle, stop) = Stop::manual();
/// let live = Live::new(About {
///     source: Source::Operator,
///     deployment: "dev".to_owned(),
///     input: None,
///     load: false,
///     min_meters: None,
///     intervals: 1_000,
///     max_feeders: 10,
/// });
/// let address = live::serve(live.clone(), "127.0.0.1:0".parse()?, false, stop.clone()).await?;
/// tokio::spawn(live::watch(live, &Metrics::NONE, stop));
/// println!("http://{address}");
/// # Ok(())
/// # }
/// ```
pub async fn serve(
    live: Live,
    listen: SocketAddr,
    remote: bool,
    stop: Stop,
) -> Result<SocketAddr, LiveError> {
    if !remote && !listen.ip().is_loopback() {
        return Err(LiveError::NotLoopback { listen });
    }
    let error = |source| LiveError::Listen { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(error)?;
    let bound = listener.local_addr().map_err(error)?;
    let routes = routes(live, stop.clone(), remote);
    tokio::spawn(async move {
        let until = async move { stop.stopped().await };
        let served = axum::serve(Patient(listener), routes)
            .with_graceful_shutdown(until)
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the live page ended");
        }
    });
    tracing::info!(address = %bound, "live page at http://{bound}");
    Ok(bound)
}

fn routes(live: Live, stop: Stop, remote: bool) -> Router {
    let files = FILES
        .into_iter()
        .chain([(LICENCE.0, TEXT, LICENCE.1)])
        .fold(Router::new(), |router, (path, kind, content)| {
            router.route(path, get(async move || ([(CONTENT_TYPE, kind)], content)))
        });
    files
        .route("/events", get(events))
        .with_state((live, stop))
        .layer(middleware::from_fn(move |request, next| {
            guard(remote, request, next)
        }))
}

/// Refuses who should not be here, and says in every answer what the browser must not do.
async fn guard(remote: bool, request: Request, next: Next) -> Response {
    let mut response = match check(remote, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => (StatusCode::FORBIDDEN, [(CONTENT_TYPE, TEXT)], problem).into_response(),
    };
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn check(remote: bool, request: &Request) -> Result<(), &'static str> {
    let header = |name| {
        let value = request.headers().get(name);
        value.map(|value: &HeaderValue| value.to_str().unwrap_or_default())
    };
    // HTTP/1.1 demands a Host, and only one address of many is asked for without one.
    let host = header(HOST).unwrap_or_default();
    if !is_own_host(host, remote) {
        return Err("Host must be this machine's address or localhost\n");
    }
    match header(ORIGIN) {
        Some(origin) if origin.split_once("://").map(|(_, origin)| origin) != Some(host) => {
            Err("this page is for itself only\n")
        }
        _ => Ok(()),
    }
}

/// The state, and what changes from then on. Ends when the stop fires or the page is too far behind.
async fn events(State((live, stop)): State<(Live, Stop)>) -> Response {
    let Some(page) = live.connect() else {
        let problem = "too many pages are open\n";
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            [(CONTENT_TYPE, TEXT)],
            problem,
        )
            .into_response();
    };
    let first = event(&page.snapshot).retry(RETRY);
    let stream = stream::unfold(
        (page, stop, Some(first)),
        |(mut page, stop, first)| async move {
            let event = match first {
                Some(first) => first,
                None => next(&mut page, &stop).await?,
            };
            Some((Ok::<_, Infallible>(event), (page, stop, None)))
        },
    );
    Sse::new(stream)
        .keep_alive(KeepAlive::default())
        .into_response()
}

async fn next(page: &mut Page, stop: &Stop) -> Option<Event> {
    tokio::select! {
        () = stop.stopped() => None,
        change = page.changes.recv() => match change {
            Ok(frame) => Some(event(&frame)),
            Err(RecvError::Lagged(_) | RecvError::Closed) => None,
        }
    }
}

fn event(frame: &Frame) -> Event {
    Event::default()
        .event(frame.kind)
        .id(frame.sequence.to_string())
        .data(&*frame.data)
}

/// A listener whose connections end when the other side takes nothing for [`STALLED`].
struct Patient(TcpListener);

impl Listener for Patient {
    type Io = Pin<Box<TimeoutStream<TcpStream>>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(STALLED));
        (Box::pin(stream), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

#[cfg(test)]
mod tests;
