use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use service::config::Settings;
use service::mqtt::{self, Event, QoS};
use service::stop::Stop;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn fates(network: Network, n: u64) -> Vec<Vec<Duration>> {
    (0..n).map(|n| network.deliveries(n)).collect()
}

#[test]
fn a_perfect_network_delivers_once_and_at_once() {
    let network = Network::default();
    assert!(network.is_perfect());
    assert!(fates(network, 1_000).iter().all(|f| f == &[Duration::ZERO]));
}

#[test]
fn rates_are_those_asked_for() {
    let network = Network {
        latency: 20 * MS,
        jitter: 10 * MS,
        loss: 0.1,
        duplicate: 0.2,
        seed: 7,
    };
    assert!(!network.is_perfect());
    let n = 100_000;
    let fates = fates(network, n);
    let share = |copies| fates.iter().filter(|f| f.len() == copies).count() as f64 / n as f64;
    assert!((share(0) - 0.1).abs() < 0.005);
    assert!((share(2) - 0.18).abs() < 0.005);
    let delays: Vec<f64> = fates.iter().flatten().map(Duration::as_secs_f64).collect();
    let mean = delays.iter().sum::<f64>() / delays.len() as f64;
    assert!((mean - 0.025).abs() < 0.000_1, "{mean}");
    assert!(fates.iter().any(|f| matches!(f[..], [a, b] if b < a)));
}

#[test]
fn extremes_are_exact() {
    let lost = Network {
        loss: 1.0,
        duplicate: 1.0,
        ..Network::default()
    };
    assert!(fates(lost, 1_000).iter().all(Vec::is_empty));
    let doubled = Network { loss: 0.0, ..lost };
    assert!(fates(doubled, 1_000).iter().all(|f| f.len() == 2));
}

proptest! {
    #[test]
    fn a_fate_follows_from_seed_and_place(
        seed: u64,
        loss in 0.0..=1.0,
        more in 0.0..=1.0,
        duplicate in 0.0..=1.0,
        latency_ms in 0u32..1_000,
        jitter_ms in 0u32..1_000,
    ) {
        let network = Network {
            latency: latency_ms * MS,
            jitter: jitter_ms * MS,
            loss,
            duplicate,
            seed,
        };
        let first = fates(network, 50);
        prop_assert_eq!(&first, &fates(network, 50));
        for delay in first.iter().flatten() {
            prop_assert!((network.latency..=network.latency + network.jitter).contains(delay));
        }
        let worse = fates(Network { loss: f64::max(loss, more), ..network }, 50);
        for (a, b) in first.iter().zip(&worse) {
            prop_assert!(b.is_empty() || a == b);
        }
    }
}

/// Reports and another message through the proxy and a real broker: what arrives is what the fates say, every publish is
/// acknowledged to the gateway, and only reports are touched.
#[tokio::test]
async fn reports_are_lost_and_doubled_on_the_way_and_nothing_else_is() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut settings = Settings::defaults();
    settings.broker.listen = any;
    let (stop, stopped) = Stop::manual();
    let broker = broker::bind(&settings).await.unwrap();
    let address = broker.address();
    let broker = tokio::spawn(broker.run(stopped.clone()));
    let network = Network {
        jitter: 5 * MS,
        loss: 0.3,
        duplicate: 0.3,
        ..Network::default()
    };
    let proxy = listen(any, address, "t", network).await.unwrap();
    settings.mqtt.address = address.to_string();
    let everything = vec![("t/#".to_owned(), QoS::AtLeastOnce)];
    let (_keep, mut inbox) = mqtt::connect(&settings.mqtt, "onlooker", everything, stopped.clone());
    while !matches!(inbox.recv().await, Some(Event::Connected)) {}
    settings.mqtt.address = proxy.to_string();
    let (gateway, _inbox) = mqtt::connect(&settings.mqtt, "gateway", Vec::new(), stopped);
    let report = |n: u64| {
        (
            format!("t/shard/0/feeder/f/meter/m-{n}/report"),
            vec![n as u8; 20_000],
        )
    };
    let count = 200;
    for n in 0..count {
        let (topic, payload) = report(n);
        gateway.publish(topic, payload, false).await.unwrap();
    }
    gateway
        .publish("t/last".to_owned(), vec![1], false)
        .await
        .unwrap();
    let expected: BTreeMap<String, usize> = (0..count)
        .map(|n| (report(n).0, network.deliveries(n).len()))
        .filter(|(_, copies)| *copies > 0)
        .chain([("t/last".to_owned(), 1)])
        .collect();
    let mut seen = BTreeMap::<String, usize>::new();
    while seen != expected {
        let Some(Event::Message(incoming)) = inbox.recv().await else {
            continue;
        };
        inbox.ack(&incoming);
        *seen.entry(incoming.topic).or_default() += 1;
        assert!(
            seen.iter().all(|(topic, n)| Some(n) <= expected.get(topic)),
            "{seen:?}"
        );
    }
    stop.stop();
    broker.await.unwrap().unwrap();
}
