//! TLS: certificate, key and the authorities of clients, from files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use service::config::{Broker, IdentityKind};
use service::files::{self, KeyFileError};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use super::ends;

/// Longest file of a private key. Bytes.
const MAX_KEY: u64 = 1 << 16;

/// TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {setting} = {path}", path = path.display())]
    Read {
        setting: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The private key cannot be read, or others can read it.
    #[error("cannot use broker.key_file")]
    Key(#[from] KeyFileError),
    /// A file has nothing of its kind in it.
    #[error("{setting} = {path} has no {what} in PEM, or a damaged one", path = path.display())]
    Content {
        setting: &'static str,
        path: PathBuf,
        what: &'static str,
    },
    /// The certificate and the key cannot be used together.
    #[error("broker.certificate_file and broker.key_file cannot be used together")]
    Pair(#[source] rustls::Error),
    /// The authorities of clients cannot be used.
    #[error("broker.client_ca_file or broker.client_crl_file cannot be used")]
    Clients(#[from] VerifierBuilderError),
    /// An authority cannot be used.
    #[error("broker.client_ca_file has an authority that cannot be used")]
    Authority(#[source] rustls::Error),
}

/// TLS as the files have it.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    /// What verifies clients' certificates, if they show any.
    pub(super) clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// TLS; `None` if no certificate is configured. Says in the metrics when what is read ends.
///
/// # Errors
/// If a file cannot be read, or is not what it should be.
pub(crate) fn read(broker: &Broker) -> Result<Option<Tls>, TlsError> {
    let (Some(certificate), Some(key)) = (&broker.certificate_file, &broker.key_file) else {
        return Ok(None);
    };
    let chain = certificates("broker.certificate_file", certificate)?;
    let own = expiry(&chain);
    let key = private_key(key)?;
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?;
    let authorities = authorities(broker)?;
    let signers = authorities.as_deref().and_then(expiry);
    let clients = match authorities {
        Some(authorities) => Some(verifier(broker, authorities)?),
        None => None,
    };
    let config = match &clients {
        Some(verifier) => config.with_client_cert_verifier(Arc::clone(verifier)),
        None => config.with_no_client_auth(),
    };
    let config = config
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    ends::announce(ends::OWN, own);
    ends::announce(ends::AUTHORITIES, signers);
    Ok(Some(Tls {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        clients,
    }))
}

/// When the first of these certificates ends.
pub(super) fn expiry(certificates: &[CertificateDer<'_>]) -> Option<SystemTime> {
    let expiry = accounts::expiry_of(certificates.iter().map(|der| &der[..]));
    expiry.ok().map(|expiry| expiry.until)
}

/// Those that sign clients' certificates, if clients show any.
fn authorities(broker: &Broker) -> Result<Option<Vec<CertificateDer<'static>>>, TlsError> {
    match (&broker.client_ca_file, broker.identity) {
        (Some(file), IdentityKind::Certificate) => {
            certificates("broker.client_ca_file", file).map(Some)
        }
        _ => Ok(None),
    }
}

fn verifier(
    broker: &Broker,
    authorities: Vec<CertificateDer<'static>>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(TlsError::Authority)?;
    }
    let provider = Arc::new(ring::default_provider());
    let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if let Some(path) = &broker.client_crl_file {
        let lists = pem::<CertificateRevocationListDer<'static>>(
            "broker.client_crl_file",
            path,
            "revocation list",
        )?;
        verifier = verifier.with_crls(lists).only_check_end_entity_revocation();
    }
    Ok(verifier.build()?)
}

fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    pem(setting, path, "certificate")
}

/// All that a file has of a kind, at least one.
fn pem<T: PemObject>(
    setting: &'static str,
    path: &Path,
    what: &'static str,
) -> Result<Vec<T>, TlsError> {
    let bytes = std::fs::read(path).map_err(|source| TlsError::Read {
        setting,
        path: path.to_owned(),
        source,
    })?;
    let found: Result<Vec<T>, _> = T::pem_slice_iter(&bytes).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| TlsError::Content {
        setting,
        path: path.to_owned(),
        what,
    })
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    const SETTING: &str = "broker.key_file";
    let bytes = files::read_credential(path, MAX_KEY)?;
    let bytes = bytes.ok_or_else(|| TlsError::Read {
        setting: SETTING,
        path: path.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    })?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| TlsError::Content {
        setting: SETTING,
        path: path.to_owned(),
        what: "private key",
    })
}
