//! Messages of a report's size through a broker, with nothing but a broker in between.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use harness::latency::Durations;
use service::config::Settings;
use service::mqtt::{self, Event, QoS};
use service::stop::Stop;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

const PUBLISHERS: usize = 4;
/// Bytes of a message: a report of ours.
pub(crate) const BYTES: usize = 12_000;
/// Messages of one publisher without an acknowledgement.
const INFLIGHT: u16 = 100;
/// Silence after which what has not come is lost.
const QUIET: Duration = Duration::from_secs(3);
/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) delivered: f64,
    /// Milliseconds from handing a message to the client until the subscriber has it, median.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Messages a second, from the first published to the last received.
    pub(crate) per_s: f64,
}

/// Publishes `messages` to one subscriber at QoS 1, `rate` a second or as fast as the broker takes them.
pub(crate) async fn offer(port: u16, messages: usize, rate: Option<f64>) -> Result<Delivery> {
    let mut settings = Settings::defaults().mqtt;
    settings.address = format!("127.0.0.1:{port}");
    settings.in_flight = INFLIGHT;
    let (stop, stopped) = Stop::manual();
    let began = Instant::now();
    let all = vec![("load/+".to_owned(), QoS::AtLeastOnce)];
    let (_subscriber, mut inbox) = mqtt::connect(&settings, "subscriber", all, stopped.clone());
    let connected = async { while !matches!(inbox.recv().await, Some(Event::Connected)) {} };
    timeout(PATIENCE, connected)
        .await
        .context("no connection to the broker")?;
    let began_publishing = began.elapsed();
    let mut publishers = JoinSet::new();
    for number in 0..PUBLISHERS {
        let id = format!("publisher-{number}");
        let (publisher, _inbox) = mqtt::connect(&settings, &id, Vec::new(), stopped.clone());
        publishers.spawn(async move {
            // A client that is closed before it has connected sends nothing.
            publisher.connected().wait_for(|up| *up).await?;
            for n in (number..messages).step_by(PUBLISHERS) {
                if let Some(rate) = rate {
                    let due = began_publishing + Duration::from_secs_f64(n as f64 / rate);
                    sleep_until((began + due).into()).await;
                }
                let payload = message(n, began.elapsed());
                publisher
                    .publish(format!("load/{number}"), payload, false)
                    .await?;
            }
            publisher.close().await;
            anyhow::Ok(())
        });
    }
    let mut tally = Tally::new(messages);
    let mut publishing = true;
    while tally.count < messages {
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
    Ok(tally.delivery(began_publishing))
}

/// A message's number and the time it is handed over at, and a report's worth of bytes.
fn message(n: usize, at: Duration) -> Bytes {
    let mut payload = vec![0x5a; BYTES];
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
        tally.take(&message(0, ms(10)), ms(12));
        tally.take(&message(0, ms(10)), ms(19));
        tally.take(&message(3, ms(10)), ms(20));
        tally.take(b"short", ms(21));
        tally.take(&message(9, ms(10)), ms(22));
        let delivery = tally.delivery(ms(0));
        assert!((delivery.delivered - 0.5).abs() < 1e-9);
        assert!((delivery.p99_ms - 10.0).abs() < 1e-9);
        assert!((delivery.per_s - 100.0).abs() < 1e-9);
    }

    #[tokio::test]
    async fn every_message_of_a_small_load_arrives_through_our_broker() {
        let mut settings = Settings::defaults();
        settings.broker.listen = "127.0.0.1:0".parse().unwrap();
        settings.broker.metrics_listen = None;
        let (stop, stopped) = Stop::manual();
        let broker = broker::bind(&settings).await.unwrap();
        let port = broker.address().port();
        let broker = tokio::spawn(broker.run(stopped));
        let delivery = offer(port, 40, None).await.unwrap();
        assert!((delivery.delivered - 1.0).abs() < 1e-9);
        assert!(delivery.p50_ms <= delivery.p99_ms && delivery.per_s > 0.0);
        stop.stop();
        broker.await.unwrap().unwrap();
    }
}
