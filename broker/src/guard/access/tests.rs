use std::net::{IpAddr, Ipv4Addr};

use accounts::{Folder, Passwords};
use service::Chain;
use service::files::{
    PRIVATE, SIGNING_KEY, load_or_create_signing_key, state_folder, write_atomic,
};
use tempfile::TempDir;
use wire::{CapacityClass, MaskKey, RosterEntry, RosterPage, SigningKey, Topics, Watts};

use super::*;

mod tls;

/// A deployment with its state, and certificates and users that were made for it.
struct World {
    settings: Settings,
    root: TempDir,
    operator: SigningKey,
}

impl World {
    fn new(identity: IdentityKind) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = root.path().join("state");
        let folder = state_folder(&settings.deployment.state_dir, "operator").unwrap();
        let operator = load_or_create_signing_key(&folder.join(SIGNING_KEY)).unwrap();
        let certificates = Folder::create(&root.path().join("certs"), &["localhost".to_owned()]);
        let certificates = certificates.unwrap();
        let file = |name: &str| Some(certificates.path().join(name));
        let broker = &mut settings.broker;
        broker.identity = identity;
        broker.certificate_file = file("broker.crt");
        broker.key_file = file("broker.key");
        match identity {
            IdentityKind::Password => broker.password_file = Some(root.path().join("users")),
            IdentityKind::Certificate => broker.client_ca_file = file("ca.crt"),
            IdentityKind::None => {}
        }
        Self {
            settings,
            root,
            operator,
        }
    }

    fn with_users(users: &[(&str, &str)]) -> Self {
        let world = Self::new(IdentityKind::Password);
        world.set_users(users);
        world
    }

    fn set_users(&self, users: &[(&str, &str)]) {
        let mut passwords = Passwords::default();
        for (name, password) in users {
            let name = name.parse().unwrap();
            passwords.set(&name, password.as_bytes()).unwrap();
        }
        passwords.write(&self.root.path().join("users")).unwrap();
    }

    fn access(&self) -> Access {
        Access::load(&self.settings).unwrap()
    }

    fn certificates(&self) -> Folder {
        Folder::open(&self.root.path().join("certs")).unwrap()
    }

    /// A roster with one meter behind each of two gateways, as the operator signs it.
    fn roster(&self, version: u64) -> (String, Vec<u8>) {
        let entry = |gateway: &str, meter: &str, number| RosterEntry {
            meter: meter.try_into().unwrap(),
            feeder: "north".try_into().unwrap(),
            number,
            gateway: gateway.try_into().unwrap(),
            capacity: CapacityClass::of(Watts(10_000)).unwrap(),
            key: self.operator.verifying_key(),
            mask_key: MaskKey([9; 32]),
            billing: false,
        };
        let page = RosterPage {
            version,
            page: 0,
            pages: 1,
            entries: vec![
                entry("gateway-1", "meter-1", 0),
                entry("gateway-2", "meter-2", 1),
            ],
            countersignatures: Vec::new(),
        };
        let deployment = &self.settings.deployment;
        let topic = Topics::new(&deployment.root).unwrap().roster(0);
        let sealed = wire::seal(&page, None, &deployment.id, &topic, &self.operator);
        (topic, sealed.0)
    }
}

