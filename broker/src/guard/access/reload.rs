//! The files that say who may connect, read at the start and again on SIGHUP; and whether who was let in would still be.

use std::sync::{Arc, PoisonError};

use accounts::Passwords;
use service::Chain;
use service::config::{Broker, IdentityKind};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};

use super::{Access, AccessError};
use crate::guard::tls::{self, Tls};

/// What is in the files, as they were read last.
#[derive(Clone)]
pub(super) struct Files {
    pub(super) tls: Option<Tls>,
    pub(super) users: Arc<Passwords>,
}

impl Files {
    pub(super) fn read(broker: &Broker) -> Result<Self, AccessError> {
        let users = broker.password_file.as_deref().map(Passwords::read);
        Ok(Self {
            tls: tls::read(broker)?,
            users: Arc::new(users.transpose()?.unwrap_or_default()),
        })
    }
}

/// By what a client was let in.
pub(in crate::guard) enum Proof {
    /// Nobody is asked who it is.
    Nothing,
    User(String),
    /// Its certificate and those that lead to its authority.
    Certificates(Vec<CertificateDer<'static>>),
}

impl Access {
    /// Reads the files again. Later connections go by what is new, and those end whose clients it does not have any more.
    ///
    /// # Errors
    /// As [`Access::load`]; what was read before stays in force.
    pub(crate) fn reload(&self) -> Result<(), AccessError> {
        let files = Files::read(&self.0.settings)?;
        *self.0.files.write().unwrap_or_else(PoisonError::into_inner) = files;
        self.0.checker.forget();
        self.0.read.send_modify(|times| *times += 1);
        Ok(())
    }

    /// Changes whenever the files were read again.
    pub(in crate::guard) fn reloads(&self) -> watch::Receiver<u64> {
        self.0.read.subscribe()
    }

    /// By what a client was let in that showed this.
    pub(in crate::guard) fn proof(
        &self,
        user: Option<String>,
        chain: Vec<CertificateDer<'static>>,
    ) -> Proof {
        match self.0.settings.identity {
            IdentityKind::None => Proof::Nothing,
            IdentityKind::Password => Proof::User(user.unwrap_or_default()),
            IdentityKind::Certificate => Proof::Certificates(chain),
        }
    }

    /// Whether a client would still be let in by this.
    pub(in crate::guard) fn accepts(&self, proof: &Proof) -> bool {
        let files = self.files();
        match proof {
            Proof::Nothing => true,
            Proof::User(user) => files.users.has(user),
            Proof::Certificates(chain) => {
                let verifier = files.tls.and_then(|tls| tls.clients);
                let own = chain.split_first().zip(verifier);
                own.is_some_and(|((own, rest), verifier)| {
                    let now = UnixTime::now();
                    verifier.verify_client_cert(own, rest, now).is_ok()
                })
            }
        }
    }

    /// Reads the files again at every SIGHUP, until the runtime ends. Without any, the signal keeps its meaning.
    pub(crate) fn reload_on_hangup(&self) {
        if self.0.settings.certificate_file.is_none() && self.0.settings.password_file.is_none() {
            return;
        }
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                tracing::error!(%error, "certificates and users are not read again on SIGHUP");
                return;
            }
        };
        let access = self.clone();
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                // Reading files blocks for a moment, and happens when a person asks for it.
                match access.reload() {
                    Ok(()) => tracing::info!("certificates and users were read again"),
                    Err(error) => tracing::error!(
                        error = %Chain(&error),
                        "certificates and users stay as they were"
                    ),
                }
            }
        });
    }
}
