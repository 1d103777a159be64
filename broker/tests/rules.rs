//! The rules over a real broker, with users and passwords: what each client gets to read, and whose meters it may publish for.

#![allow(clippy::unwrap_used, reason = "tests")]

mod client;

use std::net::SocketAddr;

use accounts::Passwords;
use client::Client;
use service::config::IdentityKind;
use service::files::{SIGNING_KEY, load_or_create_signing_key, state_folder};
use service::{Settings, Stop, StopHandle};
use tempfile::TempDir;
use wire::{CapacityClass, MaskKey, RosterEntry, RosterPage, SigningKey, Topics, Watts};

const PASSWORD: &str = "correct horse";
const REFUSED: u8 = 0x80;

struct World {
    address: SocketAddr,
    settings: Settings,
    operator: SigningKey,
    _stop: StopHandle,
    _state: TempDir,
}

impl World {
    async fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.deployment.state_dir = state.path().to_owned();
        settings.broker.listen = "127.0.0.1:0".parse().unwrap();
        settings.broker.identity = IdentityKind::Password;
        let users = state.path().join("users");
        let mut passwords = Passwords::default();
        for name in [
            "operator",
            "analytics.analytics-1",
            "gateway.gateway-1",
            "gateway.gateway-2",
        ] {
            let name = name.parse().unwrap();
            passwords.set(&name, PASSWORD.as_bytes()).unwrap();
        }
        passwords.write(&users).unwrap();
        settings.broker.password_file = Some(users);
        let folder = state_folder(state.path(), "operator").unwrap();
        let operator = load_or_create_signing_key(&folder.join(SIGNING_KEY)).unwrap();
        let broker = broker::bind(&settings).await.unwrap();
        let address = broker.address();
        let (stop, stopped) = Stop::manual();
        tokio::spawn(broker.run(stopped));
        Self {
            address,
            settings,
            operator,
            _stop: stop,
            _state: state,
        }
    }

    async fn client(&self, user: &str) -> Client {
        let kind = user.split('.').next().unwrap();
        let id = user.split('.').nth(1);
        let deployment = format!("{kind}:cipherwatt:v2:dev");
        let client_id = id.map_or(deployment.clone(), |id| format!("{deployment}:{id}"));
        Client::connect(self.address, &client_id, Some((user, PASSWORD)))
            .await
            .unwrap()
    }

    /// Page 0 of a roster with one meter behind each gateway.
    fn roster(&self) -> (String, Vec<u8>) {
        let entry = |number: u32| RosterEntry {
            meter: format!("meter-{number}").try_into().unwrap(),
            feeder: "north".try_into().unwrap(),
            number,
            gateway: format!("gateway-{number}").try_into().unwrap(),
            capacity: CapacityClass::of(Watts(10_000)).unwrap(),
            key: self.operator.verifying_key(),
            mask_key: MaskKey([9; 32]),
            billing: false,
        };
        let page = RosterPage {
            version: 1,
            page: 0,
            pages: 1,
            entries: vec![entry(1), entry(2)],
            countersignatures: Vec::new(),
        };
        let deployment = &self.settings.deployment;
        let topic = Topics::new(&deployment.root).unwrap().roster(0);
        let sealed = wire::seal(&page, None, &deployment.id, &topic, &self.operator);
        (topic, sealed.0)
    }
}

fn report(meter: &str) -> String {
    format!("cipherwatt/v2/shard/0/feeder/north/meter/{meter}/report")
}

fn part(gateway: &str) -> String {
    format!("cipherwatt/v2/gateway/{gateway}/roster/0")
}

#[tokio::test]
async fn a_gateway_reads_its_own_part_of_the_roster_and_nobody_elses() {
    let world = World::start().await;
    let mut operator = world.client("operator").await;
    let (topic, page) = world.roster();
    operator.publish(&topic, &page, true).await;
    for gateway in ["gateway-1", "gateway-2"] {
        operator
            .publish(&part(gateway), gateway.as_bytes(), true)
            .await;
    }
    let mut gateway = world.client("gateway.gateway-1").await;
    for foreign in [
        "cipherwatt/v2/gateway/gateway-2/roster/+",
        "cipherwatt/v2/gateway/gateway-2/roster/0",
        "cipherwatt/v2/gateway/+/roster/+",
        "cipherwatt/v2/gateway/gateway-1/roster/#",
        "cipherwatt/v2/roster/+",
        "cipherwatt/v2/roster/0",
        "cipherwatt/v2/#",
        "#",
    ] {
        assert_eq!(gateway.subscribe(foreign).await, REFUSED, "{foreign}");
    }
    let own = "cipherwatt/v2/gateway/gateway-1/roster/+";
    assert_eq!(gateway.subscribe(own).await, 1);
    let (topic, payload) = gateway.next().await.unwrap();
    assert_eq!(
        (topic, payload.as_slice()),
        (part("gateway-1"), &b"gateway-1"[..])
    );
    // Nor does it write anybody's.
    let mut other = world.client("gateway.gateway-2").await;
    let of_other = "cipherwatt/v2/gateway/gateway-2/roster/+";
    assert_eq!(other.subscribe(of_other).await, 1);
    assert_eq!(other.next().await.unwrap().1, b"gateway-2");
    gateway.publish(&part("gateway-2"), b"forged", true).await;
    operator.publish(&part("gateway-2"), b"new", true).await;
    assert_eq!(other.next().await.unwrap().1, b"new");
}

#[tokio::test]
async fn a_report_for_the_meter_of_another_gateway_is_acknowledged_and_goes_nowhere() {
    let world = World::start().await;
    let mut analytics = world.client("analytics.analytics-1").await;
    let reports = "cipherwatt/v2/shard/0/feeder/+/meter/+/report";
    assert_eq!(analytics.subscribe(reports).await, 1);
    let mut gateway = world.client("gateway.gateway-1").await;
    // Nobody has said whose it is.
    gateway.publish(&report("meter-1"), b"early", false).await;
    let mut operator = world.client("operator").await;
    let (topic, page) = world.roster();
    operator.publish(&topic, &page, true).await;
    for meter in ["meter-2", "meter-3", "meter-1"] {
        gateway
            .publish(&report(meter), meter.as_bytes(), false)
            .await;
    }
    // A plan of a gateway's own.
    gateway.publish("cipherwatt/v2/plan", b"forged", true).await;
    assert_eq!(analytics.next().await.unwrap().1, b"meter-1");
    assert_eq!(analytics.subscribe("cipherwatt/v2/plan").await, 1);
    operator.publish("cipherwatt/v2/plan", b"plan", true).await;
    assert_eq!(analytics.next().await.unwrap().1, b"plan");
}

#[tokio::test]
async fn nobody_connects_without_its_password_or_as_somebody_else() {
    let world = World::start().await;
    let own = "gateway:cipherwatt:v2:dev:gateway-1";
    let operator = "operator:cipherwatt:v2:dev";
    let user = "gateway.gateway-1";
    for (client_id, login, code) in [
        (own, None, 4),
        (own, Some((user, "incorrect")), 4),
        (own, Some(("gateway.gateway-3", PASSWORD)), 4),
        (operator, Some((user, PASSWORD)), 2),
    ] {
        let refused = Client::connect(world.address, client_id, login).await;
        assert_eq!(refused.err(), Some(code), "{client_id} {login:?}");
    }
    assert!(
        Client::connect(world.address, own, Some((user, PASSWORD)))
            .await
            .is_ok()
    );
    assert!(
        Client::connect(world.address, "", Some((user, PASSWORD)))
            .await
            .is_ok()
    );
}
