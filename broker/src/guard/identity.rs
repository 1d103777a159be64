//! Who a client is, from what it shows when it connects.

use std::net::IpAddr;
use std::sync::Arc;

use service::Settings;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// What a client showed of itself.
pub(crate) struct Shown<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a [u8]>,
    /// That of the client, which TLS has verified.
    pub(crate) certificate: Option<&'a CertificateDer<'a>>,
    pub(crate) peer: IpAddr,
}

/// Who a client is, and what it may do.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    name: Arc<str>,
}

impl Identity {
    /// For limits and for logs.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// A client is not let in.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The return code of CONNACK: 4 for a wrong user or password, 5 for a client that may not.
    pub(crate) code: u8,
    /// For a metric's label and for the log.
    pub(crate) reason: &'static str,
}

/// The settings do not say who may connect.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {}

/// Who may connect, and how.
pub(crate) struct Access;

impl Access {
    /// Reads certificates, passwords and rules.
    ///
    /// # Errors
    /// If a file is missing or wrong.
    pub(crate) fn load(_settings: &Settings) -> Result<Self, AccessError> {
        Ok(Self)
    }

    /// Reads the files again. Connections stay; later ones go by what is new.
    ///
    /// # Errors
    /// As [`Access::load`]; what was read before stays in force.
    pub(crate) fn reload(&self) -> Result<(), AccessError> {
        Ok(())
    }

    /// Who this is.
    ///
    /// # Errors
    /// If it is nobody that may connect.
    pub(crate) async fn identify(&self, shown: Shown<'_>) -> Result<Identity, Refused> {
        Ok(Identity {
            name: shown.client_id.into(),
        })
    }

    /// TLS as the files have it now; nothing if clients connect without.
    pub(crate) fn tls(&self) -> Option<TlsAcceptor> {
        None
    }
}
