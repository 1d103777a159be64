//! Who may connect, and how: what the settings and their files say.

mod reload;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use accounts::{Name, PasswordFileError};
use service::config::{Broker, IdentityKind, Publish, Role};
use service::trust::KeepError;
use service::{Settings, files, mqtt};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::CertificateDer;

use self::reload::Files;
pub(super) use self::reload::Proof;
use super::identity::{Identity, Shown};
use super::members::Members;
use super::passwords::Checker;
use super::rules::Scope;
use super::tls::TlsError;

/// Return codes of CONNACK.
const WRONG_CLIENT_ID: u8 = 2;
const WRONG_LOGIN: u8 = 4;
const NOT_ALLOWED: u8 = 5;

/// Why clients are not let in: the label of a metric.
pub(crate) const REASONS: [&str; 6] = [
    "no_login",
    "wrong_login",
    "no_identity",
    "unknown_role",
    "foreign_client_id",
    "reads_exact_and_noisy",
];

/// A client is not let in.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The return code of CONNACK: 2 for the client id of another, 4 for a wrong user or password, 5 for a client that may not.
    pub(crate) code: u8,
    /// One of [`REASONS`].
    pub(crate) reason: &'static str,
    /// What it showed, for the log; no secret.
    detail: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// The settings do not say who may connect, or a file does not.
#[derive(Debug, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum AccessError {
    /// Certificates or keys.
    #[error("cannot offer TLS")]
    Tls(#[from] TlsError),
    /// Users and passwords.
    #[error("cannot use broker.password_file")]
    Passwords(#[from] PasswordFileError),
    /// The folder of state.
    #[error("cannot use the folder {path}", path = path.display())]
    Folder { path: PathBuf, source: io::Error },
    /// The operator's roster, which says whose meters are whose.
    #[error("the broker cannot know which meters are behind which gateway")]
    Members(#[from] KeepError),
}

/// Who may connect, and how. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Access(Arc<Inner>);

struct Inner {
    settings: Broker,
    /// Whose readers get noisy totals.
    publish: Publish,
    root: String,
    deployment: String,
    roles: BTreeMap<String, Arc<Role>>,
    members: Members,
    checker: Checker,
    files: RwLock<Files>,
    /// How often they were read again.
    read: watch::Sender<u64>,
}

impl Access {
    /// Reads certificates, passwords and rules.
    ///
    /// # Errors
    /// If a file is missing or wrong.
    pub(crate) fn load(settings: &Settings) -> Result<Self, AccessError> {
        let broker = settings.broker.clone();
        let files = Files::read(&broker)?;
        let members = match broker.identity {
            IdentityKind::None => Members::default(),
            IdentityKind::Password | IdentityKind::Certificate => members(settings)?,
        };
        let operator = mqtt::Client::Operator.id(&settings.deployment);
        let roles = broker.roles.clone().into_iter();
        Ok(Self(Arc::new(Inner {
            root: settings.deployment.root.clone(),
            // What stands behind the kind in every client id.
            deployment: operator.replacen("operator:", "", 1),
            roles: roles.map(|(name, role)| (name, Arc::new(role))).collect(),
            members,
            checker: Checker::new(broker.password_checks),
            files: RwLock::new(files),
            read: watch::Sender::new(0),
            publish: settings.publish.clone(),
            settings: broker,
        })))
    }

    /// Takes what the guard needs to know from a message that is about to be published by one who may.
    pub(crate) fn learn(&self, topic: &str, payload: &[u8]) {
        self.0.members.learn(topic, payload);
    }

    /// Who this is.
    ///
    /// # Errors
    /// If it is nobody that may connect.
    pub(crate) async fn identify(&self, shown: Shown<'_>) -> Result<Identity, Refused> {
        let name = match self.0.settings.identity {
            IdentityKind::None => {
                let roles = self.0.roles.values();
                return Ok(Identity::open(&shown, self.scope(None), roles));
            }
            IdentityKind::Password => self.logged_in(&shown).await?,
            IdentityKind::Certificate => self.certified(shown.certificate)?,
        };
        let Some(role) = self.0.roles.get(name.role()) else {
            let detail = format!("{name}: there is no role {} in broker.roles", name.role());
            return Err(refused(NOT_ALLOWED, "unknown_role", detail));
        };
        if let Err(refusal) = self.0.publish.check_client(role, name.id()) {
            return Err(refused(
                NOT_ALLOWED,
                "reads_exact_and_noisy",
                refusal.to_string(),
            ));
        }
        let scope = self.scope(name.id());
        Identity::of(&name, role, scope, shown.client_id).ok_or_else(|| {
            let detail = format!(
                "{name} connects as {:?}, which is none of its client ids",
                shown.client_id
            );
            refused(WRONG_CLIENT_ID, "foreign_client_id", detail)
        })
    }

    /// TLS as the files have it now; nothing if clients connect without.
    pub(crate) fn tls(&self) -> Option<TlsAcceptor> {
        Some(self.files().tls?.acceptor)
    }

    async fn logged_in(&self, shown: &Shown<'_>) -> Result<Name, Refused> {
        let (Some(user), Some(password)) = (shown.user, shown.password) else {
            let detail = "it shows no user and password".to_owned();
            return Err(refused(WRONG_LOGIN, "no_login", detail));
        };
        let users = self.files().users;
        let right = self
            .0
            .checker
            .check(&users, (user, password), shown.peer)
            .await;
        match user.parse() {
            Ok(name) if right => Ok(name),
            _ => {
                let detail = format!("user {user:?}: unknown, or with another password");
                Err(refused(WRONG_LOGIN, "wrong_login", detail))
            }
        }
    }

    /// The one name in a certificate whose role is known here: a certificate may have others for other uses.
    fn certified(&self, certificate: Option<&CertificateDer<'_>>) -> Result<Name, Refused> {
        let names = accounts::of_certificate(certificate.map_or(&[][..], |der| der.as_ref()));
        let known = |name: &Name| self.0.roles.contains_key(name.role());
        let mut names: Vec<Name> = names.into_iter().filter(known).collect();
        match names.pop() {
            Some(name) if names.is_empty() => Ok(name),
            found => {
                let detail = match found {
                    Some(_) => "its certificate names several clients",
                    None => {
                        "its certificate names no client: neither its common name nor a DNS name is ROLE.ID"
                    }
                };
                Err(refused(NOT_ALLOWED, "no_identity", detail.to_owned()))
            }
        }
    }

    fn scope(&self, id: Option<&str>) -> Scope {
        Scope {
            root: self.0.root.clone(),
            deployment: self.0.deployment.clone(),
            id: id.map(str::to_owned),
            members: self.0.members.clone(),
        }
    }

    fn files(&self) -> Files {
        let files = self.0.files.read();
        files.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn members(settings: &Settings) -> Result<Members, AccessError> {
    let state = &settings.deployment.state_dir;
    let folder = files::state_folder(state, "broker").map_err(|source| AccessError::Folder {
        path: state.join("broker"),
        source,
    })?;
    Ok(Members::open(settings, &folder)?)
}

fn refused(code: u8, reason: &'static str, detail: String) -> Refused {
    Refused {
        code,
        reason,
        detail,
    }
}

#[cfg(test)]
mod tests;
