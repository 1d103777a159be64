//! Who a client is, from what it shows when it connects.

use std::net::IpAddr;
use std::sync::Arc;

use accounts::Name;
use service::config::Role;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::rules::{Scope, glob};

/// What `doctor` begins its client ids with: it looks at the broker as the process whose settings it reads, beside it.
const DOCTOR: &str = "cipherwatt-doctor-";

/// What a client showed of itself.
pub(crate) struct Shown<'a> {
    /// Empty if the broker is to give one.
    pub(crate) client_id: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a [u8]>,
    /// That of the client, which TLS has verified.
    pub(crate) certificate: Option<&'a CertificateDer<'a>>,
    pub(crate) peer: IpAddr,
}

/// Who a client is, and what it may do.
#[derive(Debug, Clone)]
pub(crate) struct Identity(Arc<Known>);

#[derive(Debug)]
struct Known {
    name: String,
    /// What it may do; `None`: everything.
    bound: Option<Arc<Role>>,
    /// The role that it is taken to have where identities are not asked for.
    guessed: Option<Arc<Role>>,
    scope: Scope,
    is_doctor: bool,
}

impl Identity {
    /// Whoever it says it is: the role is only guessed from its client id, so that reports are not lost in development
    /// either.
    pub(super) fn open<'a>(
        shown: &Shown<'_>,
        scope: Scope,
        mut roles: impl Iterator<Item = &'a Arc<Role>>,
    ) -> Self {
        let id = shown.client_id;
        let of = |role: &&Arc<Role>| {
            role.client_ids.iter().any(|pattern| {
                let pattern = pattern.replace("{deployment}", &scope.deployment);
                glob(&pattern.replace("{id}", "*"), id)
            })
        };
        let guessed = roles.find(of).cloned();
        Self(Arc::new(Known {
            // Those that the broker gives an id to share a name, and so what one client may do.
            name: match id.is_empty() {
                true => shown.peer.to_string(),
                false => id.to_owned(),
            },
            bound: None,
            guessed,
            scope,
            is_doctor: id.starts_with(DOCTOR),
        }))
    }

    /// Who it has shown to be; `None` if that one does not connect under such a client id.
    pub(super) fn of(name: &Name, role: &Arc<Role>, scope: Scope, client_id: &str) -> Option<Self> {
        let is_doctor = client_id.starts_with(DOCTOR);
        let allowed = client_id.is_empty()
            || is_doctor
            || scope.allows_client_id(&role.client_ids, client_id);
        allowed.then(|| {
            Self(Arc::new(Known {
                name: name.to_string(),
                bound: Some(Arc::clone(role)),
                guessed: None,
                scope,
                is_doctor,
            }))
        })
    }

    /// For limits and for logs.
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is a `doctor`, which looks at the broker once and comes back under another client id.
    pub(crate) fn is_doctor(&self) -> bool {
        self.0.is_doctor
    }

    /// Whether it may publish to a topic, which is ASCII, not empty, without wildcards and not below `$`.
    pub(crate) fn may_publish(&self, topic: &str, retain: bool) -> bool {
        let scope = &self.0.scope;
        self.0.bound.as_ref().is_none_or(|role| {
            scope.allows(&role.publish, topic) && (!retain || scope.allows(&role.retain, topic))
        })
    }

    /// Whether it may subscribe to a filter, which is valid ASCII and not below `$`.
    pub(crate) fn may_subscribe(&self, filter: &str) -> bool {
        let role = self.0.bound.as_ref();
        role.is_none_or(|role| self.0.scope.allows(&role.subscribe, filter))
    }

    /// Whether messages of this filter wait until this client acknowledges earlier ones, instead of being dropped. Nobody
    /// waits for `doctor`.
    pub(crate) fn is_required(&self, filter: &str) -> bool {
        let role = self.0.bound.as_ref().or(self.0.guessed.as_ref());
        let role = role.filter(|_| !self.0.is_doctor);
        role.is_some_and(|role| self.0.scope.allows(&role.required, filter))
    }
}
