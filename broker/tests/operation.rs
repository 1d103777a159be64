//! What an operator of the broker relies on: metrics and log of refusals, new certificates, a quick restart.

#![allow(clippy::unwrap_used, reason = "tests")]

mod client;
mod running;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::Client;
use running::{Running, command, metric, metrics};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How long a broker may take from its start to its first message.
const RESTART: Duration = Duration::from_secs(2);

/// How long something may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn certificates(folder: &Path, name: &str) {
    let made = command(folder)
        .args(["certs", "--dev", name])
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success());
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
    let scraped = broker.metrics_address();
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
async fn a_hangup_ends_connections_whose_certificates_are_not_accepted_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    certificates(folder, "certs");
    certificates(folder, "new");
    let mut broker = Running::start(folder, &["--config", "certs/broker.toml"]);
    let scraped = broker.metrics_address();
    let address = broker.address();
    fs::copy(folder.join("certs/ca.crt"), folder.join("old.crt")).unwrap();
    let mut open = session(folder, "certs", address).await.unwrap();
    let ends = |of: &str| {
        format!("cipherwatt_broker_certificate_valid_until_seconds{{certificate=\"{of}\"}}")
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for of in ["broker", "authorities", "clients"] {
        let left = metric(scraped, &ends(of)).await - now.as_secs_f64();
        assert!(
            (300.0..11_000.0).contains(&(left / 86_400.0)),
            "{of}: {left} s"
        );
    }
    // The authority that signs clients is another one from now on.
    fs::copy(folder.join("new/ca.crt"), folder.join("certs/ca.crt")).unwrap();
    broker.hang_up();
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, open.read_to_end(&mut rest))
        .await
        .expect("it is still connected");
    let line = broker.line("a connection is refused: dashboard.dashboard-1 is not let in any more");
    assert_eq!(line["reason"], "revoked", "{line}");
    assert_eq!(metric(scraped, &ends("clients")).await, 0.0);
}

/// Peers that connect to a port with TLS and say nothing hold up the listener of rumqttd, which has one TLS handshake at a time.
/// That is not shown here: rumqttd is built without TLS, because what it needs for it has open advisories.
#[tokio::test]
async fn peers_that_never_begin_tls_hinder_nobody_and_are_shown_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    certificates(folder, "certs");
    let limits = ["--set", "broker.handshake_timeout=2s"];
    let with_tls = [&["--config", "certs/broker.toml"], &limits[..]].concat();
    let mut broker = Running::start(folder, &with_tls);
    let address = broker.address();
    let mut silent = Vec::new();
    for _ in 0..32 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let session = timeout(Duration::from_secs(1), session(folder, "certs", address)).await;
    let _open = session.expect("it waits for the silent ones").unwrap();
    for mut peer in silent {
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, peer.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "it is still connected");
    }
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
