//! What a process says of itself at its metrics endpoint.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A process that does not answer within this is down, for now.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics(String);

impl Metrics {
    /// Asks the endpoint; `None` while nobody answers.
    pub(crate) async fn scrape(address: SocketAddr) -> Option<Self> {
        timeout(PATIENCE, get(address)).await.ok()?
    }

    /// The sum of a metric over all its labels; 0 where it is not there.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let value = match rest.strip_prefix('{') {
                Some(labelled) => labelled.split_once('}')?.1,
                None => rest.strip_prefix(' ')?,
            };
            value.trim().parse::<f64>().ok()
        };
        self.0.lines().filter_map(of).sum()
    }
}

async fn get(address: SocketAddr) -> Option<Metrics> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200")
        .then(|| Metrics(body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_not_over_others() {
        let text = "# HELP a_total x\na_total{status=\"x\"} 3\na_total{status=\"y\"} 4\na_total_more 9\nb 2.5\n";
        let metrics = Metrics(text.to_owned());
        assert_eq!(metrics.sum("a_total"), 7.0);
        assert_eq!(metrics.sum("b"), 2.5);
        assert_eq!(metrics.sum("c"), 0.0);
    }

    #[tokio::test]
    async fn an_endpoint_is_read_and_one_that_is_down_is_none() {
        let (handle, stop) = service::Stop::manual();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let rules = service::config::Metrics::default();
        let address = service::telemetry::serve_metrics(any, &rules, stop);
        let address = address.await.unwrap();
        service::telemetry::build_info("test");
        let metrics = Metrics::scrape(address).await.unwrap();
        assert!(metrics.sum("cipherwatt_build_info") >= 1.0, "{metrics:?}");
        drop(handle);
        let closed = std::net::TcpListener::bind(any).unwrap();
        let free = closed.local_addr().unwrap();
        drop(closed);
        assert!(Metrics::scrape(free).await.is_none());
    }
}
