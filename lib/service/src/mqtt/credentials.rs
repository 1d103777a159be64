//! What a client shows of itself, and which broker it believes: the files of `[mqtt]`, or of `[meter.feed]`.
//!
//! They are read for each connection, so that a renewed certificate or password needs no restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rumqttc::{MqttOptions, TlsConfiguration, Transport};
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName,
};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{self, ClientConfig, InconsistentKeys, RootCertStore};
use zeroize::Zeroizing;

use super::server_name::Renamed;
use crate::config::{LoginKeys, Mqtt};
use crate::files::{KeyFileError, read_credential};

/// The longest password that MQTT has room for, and a line end. Bytes.
const MAX_PASSWORD: u64 = u16::MAX as u64 + 2;

/// Room for any private key in PEM. Bytes.
const MAX_KEY: u64 = 1 << 16;

/// A file that the settings name cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub(crate) enum CredentialError {
    #[error("{key}: there is no file {path}", path = path.display())]
    Missing { key: &'static str, path: PathBuf },
    #[error("{key}: cannot read {path}", path = path.display())]
    Read {
        key: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A secret that others can read, or that cannot be read.
    #[error("{key}")]
    Private {
        key: &'static str,
        source: KeyFileError,
    },
    #[error("{key}: {path} {problem}", path = path.display())]
    Content {
        key: &'static str,
        path: PathBuf,
        problem: String,
    },
    #[error("{certificate} and {key} cannot be used together")]
    Pair {
        certificate: &'static str,
        key: &'static str,
        source: rustls::Error,
    },
    #[error("{key} is empty, and this machine trusts no CA of its own")]
    NoCas { key: &'static str },
    #[error("{key} is not a name that a certificate can have")]
    ServerName {
        key: &'static str,
        source: InvalidDnsNameError,
    },
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// Gives `options` the account and, `encrypted`, the TLS of `settings`.
///
/// rumqttc keeps a copy of the password that it does not zeroise.
///
/// # Errors
/// The first file that cannot be used.
pub(super) fn apply(
    settings: &Mqtt,
    encrypted: bool,
    options: &mut MqttOptions,
) -> Result<(), CredentialError> {
    if let Some(user) = &settings.user {
        let password = password(settings)?;
        options.set_credentials(user, password.as_str());
    }
    if encrypted {
        let config = TlsConfiguration::Rustls(client_config(settings)?);
        options.set_transport(Transport::Tls(config));
    }
    Ok(())
}

/// The password; empty if there is none.
pub(crate) fn password(settings: &Mqtt) -> Result<Zeroizing<String>, CredentialError> {
    let key = settings.keys.password_file;
    let Some(path) = &settings.password_file else {
        return Ok(Zeroizing::default());
    };
    let content = secret(key, path, MAX_PASSWORD)?;
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok("") => Err(wrong(key, path, "is empty")),
        Ok(text) if text.contains(['\n', '\0']) => {
            Err(wrong(key, path, "holds more than one line with a password"))
        }
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(wrong(key, path, "is not text in UTF-8")),
    }
}

/// The certificates in a PEM file; at least one.
pub(crate) fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    let content = fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => missing(key, path),
        _ => CredentialError::Read {
            key,
            path: path.to_owned(),
            source,
        },
    })?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(wrong(key, path, "holds no certificate in PEM")),
    }
}

/// How this client speaks TLS.
pub(crate) fn client_config(settings: &Mqtt) -> Result<Arc<ClientConfig>, CredentialError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(roots(settings)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
    let verifier = verifier
        .build()
        .map_err(|error| CredentialError::Tls(rustls::Error::General(error.to_string())))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(CredentialError::Tls)?;
    let builder = match &settings.server_name {
        None => builder.with_webpki_verifier(verifier),
        Some(name) => {
            let name = ServerName::try_from(name.clone());
            let name = name.map_err(|source| CredentialError::ServerName {
                key: settings.keys.server_name,
                source,
            })?;
            let verifier = Arc::new(Renamed::new(verifier, name));
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        }
    };
    let mut config = match (&settings.certificate_file, &settings.key_file) {
        (Some(certificate), Some(key)) => {
            let shown = SingleCertAndKey::from(certified(settings.keys, certificate, key)?);
            builder.with_client_cert_resolver(Arc::new(shown))
        }
        _ => builder.with_no_client_auth(),
    };
    // It is made again for each connection, and would hold what nobody asks for.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn roots(settings: &Mqtt) -> Result<RootCertStore, CredentialError> {
    let key = settings.keys.ca_file;
    let mut roots = RootCertStore::empty();
    match &settings.ca_file {
        Some(path) => {
            for certificate in certificates(key, path)? {
                let added = roots.add(certificate);
                added.map_err(|error| wrong(key, path, format!("holds {error}")))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    match roots.is_empty() {
        true => Err(CredentialError::NoCas { key }),
        false => Ok(roots),
    }
}

/// What the client shows. The key's bytes are zeroised here; ring keeps what it has made of them.
fn certified(
    keys: &LoginKeys,
    certificate: &Path,
    path: &Path,
) -> Result<CertifiedKey, CredentialError> {
    let pair = |source| CredentialError::Pair {
        certificate: keys.certificate_file,
        key: keys.key_file,
        source,
    };
    let key = keys.key_file;
    let chain = certificates(keys.certificate_file, certificate)?;
    let content = secret(key, path, MAX_KEY)?;
    let problem = "holds no private key in PEM without a passphrase";
    let der = PrivateKeyDer::from_pem_slice(&content).map_err(|_| wrong(key, path, problem))?;
    let der = Zeroizing::new(der);
    let certified = CertifiedKey::new(chain, any_supported_type(&der).map_err(pair)?);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(error) => Err(pair(error)),
    }
}

/// A file that only its owner may read, or a credential of systemd.
fn secret(
    key: &'static str,
    path: &Path,
    limit: u64,
) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    match read_credential(path, limit) {
        Ok(Some(content)) => Ok(content),
        Ok(None) => Err(missing(key, path)),
        Err(KeyFileError::Malformed { .. }) => {
            Err(wrong(key, path, format!("is longer than {limit} bytes")))
        }
        Err(source) => Err(CredentialError::Private { key, source }),
    }
}

fn missing(key: &'static str, path: &Path) -> CredentialError {
    let path = path.to_owned();
    CredentialError::Missing { key, path }
}

fn wrong(key: &'static str, path: &Path, problem: impl Into<String>) -> CredentialError {
    CredentialError::Content {
        key,
        path: path.to_owned(),
        problem: problem.into(),
    }
}
