//! Certificates: the broker's and its clients'.

use std::fs;
use std::path::Path;

use accounts::{Folder, Issued};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::*;

fn der(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

#[tokio::test]
async fn a_certificate_says_who_its_holder_is() {
    let world = World::new(IdentityKind::Certificate);
    let access = world.access();
    let folder = world.certificates();
    for (name, code) in [
        ("gateway.gateway-1", None),
        ("gateway.gateway-2", Some(2)),
        ("stranger.x", Some(5)),
    ] {
        folder.add(&name.parse().unwrap()).unwrap();
        let certificate = der(&folder.path().join(format!("{name}.crt")));
        let mut shown = shown(GATEWAY, None, "");
        shown.certificate = Some(&certificate);
        match (access.identify(shown).await, code) {
            (Ok(identity), None) => assert_eq!(identity.name(), name),
            (Err(refused), Some(code)) => assert_eq!(refused.code, code, "{refused}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
    let nobody = access.identify(shown(GATEWAY, None, "")).await.unwrap_err();
    assert_eq!(nobody.reason, "no_identity");
}

/// A client of the broker whose certificate an authority signed; `None`: it shows none.
fn client(authority: &Path, own: Option<&Path>) -> TlsConnector {
    client_of(ALL_VERSIONS, authority, own)
}

fn client_of(
    versions: &[&'static SupportedProtocolVersion],
    authority: &Path,
    own: Option<&Path>,
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(der(authority)).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some(own) => {
            let key = own.with_extension("key");
            let key = PrivateKeyDer::from_pem_file(key).unwrap();
            let chain = vec![der(&own.with_extension("crt"))];
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
}

type Ends = (
    tokio_rustls::client::TlsStream<tokio::io::DuplexStream>,
    tokio_rustls::server::TlsStream<tokio::io::DuplexStream>,
);

async fn handshake(client: &TlsConnector, access: &Access) -> io::Result<Ends> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let server = access.tls().unwrap();
    let name = "localhost".try_into().unwrap();
    let (client, server) = tokio::join!(client.connect(name, near), server.accept(far));
    Ok((client?, server?))
}

async fn passes((client, server): &mut Ends) -> bool {
    let sent = async {
        client.write_all(b"ping").await?;
        client.flush().await
    };
    let mut got = [0; 4];
    let (sent, read) = tokio::join!(sent, server.read_exact(&mut got));
    sent.is_ok() && read.is_ok() && got == *b"ping"
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_the_next_client_and_no_connection_is_lost() {
    let world = World::with_users(&[]);
    let access = world.access();
    let path = world.certificates().path().to_owned();
    let client = client(&path.join("ca.crt"), None);
    let mut before = handshake(&client, &access).await.unwrap();
    let shown = |ends: &Ends| ends.0.get_ref().1.peer_certificates().unwrap()[0].clone();
    assert_eq!(shown(&before), der(&path.join("broker.crt")));

    let read = |name: &str| fs::read_to_string(path.join(name)).unwrap();
    let authority = accounts::Authority::load(&read("ca.crt"), &read("ca.key")).unwrap();
    let Issued { certificate, key } = authority.server(&["localhost".to_owned()], 7).unwrap();
    fs::write(path.join("broker.crt"), certificate).unwrap();
    // One of the two only: nothing changes, and the log says so.
    let error = Chain(&access.reload().unwrap_err()).to_string();
    assert!(error.contains("cannot be used together"), "{error}");
    assert!(passes(&mut handshake(&client, &access).await.unwrap()).await);

    fs::write(path.join("broker.key"), key.as_bytes()).unwrap();
    access.reload().unwrap();
    let after = handshake(&client, &access).await.unwrap();
    assert_eq!(shown(&after), der(&path.join("broker.crt")));
    assert_ne!(shown(&after), shown(&before));
    assert!(passes(&mut before).await);
}

#[tokio::test]
async fn tls_1_3_and_1_2_are_spoken() {
    let world = World::with_users(&[]);
    let access = world.access();
    let ca = world.certificates().path().join("ca.crt");
    for version in [&TLS13, &TLS12] {
        let client = client_of(&[version], &ca, None);
        let mut ends = handshake(&client, &access).await.unwrap();
        assert!(passes(&mut ends).await);
        let spoken = ends.1.get_ref().1.protocol_version();
        assert_eq!(spoken, Some(version.version));
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_of_our_authority_is_not_let_in() {
    let world = World::new(IdentityKind::Certificate);
    let access = world.access();
    let folder = world.certificates();
    let name = "gateway.gateway-1".parse().unwrap();
    folder.add(&name).unwrap();
    let ca = folder.path().join("ca.crt");
    let own = folder.path().join("gateway.gateway-1.crt");
    let mut ends = handshake(&client(&ca, Some(&own)), &access).await.unwrap();
    assert!(passes(&mut ends).await);
    let seen = ends.1.get_ref().1.peer_certificates().unwrap()[0].clone();
    let mut shown = shown(GATEWAY, None, "");
    shown.certificate = Some(&seen);
    let identity = access.identify(shown).await.unwrap();
    assert_eq!(identity.name(), "gateway.gateway-1");

    assert!(handshake(&client(&ca, None), &access).await.is_err());
    let others = Folder::create(&world.root.path().join("others"), &["localhost".into()]).unwrap();
    others.add(&name).unwrap();
    let foreign = others.path().join("gateway.gateway-1.crt");
    assert!(
        handshake(&client(&ca, Some(&foreign)), &access)
            .await
            .is_err()
    );
}

#[test]
fn what_is_wrong_with_a_file_names_its_setting() {
    let mut world = World::new(IdentityKind::Certificate);
    let error = |world: &World| match Access::load(&world.settings) {
        Ok(_) => panic!("it was accepted"),
        Err(error) => Chain(&error).to_string(),
    };
    let authority = world
        .settings
        .broker
        .client_ca_file
        .replace("no/such/file".into());
    assert!(error(&world).contains("broker.client_ca_file = no/such/file"));
    world.settings.broker.client_ca_file = world.settings.broker.key_file.clone();
    assert!(
        error(&world).contains("has no certificate in PEM"),
        "{}",
        error(&world)
    );
    world.settings.broker.client_ca_file = authority;
    let key = world.settings.broker.key_file.clone().unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(error(&world).contains("chmod 600"), "{}", error(&world));
}

/// A list of revoked certificates, as the authority in `folder` signs it.
fn revocations(folder: &Path, revoked: &[&Path]) -> String {
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let key = rcgen::KeyPair::from_pem(&read("ca.key")).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&read("ca.crt"), key).unwrap();
    let serial = |path: &&Path| {
        let der = der(path);
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        rcgen::SerialNumber::from_slice(certificate.raw_serial())
    };
    let entry = |path: &&Path| rcgen::RevokedCertParams {
        serial_number: serial(path),
        revocation_time: rcgen::date_time_ymd(2026, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 1, 1),
        next_update: rcgen::date_time_ymd(2100, 1, 1),
        crl_number: rcgen::SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer).unwrap().pem().unwrap()
}

#[tokio::test]
async fn a_revoked_certificate_is_not_let_in_once_the_list_was_read_again() {
    let mut world = World::new(IdentityKind::Certificate);
    let folder = world.certificates();
    let path = folder.path().to_owned();
    let list = path.join("revoked.pem");
    world.settings.broker.client_crl_file = Some(list.clone());
    let own = |name: &str| {
        folder.add(&name.parse().unwrap()).unwrap();
        path.join(format!("{name}.crt"))
    };
    let (stolen, kept) = (own("gateway.gateway-1"), own("gateway.gateway-2"));
    fs::write(&list, revocations(&path, &[])).unwrap();
    let access = world.access();
    let ca = path.join("ca.crt");
    let stolen_client = client(&ca, Some(&stolen));
    handshake(&stolen_client, &access).await.unwrap();
    let accepted = |own: &Path| access.accepts(&access.proof(None, vec![der(own)]));
    assert!(accepted(&stolen) && accepted(&kept));
    fs::write(&list, revocations(&path, &[&stolen])).unwrap();
    access.reload().unwrap();
    assert!(!accepted(&stolen) && accepted(&kept));
    let error = handshake(&stolen_client, &access).await.unwrap_err();
    assert!(error.to_string().contains("Revoked"), "{error}");
    handshake(&client(&ca, Some(&kept)), &access).await.unwrap();
}
