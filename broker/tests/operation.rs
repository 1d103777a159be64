//! What an operator of the broker relies on: metrics and log of refusals, new certificates, a quick restart.

#![allow(clippy::unwrap_used, reason = "tests")]

mod client;
mod running;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::Client;
use running::{Running, command};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How long a broker may take from its start to its first message.
const RESTART: Duration = Duration::from_secs(2);

fn certificates(folder: &Path, name: &str) {
    let made = command(folder)
        .args(["certs", "--dev", name])
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success());
}

/// What `/metrics` has.
async fn metrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_refused_message_is_counted_by_reason_and_logged_with_the_identity() {
    let folder = tempfile::tempdir().unwrap();
    let mut passwd = command(folder.path())
        .args(["passwd", "users", "dashboard.wall"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut passwd.stdin.take().unwrap(), b"correct horse").unwrap();
    assert!(passwd.wait().unwrap().success());
    let settings = [
        "--set",
        "broker.identity=password",
        "--set",
        "broker.password_file=users",
    ];
    let mut broker = Running::start(folder.path(), &settings);
    let scraped = broker.line("metrics at")["address"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let address = broker.address();
    let counted = "\ncipherwatt_broker_refused_total{reason=\"not_allowed\"} ";
    assert!(metrics(scraped).await.contains(&format!("{counted}0\n")));
    let login = Some(("dashboard.wall", "correct horse"));
    let mut client = Client::connect(address, "", login).await.unwrap();
    client
        .publish("cipherwatt/v2/plan/renewal", b"!", false)
        .await;
    let line = broker.line("refused what a client published");
    assert_eq!(
        (line["identity"].as_str(), line["reason"].as_str()),
        (Some("dashboard.wall"), Some("not_allowed")),
        "{line}"
    );
    let after = metrics(scraped).await;
    assert!(after.contains(&format!("{counted}1\n")), "{after}");
}

/// A session over TLS, by the certificate of a dashboard, with a broker whose authority is that of `trusted`.
async fn session(
    folder: &Path,
    trusted: &str,
    address: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    let authority = folder.join(trusted).join("ca.crt");
    roots
        .add(CertificateDer::from_pem_file(authority).unwrap())
        .unwrap();
    let own = folder.join("certs/dashboard.dashboard-1.crt");
    let key = PrivateKeyDer::from_pem_file(own.with_extension("key")).unwrap();
    let chain = vec![CertificateDer::from_pem_file(own).unwrap()];
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let stream = TcpStream::connect(address).await?;
    let name = "localhost".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    stream
        .write_all(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00")
        .await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, [0x20, 2, 0, 0]);
    Ok(stream)
}

#[tokio::test]
async fn a_hangup_shows_a_new_certificate_and_keeps_open_connections() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    certificates(folder, "certs");
    certificates(folder, "new");
    let mut broker = Running::start(folder, &["--config", "certs/broker.toml"]);
    let address = broker.address();
    let mut open = session(folder, "certs", address).await.unwrap();
    for file in ["broker.crt", "broker.key"] {
        fs::copy(
            folder.join("new").join(file),
            folder.join("certs").join(file),
        )
        .unwrap();
    }
    broker.hang_up();
    broker.line("certificates and users were read again");
    open.write_all(&[0xc0, 0]).await.unwrap();
    let mut pong = [0; 2];
    open.read_exact(&mut pong).await.unwrap();
    assert_eq!(pong, [0xd0, 0], "it is still connected");
    assert!(session(folder, "new", address).await.is_ok());
    assert!(session(folder, "certs", address).await.is_err());
}

#[tokio::test]
async fn a_broker_that_was_killed_serves_again_within_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Running::start(folder.path(), &[]);
    let address = broker.address();
    let client = Client::connect(address, "a", None).await.unwrap();
    drop(broker);
    let start = Instant::now();
    let mut broker = Running::start(
        folder.path(),
        &["--set", &format!("broker.listen={address}")],
    );
    assert_eq!(broker.address(), address);
    let mut again = Client::connect(address, "a", None).await.unwrap();
    assert_eq!(again.subscribe("t").await, 1);
    again.publish("t", b"back", false).await;
    assert_eq!(again.next().await, Some(("t".to_owned(), b"back".to_vec())));
    let took = start.elapsed();
    assert!(took < RESTART, "{took:?}");
    drop(client);
}
