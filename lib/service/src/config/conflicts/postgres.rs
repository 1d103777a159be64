//! Settings of the database that would be ignored, or would be asked for in vain.

use super::{Conflict, pair};
use crate::config::{Settings, StoreKind};

pub(super) fn find(
    settings: &Settings,
    given: impl Fn(&str) -> bool,
) -> impl Iterator<Item = Option<Conflict>> {
    let postgres = &settings.analytics.postgres;
    let used = settings.analytics.store == StoreKind::Postgres;
    let (certificate, key) = (
        postgres.certificate_file.is_some(),
        postgres.key_file.is_some(),
    );
    let plain = |given: bool, key| {
        let mend = "it is only used with TLS: set analytics.postgres.tls = true, or leave it out";
        pair(given && !postgres.tls, key, "analytics.postgres.tls", mend)
    };
    let wrong = [
        pair(
            used && given("analytics.store_file"),
            "analytics.store_file",
            "analytics.store",
            "no file would be used: leave it out, or set analytics.store = \"file\"",
        ),
        pair(
            used && !postgres.tls && !postgres.is_loopback(),
            "analytics.postgres.address",
            "analytics.postgres.tls",
            "who contributed when would cross the network in the clear: set analytics.postgres.tls = true",
        ),
        pair(
            certificate != key,
            "analytics.postgres.certificate_file",
            "analytics.postgres.key_file",
            "a certificate and its key are shown together: name both files",
        ),
        pair(
            postgres.commit_max_delay < settings.analytics.commit_min_delay,
            "analytics.postgres.commit_max_delay",
            "analytics.commit_min_delay",
            "expected no less than `analytics.commit_min_delay`",
        ),
        plain(postgres.ca_file.is_some(), "analytics.postgres.ca_file"),
        plain(certificate, "analytics.postgres.certificate_file"),
    ];
    unused(settings, given).chain(wrong)
}

/// Settings of a database, or of a pool, where there is none.
fn unused(
    settings: &Settings,
    given: impl Fn(&str) -> bool,
) -> impl Iterator<Item = Option<Conflict>> {
    let database = [
        "analytics.postgres.address",
        "analytics.postgres.database",
        "analytics.postgres.user",
        "analytics.postgres.password_file",
        "analytics.postgres.tls",
        "analytics.postgres.ca_file",
        "analytics.postgres.certificate_file",
        "analytics.postgres.key_file",
        "analytics.postgres.connect_timeout",
        "analytics.postgres.statement_timeout",
        "analytics.postgres.idle_in_transaction_timeout",
        "analytics.postgres.commit_max_delay",
    ]
    .map(|key| {
        pair(
            settings.analytics.store == StoreKind::File && given(key),
            key,
            "analytics.store",
            "no database would be used: set analytics.store = \"postgres\", or leave it out",
        )
    });
    let alone = ["analytics.lease_ttl", "analytics.lease_renew"].map(|key| {
        pair(
            settings.analytics.pool.is_none() && given(key),
            key,
            "analytics.pool",
            "a process that shares with nobody has no leases: set analytics.pool, or leave it out",
        )
    });
    database.into_iter().chain(alone)
}
