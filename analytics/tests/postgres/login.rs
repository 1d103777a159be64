//! Who is let in, and which server is believed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use analytics::store::{PostgresStore, StoreError};
use service::{Chain, Settings};

use crate::cluster::Cluster;

const PASSWORD: &str = "a-password-that-is-in-no-message";

fn private(folder: &Path, name: &str, content: &str, mode: u32) -> Option<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    Some(path)
}

/// A server that takes an account's password over TLS only.
fn guarded() -> (Cluster, Settings, String) {
    let cluster = Cluster::start(&[]);
    cluster.sql(
        "postgres",
        &format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'"),
    );
    let mut settings = cluster.database("guarded");
    cluster.sql("postgres", "ALTER DATABASE guarded OWNER TO app");
    let names = vec!["127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    cluster.write("server.crt", &made.cert.pem());
    cluster.write("server.key", &made.signing_key.serialize_pem());
    cluster.write(
        "pg_hba.conf",
        "hostssl all app 127.0.0.1/32 scram-sha-256\nhost all cipherwatt 127.0.0.1/32 trust\n",
    );
    cluster.set("ssl = on");
    settings.analytics.postgres.user = "app".to_owned();
    (cluster, settings, made.cert.pem())
}

#[test]
fn a_password_over_tls_lets_in_and_nothing_less_does() {
    let (_cluster, mut settings, certificate) = guarded();
    let folder = tempfile::tempdir().unwrap();
    let postgres = |settings: &mut Settings, change: &dyn Fn(&mut service::config::Postgres)| {
        change(&mut settings.analytics.postgres);
        settings.clone()
    };
    let good = postgres(&mut settings, &|postgres| {
        postgres.tls = true;
        postgres.ca_file = private(folder.path(), "ca.pem", &certificate, 0o644);
        postgres.password_file = private(folder.path(), "password", PASSWORD, 0o600);
    });
    let since = Instant::now();
    // The server takes its new settings up when it comes to it.
    while let Err(error) = PostgresStore::open(&good, 1) {
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "{}",
            Chain(&error)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    type Change<'a> = &'a dyn Fn(&mut service::config::Postgres);
    let trials: [(Change<'_>, &str); 5] = [
        (&|postgres| postgres.tls = false, "no pg_hba.conf entry"),
        (
            &|postgres| postgres.password_file = private(folder.path(), "wrong", "wrong", 0o600),
            "password authentication failed",
        ),
        (&|postgres| postgres.password_file = None, "password"),
        (
            &|postgres| postgres.password_file = private(folder.path(), "open", PASSWORD, 0o644),
            "analytics.postgres.password_file",
        ),
        (
            &|postgres| {
                postgres.ca_file = private(folder.path(), "other.pem", &other.cert.pem(), 0o644)
            },
            "certificate",
        ),
    ];
    for (change, said) in trials {
        let refused = postgres(&mut good.clone(), change);
        let error = PostgresStore::open(&refused, 1).unwrap_err();
        let text = Chain(&error).to_string();
        assert!(text.contains(said), "{text}");
        assert!(!text.contains(PASSWORD), "{text}");
        let passes = error.may_pass();
        assert!(
            passes != matches!(error, StoreError::Refused { .. }),
            "{text}"
        );
    }
}