fn shown<'a>(client_id: &'a str, user: Option<&'a str>, password: &'a str) -> Shown<'a> {
    Shown {
        client_id,
        user,
        password: user.map(|_| password.as_bytes()),
        certificate: None,
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

const GATEWAY: &str = "gateway:cipherwatt:v2:dev:gateway-1";

#[tokio::test]
async fn a_user_is_let_in_with_its_password_and_under_its_own_client_id() {
    let world = World::with_users(&[
        ("gateway.gateway-1", "correct horse"),
        ("stranger.x", "correct horse"),
    ]);
    let access = world.access();
    let user = Some("gateway.gateway-1");
    for client_id in [GATEWAY, "", "cipherwatt-doctor-0a1b2c3d"] {
        let shown = shown(client_id, user, "correct horse");
        let identity = access.identify(shown).await.unwrap();
        assert_eq!(identity.name(), "gateway.gateway-1");
    }
    let operator = "operator:cipherwatt:v2:dev";
    for (client_id, user, password, code, reason) in [
        (GATEWAY, None, "", 4, "no_login"),
        (GATEWAY, user, "correct horsf", 4, "wrong_login"),
        (
            GATEWAY,
            Some("gateway.gateway-2"),
            "correct horse",
            4,
            "wrong_login",
        ),
        (
            GATEWAY,
            Some("Not a name"),
            "correct horse",
            4,
            "wrong_login",
        ),
        (operator, user, "correct horse", 2, "foreign_client_id"),
        ("x", Some("stranger.x"), "correct horse", 5, "unknown_role"),
    ] {
        let shown = shown(client_id, user, password);
        let refused = access.identify(shown).await.unwrap_err();
        assert_eq!((refused.code, refused.reason), (code, reason), "{refused}");
        assert!(REASONS.contains(&refused.reason));
        assert!(password.is_empty() || !refused.to_string().contains(password));
    }
}

#[tokio::test]
async fn a_reader_of_noisy_totals_is_not_let_in_where_it_could_read_exact_ones() {
    let mut world = World::with_users(&[
        ("dashboard.press", "correct horse"),
        ("dashboard.wall", "correct horse"),
        ("recipient.news", "correct horse"),
    ]);
    let recipient = "{ name = \"news\", reader = \"press\", unit = \"interval\", mechanism = \"laplace\", epsilon = 1 }";
    let overrides =
        service::config::Overrides::new().set("publish.recipients", format!("[{recipient}]"));
    let loaded = service::config::load_layers(&[], std::iter::empty(), &overrides).unwrap();
    world.settings.publish = loaded.settings.publish;
    let access = world.access();
    let as_user = |user| shown("", Some(user), "correct horse");
    let refused = access
        .identify(as_user("dashboard.press"))
        .await
        .unwrap_err();
    assert_eq!((refused.code, refused.reason), (5, "reads_exact_and_noisy"));
    assert!(REASONS.contains(&refused.reason));
    assert!(access.identify(as_user("dashboard.wall")).await.is_ok());
    let news = access.identify(as_user("recipient.news")).await.unwrap();
    assert!(news.may_subscribe("cipherwatt/v2/recipient/news/#"));
    for foreign in [
        "cipherwatt/v2/recipient/+/feeder/+/total",
        "cipherwatt/v2/recipient/other/#",
        "cipherwatt/v2/shard/0/feeder/+/total",
        "cipherwatt/v2/plan",
    ] {
        assert!(!news.may_subscribe(foreign), "{foreign}");
    }
}

#[tokio::test]
async fn users_are_read_again_and_stay_as_they_were_if_the_file_is_wrong() {
    let user = Some("gateway.gateway-1");
    let world = World::with_users(&[("gateway.gateway-1", "correct horse")]);
    let access = world.access();
    world.set_users(&[("gateway.gateway-1", "battery staple")]);
    assert!(
        access
            .identify(shown(GATEWAY, user, "battery staple"))
            .await
            .is_err()
    );
    access.reload().unwrap();
    assert!(
        access
            .identify(shown(GATEWAY, user, "battery staple"))
            .await
            .is_ok()
    );
    assert!(
        access
            .identify(shown(GATEWAY, user, "correct horse"))
            .await
            .is_err()
    );
    write_atomic(&world.root.path().join("users"), b"nonsense", PRIVATE).unwrap();
    let error = Chain(&access.reload().unwrap_err()).to_string();
    assert!(
        error.contains("broker.password_file") && error.contains("line 1"),
        "{error}"
    );
    assert!(
        access
            .identify(shown(GATEWAY, user, "battery staple"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn without_identities_everybody_may_do_everything_and_analytics_still_misses_nothing() {
    let world = World::new(IdentityKind::None);
    let access = world.access();
    let reports = "cipherwatt/v2/shard/0/feeder/+/meter/+/report";
    for (client_id, required) in [
        ("bulk:analytics:cipherwatt:v2:dev:analytics-1", true),
        ("mosquitto-sub-1", false),
        ("cipherwatt-doctor-0a1b2c3d", false),
        ("search:cipherwatt:v2:dev", false),
    ] {
        let identity = access.identify(shown(client_id, None, "")).await.unwrap();
        assert!(identity.may_publish("any/topic", true) && identity.may_subscribe("#"));
        assert_eq!(identity.is_required(reports), required, "{client_id}");
        assert!(!identity.is_required("#"));
    }
    // Nothing is written where nothing is needed.
    assert!(!world.settings.deployment.state_dir.join("broker").exists());
}

#[tokio::test]
async fn a_gateway_publishes_for_the_meters_that_the_operator_signed_and_for_no_other() {
    let world = World::with_users(&[
        ("gateway.gateway-1", "correct horse"),
        ("analytics.analytics-1", "correct horse"),
    ]);
    let access = world.access();
    let shown = shown(GATEWAY, Some("gateway.gateway-1"), "correct horse");
    let gateway = access.identify(shown).await.unwrap();
    let report = |feeder: &str, meter: &str| {
        format!("cipherwatt/v2/shard/0/feeder/{feeder}/meter/{meter}/report")
    };
    let (topic, payload) = world.roster(1);

    // Before the roster is known it may ask to join, and read.
    assert!(!gateway.may_publish(&report("north", "meter-1"), false));
    assert!(gateway.may_publish("cipherwatt/v2/gateway/gateway-1/enrol", false));
    assert!(gateway.may_subscribe("cipherwatt/v2/plan"));

    // Nobody but the operator says who is behind whom.
    let mut forged = payload.clone();
    *forged.last_mut().unwrap() ^= 1;
    access.learn(&topic, &forged);
    assert!(!gateway.may_publish(&report("north", "meter-1"), false));

    access.learn(&topic, &payload);
    assert!(gateway.may_publish(&report("north", "meter-1"), false));
    for (feeder, meter) in [
        ("north", "meter-2"),
        ("south", "meter-1"),
        ("north", "meter-3"),
    ] {
        assert!(
            !gateway.may_publish(&report(feeder, meter), false),
            "{feeder} {meter}"
        );
    }
    assert!(
        !gateway.may_publish(&report("north", "meter-1"), true),
        "reports are not retained"
    );
    assert!(!gateway.may_subscribe("cipherwatt/v2/gateway/gateway-2/roster/+"));
    assert!(!gateway.may_subscribe("cipherwatt/v2/roster/+"));
    assert!(gateway.may_subscribe("cipherwatt/v2/gateway/gateway-1/roster/+"));

    // After a start it is known from the disk.
    let again = world.access();
    let shown = self::shown(GATEWAY, Some("gateway.gateway-1"), "correct horse");
    let gateway = again.identify(shown).await.unwrap();
    assert!(gateway.may_publish(&report("north", "meter-1"), false));
}
