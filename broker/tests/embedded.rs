//! The broker as a library: binding, announcing, stopping.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use broker::BrokerError;
use service::mqtt::{self, Event, LinkError, QoS};
use service::{Settings, Stop, telemetry};

const LIMIT: Duration = Duration::from_secs(60);

fn settings(listen: SocketAddr) -> Settings {
    let mut settings = Settings::defaults();
    settings.broker.listen = listen;
    settings
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_the_address() {
    let taken = TcpListener::bind(any_port()).unwrap();
    let address = taken.local_addr().unwrap();
    let error = broker::bind(&settings(address)).await.err().unwrap();
    assert!(
        matches!(error, BrokerError::Bind { listen, .. } if listen == address),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains(&address.to_string()), "{text}");
    assert!(text.contains("broker.listen"), "{text}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_an_error() {
    let elsewhere = settings("192.0.2.1:0".parse().unwrap());
    let error = broker::bind(&elsewhere).await.err().unwrap();
    assert!(matches!(error, BrokerError::Bind { .. }), "{error}");
}

#[tokio::test]
async fn stopping_disconnects_clients_and_frees_the_port() {
    let (handle, stop) = Stop::manual();
    let broker = broker::bind(&settings(any_port())).await.unwrap();
    let address = broker.address();
    let task = tokio::spawn(broker.run(stop));
    assert_ne!(address.port(), 0);

    let mut client = Settings::defaults().mqtt;
    client.address = address.to_string();
    let (_stop_client, client_stop) = Stop::manual();
    let filters = vec![("t".to_owned(), QoS::AtLeastOnce)];
    let (_publisher, mut inbox) = mqtt::connect(&client, "client", filters, client_stop);
    assert!(matches!(inbox.recv().await, Some(Event::Connected)));

    handle.stop();
    tokio::time::timeout(LIMIT, task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    TcpListener::bind(address).unwrap();
    let event = tokio::time::timeout(LIMIT, inbox.recv()).await.unwrap();
    let Some(Event::Disconnected { error }) = event else {
        panic!("the client is still connected: {event:?}");
    };
    assert!(matches!(error, LinkError::Lost { .. }), "{error:?}");
}

#[tokio::test]
async fn the_probe_comes_back() {
    telemetry::install_metrics();
    let (handle, stop) = Stop::manual();
    let broker = broker::bind(&settings(any_port())).await.unwrap();
    let task = tokio::spawn(broker.run(stop));
    let probed = async {
        while !telemetry::render_metrics().contains("\ncipherwatt_broker_up 1\n") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, probed).await.unwrap();
    handle.stop();
    task.await.unwrap().unwrap();
}

/// Set in the process that is to panic.
const PANICS: &str = "BROKER_TEST_PANICS";

#[test]
fn a_panic_in_any_thread_ends_the_process_as_failed_with_a_last_line_that_says_so() {
    if std::env::var_os(PANICS).is_some() {
        broker::end_on_panic();
        let _ = std::thread::spawn(|| panic!("on purpose")).join();
        return;
    }
    let name = "a_panic_in_any_thread_ends_the_process_as_failed_with_a_last_line_that_says_so";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(PANICS, "1")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let last = errors.lines().last().unwrap();
    assert!(
        errors.contains("on purpose") && last.contains("the broker ends"),
        "{errors}"
    );
}
