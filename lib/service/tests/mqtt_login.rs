//! TLS, accounts and several addresses: who gets in, and what is said to who does not.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;

use service::config::Mqtt;
use service::mqtt::{Event, LinkError};
use support::fake_broker::{Ca, FakeBroker, Rules};
use support::{Client, settings, within};
use tempfile::TempDir;

/// Settings for a broker with TLS whose CA is `ca`.
fn encrypted(broker: &FakeBroker, ca: &Ca, folder: &TempDir) -> Mqtt {
    let mut mqtt = settings(broker.address);
    mqtt.address = format!("mqtts://localhost:{}", broker.address.port());
    mqtt.ca_file = Some(ca.save(folder.path()));
    mqtt
}

async fn error(mqtt: &Mqtt) -> LinkError {
    let mut client = Client::start(mqtt, "client", &[]);
    match client.event().await {
        Event::Disconnected { error } => error,
        event => panic!("got in: {event:?}"),
    }
}

/// What TLS failed of, and what to do about it.
async fn tls_error(mqtt: &Mqtt) -> (String, String) {
    match error(mqtt).await {
        LinkError::Tls { detail, remedy, .. } => (detail, remedy),
        error => panic!("not a failure of TLS: {error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_ca_is_known_is_believed_by_name_and_by_address() {
    let (folder, ca) = (TempDir::new().unwrap(), Ca::new("ours"));
    let server = ca.sign(&["localhost", "127.0.0.1", "::1"]);
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let broker = FakeBroker::start_at(listen, Rules::tls(&server)).await;
        let mut mqtt = encrypted(&broker, &ca, &folder);
        mqtt.address = format!("mqtts://{}", broker.address);
        let mut client = Client::start(&mqtt, "client", &["t"]);
        client.until_connected().await;
        client.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_a_certificate_of_another_ca_is_not_believed() {
    let (folder, ca) = (TempDir::new().unwrap(), Ca::new("ours"));
    let server = Ca::new("another").sign(&["localhost"]);
    let broker = FakeBroker::start(Rules::tls(&server)).await;
    let mut mqtt = encrypted(&broker, &ca, &folder);
    let (detail, remedy) = tls_error(&mqtt).await;
    assert_eq!(
        detail,
        "no CA in mqtt.ca_file has signed the broker's certificate"
    );
    assert!(remedy.contains("mqtt.ca_file"), "{remedy}");
    // Nor is one that this machine does not know.
    mqtt.ca_file = None;
    match error(&mqtt).await {
        LinkError::Tls { detail, .. } => assert!(detail.contains("this machine"), "{detail}"),
        LinkError::Credentials { detail } => assert!(detail.contains("trusts no CA"), "{detail}"),
        error => panic!("{error:?}"),
    }
    assert_eq!(broker.connects(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_called_expired() {
    let (folder, ca) = (TempDir::new().unwrap(), Ca::new("ours"));
    let broker = FakeBroker::start(Rules::tls(&ca.expired(&["localhost"]))).await;
    let (detail, remedy) = tls_error(&encrypted(&broker, &ca, &folder)).await;
    assert!(
        detail.starts_with("the broker's certificate has expired"),
        "{detail}"
    );
    assert!(remedy.contains("clock"), "{remedy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_name_is_believed_once_that_name_is_set() {
    let (folder, ca) = (TempDir::new().unwrap(), Ca::new("ours"));
    let broker = FakeBroker::start(Rules::tls(&ca.sign(&["broker.example"]))).await;
    let mut mqtt = encrypted(&broker, &ca, &folder);
    let (detail, remedy) = tls_error(&mqtt).await;
    assert!(detail.contains("for another name"), "{detail}");
    assert!(detail.contains("broker.example"), "{detail}");
    assert!(remedy.contains("mqtt.server_name"), "{remedy}");
    mqtt.server_name = Some("broker.example".to_owned());
    Client::start(&mqtt, "client", &[]).until_connected().await;
    mqtt.server_name = Some("localhost".to_owned());
    mqtt.address = format!("mqtts://{}", broker.address);
    let (detail, _) = tls_error(&mqtt).await;
    assert!(detail.contains("for another name"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_wants_a_certificate_gets_it_or_is_said_to_want_it() {
    let (folder, ca) = (TempDir::new().unwrap(), Ca::new("ours"));
    let rules = Rules::tls(&ca.sign(&["localhost"])).clients_of(&ca);
    let broker = FakeBroker::start(rules).await;
    let mut mqtt = encrypted(&broker, &ca, &folder);
    let (detail, remedy) = tls_error(&mqtt).await;
    assert!(
        detail.starts_with("the broker wants a certificate of its clients"),
        "{detail}"
    );
    assert!(remedy.contains("mqtt.certificate_file"), "{remedy}");

    let (certificate, key) = ca.sign(&["gateway-1"]).save(folder.path());
    mqtt.certificate_file = Some(certificate.clone());
    mqtt.key_file = Some(key);
    Client::start(&mqtt, "client", &[]).until_connected().await;

    // One that the broker does not know, and a key of another certificate.
    let (foreign, foreign_key) = Ca::new("another").sign(&["gateway-1"]).save(folder.path());
    mqtt.certificate_file = Some(foreign);
    mqtt.key_file = Some(foreign_key);
    let (detail, _) = tls_error(&mqtt).await;
    assert!(
        detail.starts_with("the broker does not accept mqtt.certificate_file"),
        "{detail}"
    );
    mqtt.certificate_file = Some(certificate);
    let LinkError::Credentials { detail } = error(&mqtt).await else {
        panic!("the two do not belong together");
    };
    assert!(detail.contains("cannot be used together"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_says_whether_an_account_is_wanted_or_is_wrong() {
    let folder = TempDir::new().unwrap();
    let broker = FakeBroker::start(Rules::account("north", "right")).await;
    let mut mqtt = settings(broker.address);
    let login = |error| match error {
        LinkError::Login { detail, remedy, .. } => (detail, remedy),
        error => panic!("not a refused login: {error:?}"),
    };
    let (detail, remedy) = login(error(&mqtt).await);
    assert_eq!(detail, "it wants an account");
    assert!(remedy.contains("mqtt.user"), "{remedy}");

    let file = folder.path().join("password");
    mqtt.user = Some("north".to_owned());
    mqtt.password_file = Some(file.clone());
    support::write_secret(&file, "wrong\n");
    let refused = error(&mqtt).await;
    assert!(!format!("{refused:?} {refused} {mqtt:?}").contains("wrong\n"));
    let (detail, remedy) = login(refused);
    assert!(detail.contains("wrong user name or password"), "{detail}");
    assert!(remedy.contains("mqtt.password_file"), "{remedy}");

    support::write_secret(&file, "right\r\n");
    Client::start(&mqtt, "client", &[]).until_connected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_are_named_and_read_again_once_they_are_mended() {
    let folder = TempDir::new().unwrap();
    let broker = FakeBroker::start(Rules::account("north", "right")).await;
    let mut mqtt = settings(broker.address);
    let file = folder.path().join("password");
    mqtt.user = Some("north".to_owned());
    mqtt.password_file = Some(file.clone());
    let mut client = Client::start(&mqtt, "client", &[]);
    let mut detail = async || match client.event().await {
        Event::Disconnected {
            error: LinkError::Credentials { detail },
        } => detail,
        event => panic!("{event:?}"),
    };
    let missing = detail().await;
    assert!(
        missing.contains("mqtt.password_file: there is no file"),
        "{missing}"
    );
    fs::write(&file, "right").unwrap();
    support::set_mode(&file, 0o644);
    let exposed = within(async {
        loop {
            let text = detail().await;
            if text != missing {
                return text;
            }
        }
    })
    .await;
    assert!(exposed.contains("chmod 600"), "{exposed}");
    assert_eq!(broker.connects(), 0);
    support::set_mode(&file, 0o600);
    client.until_connected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_where_none_is_spoken_and_none_where_it_is_are_both_told_so() {
    let (folder, ca) = (TempDir::new().unwrap(), Ca::new("ours"));
    let plain = FakeBroker::start(Rules::default()).await;
    let (detail, remedy) = tls_error(&encrypted(&plain, &ca, &folder)).await;
    assert!(remedy.contains("leave mqtts:// out"), "{detail}: {remedy}");
    let tls = FakeBroker::start(Rules::tls(&ca.sign(&["localhost"]))).await;
    let error = error(&settings(tls.address)).await;
    let text = format!("{error} {:?}", error.remedy());
    assert!(text.contains("write mqtts://"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_address_is_used_when_a_broker_is_lost_and_the_first_one_again_after_it() {
    let mut first = FakeBroker::start(Rules::default()).await;
    let mut second = FakeBroker::start(Rules::default()).await;
    let mut mqtt = settings(first.address);
    mqtt.address = format!("{}, mqtt://{}", first.address, second.address);
    let mut client = Client::start(&mqtt, "client", &["t"]);
    client.until_connected().await;
    assert_eq!((first.connects(), second.connects()), (1, 0));
    first.stop().await;
    client.until_connected().await;
    assert_eq!(second.connects(), 1);
    // What is published goes to the one that is there.
    client.publish("t", b"news".to_vec()).await;
    assert_eq!(within(second.published()).await, b"news");
    first.start_again().await;
    second.stop().await;
    client.until_connected().await;
    assert_eq!((first.connects(), second.connects()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_address_is_told_what_is_wrong_with_it() {
    let gone = FakeBroker::start(Rules::default()).await;
    let refusing = FakeBroker::start(Rules::account("north", "right")).await;
    let mut mqtt = settings(gone.address);
    mqtt.address = format!("{},{}", gone.address, refusing.address);
    let mut gone = gone;
    gone.stop().await;
    let mut client = Client::start(&mqtt, "client", &[]);
    for (address, label) in [(gone.address, "no broker"), (refusing.address, "login")].repeat(2) {
        let Event::Disconnected { error } = client.event().await else {
            panic!("neither lets it in");
        };
        let text = error.to_string();
        assert!(
            text.contains(&address.to_string()) && text.contains(label),
            "{text}"
        );
    }
}
