//! A broker of a few lines, which lets in whom the test says, with TLS or without.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

/// A certificate authority.
pub(crate) struct Ca {
    name: &'static str,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub(crate) struct Signed {
    certificate: String,
    key: String,
}

impl Ca {
    pub(crate) fn new(name: &'static str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { name, pem, issuer }
    }

    /// Its file for `mqtt.ca_file`.
    pub(crate) fn save(&self, folder: &Path) -> PathBuf {
        let path = folder.join(format!("{}.pem", self.name));
        std::fs::write(&path, &self.pem).unwrap();
        path
    }

    pub(crate) fn sign(&self, names: &[&str]) -> Signed {
        self.sign_until(names, 2090)
    }

    pub(crate) fn expired(&self, names: &[&str]) -> Signed {
        self.sign_until(names, 2020)
    }

    fn sign_until(&self, names: &[&str], year: i32) -> Signed {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        let key = key.serialize_pem();
        Signed { certificate, key }
    }
}

impl Signed {
    /// Its files for `mqtt.certificate_file` and `mqtt.key_file`.
    pub(crate) fn save(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let unique: u32 = rand::random();
        let path = |end| folder.join(format!("{unique}.{end}"));
        let (certificate, key) = (path("pem"), path("key"));
        std::fs::write(&certificate, &self.certificate).unwrap();
        super::write_secret(&key, &self.key);
        (certificate, key)
    }
}

/// Who is let in.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    /// The broker's certificate and key.
    tls: Option<(String, String)>,
    /// The CA of its clients' certificates.
    clients: Option<String>,
    account: Option<(&'static str, &'static str)>,
}

impl Rules {
    pub(crate) fn tls(server: &Signed) -> Self {
        let tls = Some((server.certificate.clone(), server.key.clone()));
        Self {
            tls,
            ..Self::default()
        }
    }

    pub(crate) fn clients_of(mut self, ca: &Ca) -> Self {
        self.clients = Some(ca.pem.clone());
        self
    }

    pub(crate) fn account(user: &'static str, password: &'static str) -> Self {
        let account = Some((user, password));
        Self {
            account,
            ..Self::default()
        }
    }

    fn acceptor(&self) -> Option<TlsAcceptor> {
        let (certificate, key) = self.tls.as_ref()?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let pem = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(pem(ca)).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = builder.with_single_cert(vec![pem(certificate)], key);
        Some(TlsAcceptor::from(Arc::new(config.unwrap())))
    }
}

/// A running one. Each connection that it accepts lasts until it is stopped.
pub(crate) struct FakeBroker {
    pub(crate) address: SocketAddr,
    rules: Rules,
    /// CONNECTs that it read.
    connects: Arc<AtomicUsize>,
    payloads: mpsc::UnboundedReceiver<Vec<u8>>,
    payloads_in: mpsc::UnboundedSender<Vec<u8>>,
    task: JoinHandle<()>,
}

impl FakeBroker {
    pub(crate) async fn start(rules: Rules) -> Self {
        Self::start_at("127.0.0.1:0", rules).await
    }

    pub(crate) async fn start_at(listen: &str, rules: Rules) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (payloads_in, payloads) = mpsc::unbounded_channel();
        let connects = Arc::default();
        let serving = serve(
            listener,
            rules.clone(),
            Arc::clone(&connects),
            payloads_in.clone(),
        );
        Self {
            address,
            rules,
            connects,
            payloads,
            payloads_in,
            task: tokio::spawn(serving),
        }
    }

    /// Ends it and its connections.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// At the same address.
    pub(crate) async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let (rules, connects) = (self.rules.clone(), Arc::clone(&self.connects));
        let serving = serve(listener, rules, connects, self.payloads_in.clone());
        self.task = tokio::spawn(serving);
    }

    pub(crate) fn connects(&self) -> usize {
        self.connects.load(Ordering::SeqCst)
    }

    /// The next payload that was published.
    pub(crate) async fn published(&mut self) -> Vec<u8> {
        self.payloads.recv().await.unwrap()
    }
}

impl Drop for FakeBroker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    rules: Rules,
    connects: Arc<AtomicUsize>,
    payloads: mpsc::UnboundedSender<Vec<u8>>,
) {
    let acceptor = rules.acceptor();
    // Its connections end with it.
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (rules, connects) = (rules.clone(), Arc::clone(&connects));
        let (acceptor, payloads) = (acceptor.clone(), payloads.clone());
        sessions.spawn(async move {
            match acceptor {
                None => session(stream, &rules, &connects, &payloads).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => session(stream, &rules, &connects, &payloads).await,
                    Err(_) => None,
                },
            }
        });
    }
}

/// Ends with `None` once the client is gone or was not let in.
async fn session(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    rules: &Rules,
    connects: &AtomicUsize,
    payloads: &mpsc::UnboundedSender<Vec<u8>>,
) -> Option<()> {
    loop {
        let first = stream.read_u8().await.ok()?;
        // All packets here are short: one byte says how long.
        let mut body = vec![0; usize::from(stream.read_u8().await.ok()?)];
        stream.read_exact(&mut body).await.ok()?;
        let answer = match first >> 4 {
            1 => {
                // What is not MQTT is not answered, as brokers do.
                let rest = body.strip_prefix(b"\0\x04MQTT\x04")?;
                connects.fetch_add(1, Ordering::SeqCst);
                vec![0x20, 2, 0, verdict(rest, rules)]
            }
            3 => {
                let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                let _ = payloads.send(body[topic + 2..].to_vec());
                vec![0x40, 2, body[topic], body[topic + 1]]
            }
            8 => vec![0x90, 3, body[0], body[1], 1],
            12 => vec![0xd0, 0],
            _ => return None,
        };
        stream.write_all(&answer).await.ok()?;
        stream.flush().await.ok()?;
        if answer[0] == 0x20 && answer[3] != 0 {
            return None;
        }
    }
}

/// The return code for a CONNECT, from its flags on.
fn verdict(connect: &[u8], rules: &Rules) -> u8 {
    const BAD_CREDENTIALS: u8 = 4;
    const NOT_AUTHORISED: u8 = 5;
    let Some((user, password)) = rules.account else {
        return 0;
    };
    let mut rest = &connect[3..];
    let mut texts = Vec::new();
    while let [high, low, more @ ..] = rest {
        let (text, more) = more.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        texts.push(text);
        rest = more;
    }
    match texts[1..] {
        [] => NOT_AUTHORISED,
        [given, secret] if given == user.as_bytes() && secret == password.as_bytes() => 0,
        _ => BAD_CREDENTIALS,
    }
}
