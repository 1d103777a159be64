//! Who may reach the broker, and what it knows them by.

use super::{Conflict, pair, remote};
use crate::config::{Broker, IdentityKind, Settings};

const UNUSED: &str = "it would not be used: leave it out, or choose that identity";

/// What lacks a part, or has one that would not be used; and what others can reach.
pub(super) fn find(settings: &Settings) -> impl Iterator<Item = Option<Conflict>> + use<> {
    let broker = &settings.broker;
    let first = passwords(broker).into_iter();
    first.chain(certificates(broker)).chain(exposed(broker))
}

fn passwords(broker: &Broker) -> [Option<Conflict>; 2] {
    let chosen = broker.identity == IdentityKind::Password;
    let given = broker.password_file.is_some();
    [
        pair(
            chosen && !given,
            "broker.identity",
            "broker.password_file",
            "name the file of users, which `broker passwd FILE USER` writes",
        ),
        pair(
            !chosen && given,
            "broker.password_file",
            "broker.identity",
            UNUSED,
        ),
    ]
}

fn certificates(broker: &Broker) -> [Option<Conflict>; 5] {
    let chosen = broker.identity == IdentityKind::Certificate;
    let tls = broker.certificate_file.is_some();
    [
        pair(
            tls != broker.key_file.is_some(),
            "broker.certificate_file",
            "broker.key_file",
            "TLS needs a certificate and its key: give both, or neither",
        ),
        pair(
            chosen && !tls,
            "broker.identity",
            "broker.certificate_file",
            "clients show certificates over TLS only: give the broker a certificate and a key",
        ),
        pair(
            chosen && broker.client_ca_file.is_none(),
            "broker.identity",
            "broker.client_ca_file",
            "name the file of the authorities that sign clients' certificates",
        ),
        pair(
            !chosen && broker.client_ca_file.is_some(),
            "broker.client_ca_file",
            "broker.identity",
            UNUSED,
        ),
        pair(
            !chosen && broker.client_crl_file.is_some(),
            "broker.client_crl_file",
            "broker.identity",
            UNUSED,
        ),
    ]
}

fn exposed(broker: &Broker) -> [Option<Conflict>; 4] {
    let reached = remote(broker.listen);
    let protected = !reached || broker.insecure_remote;
    [
        pair(
            !protected && broker.certificate_file.is_none(),
            "broker.listen",
            "broker.certificate_file",
            "whoever is on the way would read passwords and be able to change what is sent: give the broker a certificate \
             and a key, choose an address on loopback, or set broker.insecure_remote = true",
        ),
        pair(
            !protected && broker.identity == IdentityKind::None,
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
        pair(
            broker.insecure_local && broker.identity != IdentityKind::None,
            "broker.insecure_local",
            "broker.identity",
            "clients have identities: set broker.insecure_local = false, or leave it out",
        ),
    ]
}
