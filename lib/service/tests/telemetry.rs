//! What Prometheus gets, from a process in which several services share everything.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::net::SocketAddr;

use metrics::{counter, describe_counter, describe_histogram, histogram};
use service::config::{Log, LogFormat, Metrics};
use service::{Stop, telemetry};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

async fn get(address: SocketAddr, path: &str) -> (String, String) {
    get_as(address, path, &address.to_string()).await
}

async fn get_as(address: SocketAddr, path: &str, host: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn serve() -> (SocketAddr, service::StopHandle) {
    let (handle, stop) = Stop::manual();
    let listen = "127.0.0.1:0".parse().unwrap();
    (
        telemetry::serve_metrics(listen, &Metrics::default(), stop)
            .await
            .unwrap(),
        handle,
    )
}

#[tokio::test]
async fn services_that_share_a_process_share_their_metrics() {
    telemetry::install_metrics();
    telemetry::build_info("one");
    telemetry::build_info("two");
    let (first, _one) = serve().await;
    let (second, _two) = serve().await;
    assert_ne!(first, second);
    describe_counter!("cipherwatt_test_shared_total", "A counter of a test");
    counter!("cipherwatt_test_shared_total").increment(3);
    for address in [first, second] {
        let (head, body) = get(address, "/metrics").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(
            head.to_lowercase()
                .contains("content-type: text/plain; version=0.0.4"),
            "{head}"
        );
        assert!(
            body.contains("\ncipherwatt_test_shared_total 3\n"),
            "{body}"
        );
        for service in ["one", "two"] {
            let info = format!("cipherwatt_build_info{{service=\"{service}\"");
            assert!(body.contains(&info), "{body}");
        }
        assert!(body.contains("\nprocess_resident_memory_bytes "), "{body}");
        assert!(body.contains("\nprocess_cpu_seconds_total "), "{body}");
    }
    assert_eq!(get(first, "/health").await.1, "ok\n");
    assert!(get(first, "/").await.0.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn histograms_have_classic_buckets_for_their_unit() {
    telemetry::install_metrics();
    for name in ["seconds", "bytes", "ratio", "reports"] {
        let name = format!("cipherwatt_test_{name}");
        describe_histogram!(name.clone(), "A histogram of a test");
        histogram!(name).record(0.5);
    }
    let text = telemetry::render_metrics();
    assert!(!text.contains("quantile="), "{text}");
    for (name, bound) in [
        ("seconds", "0.00001"),
        ("bytes", "16777216"),
        ("ratio", "0.999"),
        ("reports", "65536"),
    ] {
        let bucket = format!("cipherwatt_test_{name}_bucket{{le=\"{bound}\"}}");
        assert!(text.contains(&bucket), "{bucket} in {text}");
        assert!(
            text.contains(&format!("# TYPE cipherwatt_test_{name} histogram")),
            "{text}"
        );
    }
}

/// What `promtool check metrics` complains of first.
#[tokio::test]
async fn every_metric_has_help_and_a_type() {
    telemetry::install_metrics();
    telemetry::build_info("one");
    let settings = service::Settings::defaults();
    let (_handle, stop) = Stop::manual();
    let _client = service::mqtt::connect(&settings.mqtt, "client", Vec::new(), stop);
    let text = telemetry::render_metrics();
    let named = |prefix: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(prefix));
        lines
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect()
    };
    let (helped, typed) = (named("# HELP "), named("# TYPE "));
    let ours = typed
        .iter()
        .filter(|name| !name.starts_with("cipherwatt_test_"));
    for name in ours {
        assert!(helped.contains(name), "{name} has no help");
    }
    // Counters are there before anything happened.
    for name in [
        "cipherwatt_mqtt_reconnects_total",
        "cipherwatt_mqtt_inbox_dropped_total",
    ] {
        assert!(text.contains(&format!("\n{name} 0\n")), "{name} in {text}");
    }
    let failures = "cipherwatt_mqtt_failures_total{reason=\"oversize\"} 0";
    assert!(text.contains(failures), "{text}");
}

/// A page of another site makes a browser ask under that site's name, which its owner has pointed here.
#[tokio::test]
async fn a_request_under_a_name_that_is_not_this_machines_gets_nothing() {
    let (_handle, stop) = Stop::manual();
    let listen = "127.0.0.1:0".parse().unwrap();
    let rules = Metrics {
        hosts: vec!["broker.grid.example".to_owned()],
        ..Metrics::default()
    };
    let served = telemetry::serve_metrics(listen, &rules, stop)
        .await
        .unwrap();
    for (host, expected) in [
        ("evil.example", "403"),
        ("192.0.2.1:9464", "403"),
        ("", "403"),
        ("localhost:9464", "200"),
        ("Broker.grid.example:9464", "200"),
    ] {
        for path in ["/metrics", "/health"] {
            let (head, body) = get_as(served, path, host).await;
            assert!(
                head.starts_with(&format!("HTTP/1.1 {expected}")),
                "{host}: {head}"
            );
            assert!(expected == "200" || !body.contains("cipherwatt"), "{body}");
        }
    }
}

#[tokio::test]
async fn beyond_loopback_no_metrics_are_served_unless_allowed() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let (_handle, stop) = Stop::manual();
    let refused = telemetry::serve_metrics(everywhere, &Metrics::default(), stop.clone()).await;
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("0.0.0.0:0") && text.contains("metrics.remote"),
        "{text}"
    );
    let rules = Metrics {
        remote: true,
        ..Metrics::default()
    };
    telemetry::serve_metrics(everywhere, &rules, stop)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let (_handle, stop) = Stop::manual();
    let error = telemetry::serve_metrics(address, &Metrics::default(), stop)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&address.to_string()), "{text}");
}

#[tokio::test]
async fn a_stopped_endpoint_frees_its_port() {
    let (address, handle) = serve().await;
    handle.stop();
    let free = async {
        while TcpListener::bind(address).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, free).await.unwrap();
}

#[test]
fn a_level_that_means_nothing_is_refused() {
    for level in ["", "loud=very", "a=b=c", "loud", "info,service"] {
        let log = Log {
            level: level.to_owned(),
            format: LogFormat::Text,
        };
        let error = telemetry::init_logging(&log).unwrap_err().to_string();
        assert!(error.contains("log.level"), "{error}");
        assert!(error.contains("expected error, warn, info"), "{error}");
    }
    for format in [LogFormat::Text, LogFormat::Json] {
        let log = Log {
            level: "warn,service=debug".to_owned(),
            format,
        };
        telemetry::init_logging(&log).unwrap();
        telemetry::init_logging(&log).unwrap();
    }
}
