//! Who may reach the broker, and what it knows them by.

use super::{Conflict, pair, remote};
use crate::config::{IdentityKind, Settings};

/// Identities and TLS that lack a part, or have one that would not be used.
pub(super) fn find(settings: &Settings) -> [Option<Conflict>; 10] {
    let broker = &settings.broker;
    let by_password = broker.identity == IdentityKind::Password;
    let by_certificate = broker.identity == IdentityKind::Certificate;
    let (tls, listed) = (
        broker.certificate_file.is_some(),
        broker.client_crl_file.is_some(),
    );
    let open = !tls || broker.identity == IdentityKind::None;
    let reached = remote(broker.listen);
    let unused = "it would not be used: leave it out, or choose that identity";
    [
        pair(
            tls != broker.key_file.is_some(),
            "broker.certificate_file",
            "broker.key_file",
            "TLS needs a certificate and its key: give both, or neither",
        ),
        pair(
            by_password && broker.password_file.is_none(),
            "broker.identity",
            "broker.password_file",
            "name the file of users, which `broker passwd FILE USER` writes",
        ),
        pair(
            !by_password && broker.password_file.is_some(),
            "broker.password_file",
            "broker.identity",
            unused,
        ),
        pair(
            by_certificate && !tls,
            "broker.identity",
            "broker.certificate_file",
            "clients show certificates over TLS only: give the broker a certificate and a key",
        ),
        pair(
            by_certificate && broker.client_ca_file.is_none(),
            "broker.identity",
            "broker.client_ca_file",
            "name the file of the authorities that sign clients' certificates",
        ),
        pair(
            !by_certificate && broker.client_ca_file.is_some(),
            "broker.client_ca_file",
            "broker.identity",
            unused,
        ),
        pair(
            !by_certificate && listed,
            "broker.client_crl_file",
            "broker.identity",
            unused,
        ),
        pair(
            reached && open && !broker.insecure_remote && !tls,
            "broker.listen",
            "broker.certificate_file",
            "whoever is on the way would read passwords and be able to change what is sent: give the broker a certificate \
             and a key, choose an address on loopback, or set broker.insecure_remote = true",
        ),
        pair(
            reached && open && !broker.insecure_remote,
            "broker.listen",
            "broker.identity",
            "anybody who can reach the broker could do everything: set broker.identity to \"certificate\" or \"password\", \
             choose an address on loopback, or set broker.insecure_remote = true",
        ),
        pair(
            broker.insecure_remote && !reached,
            "broker.insecure_remote",
            "broker.listen",
            "listen where others can reach it, such as 0.0.0.0:1883, or set broker.insecure_remote = false",
        ),
    ]
}
