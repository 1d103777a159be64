//! Messages through a broker, with nothing but a broker in between.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use harness::latency::Durations;
use service::config::{Deployment, Mqtt};
use service::mqtt::{self, Client, Event, Publisher, QoS};
use service::stop::Stop;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};
use wire::Topics;

const PUBLISHERS: usize = 4;
/// Messages of one publisher without an acknowledgement.
const INFLIGHT: u16 = 100;
/// Silence after which what has not come is lost.
const QUIET: Duration = Duration::from_secs(3);
/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) messages: usize,
    /// Bytes of a message.
    pub(crate) bytes: usize,
    /// Messages a second; none: as fast as the broker takes them.
    pub(crate) rate: Option<f64>,
    /// How long the subscriber takes nothing, from the beginning.
    pub(crate) stall: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// Share of the messages, each of which the broker acknowledged.
    pub(crate) delivered: f64,
    /// Milliseconds from handing a message to the client until the subscriber has it, median.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Messages a second, from the first published to the last received.
    pub(crate) per_s: f64,
}

/// The clock of a load, and when its first message was due.
#[derive(Clone, Copy)]
struct Times {
    began: Instant,
    first: Duration,
}

/// Publishes to one subscriber at QoS 1, on the topics of reports and with the client id of analytics, which our own broker knows
/// whom to wait for by.
pub(crate) async fn offer(
    broker: &Mqtt,
    deployment: &Deployment,
    shape: &Shape,
) -> Result<Delivery> {
    let topics = Topics::new(&deployment.root)?;
    let subscriber = Client::Analytics(&"bench".parse()?).id(deployment);
    let mut settings = broker.clone();
    settings.in_flight = INFLIGHT;
    let (stop, stopped) = Stop::manual();
    let began = Instant::now();
    let all = vec![(topics.report_filter(), QoS::AtLeastOnce)];
    let (_subscriber, mut inbox) = mqtt::connect(&settings, &subscriber, all, stopped.clone());
    let connected = async { while !matches!(inbox.recv().await, Some(Event::Connected)) {} };
    timeout(PATIENCE, connected)
        .await
        .context("no connection to the broker")?;
    let first = began.elapsed();
    let mut publishers = JoinSet::new();
    for number in 0..PUBLISHERS {
        let id = format!("publisher-{number}");
        let (publisher, _inbox) = mqtt::connect(&settings, &id, Vec::new(), stopped.clone());
        let meter = format!("meter-{number}").parse()?;
        let topic = topics.report(wire::Shard(0), &"feeder-1".parse()?, &meter);
        let times = Times { began, first };
        publishers.spawn(publish(publisher, topic, *shape, (number, times)));
    }
    sleep(shape.stall).await;
    let mut tally = Tally::new(shape.messages);
    let mut publishing = true;
    while tally.count < shape.messages {
        tokio::select! {
            event = timeout(QUIET, inbox.recv()) => match event {
                Ok(Some(Event::Message(message))) => {
                    tally.take(&message.payload, began.elapsed());
                    inbox.ack(&message);
                }
                Ok(Some(Event::Connected)) => {}
                Ok(Some(Event::Disconnected { .. }) | None) => bail!("the broker closed a connection"),
                Err(_) if publishing => {}
                Err(_) => break,
            },
            ended = publishers.join_next(), if publishing => match ended {
                Some(ended) => ended??,
                None => publishing = false,
            },
        }
    }
    stop.stop();
    Ok(tally.delivery(first))
}

/// One publisher's part of the messages. It ends once the broker has acknowledged them.
async fn publish(
    publisher: Publisher,
    topic: String,
    shape: Shape,
    (number, times): (usize, Times),
) -> Result<()> {
    // A client that is closed before it has connected sends nothing.
    publisher.connected().wait_for(|up| *up).await?;
    for n in (number..shape.messages).step_by(PUBLISHERS) {
        if let Some(rate) = shape.rate {
            let due = times.first + Duration::from_secs_f64(n as f64 / rate);
            sleep_until((times.began + due).into()).await;
        }
        let payload = message(n, times.began.elapsed(), shape.bytes);
        publisher.publish(topic.clone(), payload, false).await?;
    }
    publisher.close().await;
    Ok(())
}

/// A message's number and the time it is handed over at, among as many bytes as it has.
fn message(n: usize, at: Duration, bytes: usize) -> Bytes {
    let mut payload = vec![0x5a; bytes];
    payload[..8].copy_from_slice(&(n as u64).to_le_bytes());
    payload[8..16].copy_from_slice(&(at.as_nanos() as u64).to_le_bytes());
    Bytes::from(payload)
}

struct Tally {
    seen: Vec<bool>,
    count: usize,
    latencies: Durations,
    last: Duration,
}

impl Tally {
    fn new(messages: usize) -> Self {
        Self {
            seen: vec![false; messages],
            count: 0,
            latencies: Durations::default(),
            last: Duration::ZERO,
        }
    }

    fn take(&mut self, payload: &[u8], now: Duration) {
        let word = |at: usize| -> Option<u64> {
            let bytes = payload.get(at..at + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        let (Some(n), Some(sent)) = (word(0), word(8)) else {
            return;
        };
        // QoS 1 may bring one twice.
        let Some(seen @ false) = self.seen.get_mut(n as usize) else {
            return;
        };
        *seen = true;
        self.count += 1;
        self.last = now;
        self.latencies
            .record(now.saturating_sub(Duration::from_nanos(sent)));
    }

    fn delivery(self, from: Duration) -> Delivery {
        let latencies = self.latencies.latencies();
        // Where nothing arrived there is no figure; 0 would look like a good one.
        let ms = |latency| if self.count == 0 { f64::NAN } else { latency };
        let took = self.last.saturating_sub(from).as_secs_f64();
        Delivery {
            delivered: self.count as f64 / self.seen.len().max(1) as f64,
            p50_ms: ms(latencies.p50),
            p99_ms: ms(latencies.p99),
            per_s: self.count as f64 / took.max(f64::MIN_POSITIVE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_once_and_latency_is_from_its_hand_over() {
        let mut tally = Tally::new(4);
        let ms = Duration::from_millis;
        tally.take(&message(0, ms(10), 16), ms(12));
        tally.take(&message(0, ms(10), 16), ms(19));
        tally.take(&message(3, ms(10), 16), ms(20));
        tally.take(b"short", ms(21));
        tally.take(&message(9, ms(10), 16), ms(22));
        let delivery = tally.delivery(ms(0));
        assert!((delivery.delivered - 0.5).abs() < 1e-9);
        assert!((delivery.p99_ms - 10.0).abs() < 1e-9);
        assert!((delivery.per_s - 100.0).abs() < 1e-9);
    }

    #[tokio::test]
    async fn every_message_of_a_small_load_arrives_through_our_broker() {
        let mut settings = service::Settings::defaults();
        settings.broker.listen = "127.0.0.1:0".parse().unwrap();
        settings.broker.metrics_listen = None;
        let (stop, stopped) = Stop::manual();
        let broker = broker::bind(&settings).await.unwrap();
        settings.mqtt.address = broker.address().to_string();
        let shape = Shape {
            messages: 40,
            bytes: 27_000,
            rate: None,
            stall: Duration::ZERO,
        };
        let broker = tokio::spawn(broker.run(stopped));
        let delivery = offer(&settings.mqtt, &settings.deployment, &shape)
            .await
            .unwrap();
        assert!((delivery.delivered - 1.0).abs() < 1e-9);
        assert!(delivery.p50_ms <= delivery.p99_ms && delivery.per_s > 0.0);
        stop.stop();
        broker.await.unwrap().unwrap();
    }
}
