//! One search at a time: listening before analytics hears that it is to divide, until the reports have come or the time is up.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use service::Stop;
use service::config::Settings;
use service::mqtt::{self, Event, QoS};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use wire::{DeploymentId, FeederId, Part, Sum, Topics, WindowStart};

use super::collect::{Collection, Judged};

/// Searches that may wait for the one that is on. Sums beyond are divided without one.
const WAITING: usize = 4;

/// How long a broker may take to grant the subscription. Then the sum is divided without a search.
const CONNECT: Duration = Duration::from_secs(5);

/// A signed answer: its topic and bytes.
type Answer = (String, Bytes);

/// A part of a window.
type Key = (FeederId, WindowStart, Part);

/// The way to the searches. Answers that say `divide` wait here until the operator listens, because gateways send the reports
/// once only.
pub(crate) struct Searches {
    /// Until it is started.
    listener: Option<Listener>,
    links: Option<Links>,
    /// Sums whose answer waits.
    held: BTreeSet<Key>,
}

struct Links {
    asked: mpsc::Sender<(Judged, Answer)>,
    answers: mpsc::Receiver<(Key, Answer)>,
}

/// What a search needs.
struct Listener {
    mqtt: service::config::Mqtt,
    client_id: String,
    deployment: DeploymentId,
    topics: Topics,
    timeout: Duration,
    max_bytes: usize,
}

impl Searches {
    /// None until they are started.
    pub(crate) fn new(settings: &Settings, topics: Topics) -> Self {
        let listener = Listener {
            mqtt: settings.mqtt.clone(),
            client_id: mqtt::Client::Search.id(&settings.deployment),
            deployment: settings.deployment.id.clone(),
            topics,
            timeout: settings.operator.search_timeout,
            max_bytes: settings.operator.search_max_bytes,
        };
        Self {
            listener: Some(listener),
            links: None,
            held: BTreeSet::new(),
        }
    }

    /// Searches when asked to, until `stop` fires. What came goes to `collected`, as long as anybody has its other end.
    pub(crate) fn start<W: From<Collection> + Send + 'static>(
        &mut self,
        collected: mpsc::WeakSender<W>,
        stop: Stop,
    ) {
        let Some(listener) = self.listener.take() else {
            return;
        };
        let (asked, mut waiting) = mpsc::channel::<(Judged, Answer)>(WAITING);
        let (answered, answers) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            while let Some((judged, answer)) = waiting.recv().await {
                let (collection, is_done) = Collection::new(judged, listener.max_bytes);
                let collection = listener
                    .collect(collection, (answer, &answered), &stop)
                    .await;
                if let (Some(collection), Some(collected)) = (collection, collected.upgrade()) {
                    let _ = collected.send(collection.into()).await;
                }
                // The next one has all the memory.
                let _ = is_done.await;
            }
        });
        self.links = Some(Links { asked, answers });
    }

    /// Asks for a search of a sum that is to be divided, which holds its answer back until it has begun. Returns the answer if
    /// there is no search.
    pub(crate) fn ask(&mut self, judged: Judged, answer: Answer) -> Option<Answer> {
        let Some(links) = &self.links else {
            return Some(answer);
        };
        let key = key(&judged.sum);
        match links.asked.try_send((judged, answer)) {
            Ok(()) => {
                self.held.insert(key);
                None
            }
            Err(refused) => {
                let (judged, answer) = refused.into_inner();
                tracing::warn!(
                    feeder = %judged.sum.feeder, window = judged.sum.window.0, part = judged.sum.part.0,
                    "too many searches wait: this sum is divided without one"
                );
                Some(answer)
            }
        }
    }

    /// Whether the answer to a sum waits for a search to begin.
    pub(crate) fn holds(&self, sum: &Sum) -> bool {
        self.held.contains(&key(sum))
    }

    /// The next answer that may leave. Pending for ever if there is none. Cancel safe.
    pub(crate) async fn answer(&mut self) -> Answer {
        let next = match &mut self.links {
            Some(links) => links.answers.recv().await,
            None => None,
        };
        match next {
            Some((key, answer)) => {
                self.held.remove(&key);
                answer
            }
            None => std::future::pending().await,
        }
    }
}

impl Listener {
    /// Lets the answer go once the broker delivers the feeder's reports, and takes these. `None` if it could not listen.
    async fn collect(
        &self,
        mut collection: Collection,
        (answer, answers): (Answer, &mpsc::Sender<(Key, Answer)>),
        stop: &Stop,
    ) -> Option<Collection> {
        let key = key(&collection.judged.sum);
        let filter = vec![(self.topics.reports_of(&key.0), QoS::AtLeastOnce)];
        let (publisher, mut inbox) =
            mqtt::connect_for_a_while(&self.mqtt, &self.client_id, filter, stop.clone());
        let mut connected = publisher.connected();
        let listens = timeout(CONNECT, connected.wait_for(|is_up| *is_up)).await;
        let listens = listens.is_ok_and(|up| up.is_ok());
        let (feeder, window, part) = key.clone();
        let _ = answers.send((key, answer)).await;
        if !listens {
            tracing::warn!(
                %feeder, window = window.0, part = part.0,
                "the broker does not let the operator have the reports of a sum that did not open: no meter is searched for"
            );
            return None;
        }
        tracing::info!(%feeder, window = window.0, part = part.0, "listening to the reports of a sum that did not open");
        let deadline = Instant::now() + self.timeout;
        while !collection.is_complete() {
            match timeout_at(deadline, inbox.recv()).await {
                Ok(Some(Event::Message(message))) => {
                    collection.take(
                        &message.topic,
                        &message.payload,
                        &self.topics,
                        &self.deployment,
                    );
                    inbox.ack(&message);
                }
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(_) => break,
            }
        }
        publisher.close().await;
        Some(collection)
    }
}

fn key(sum: &Sum) -> Key {
    (sum.feeder.clone(), sum.window, sum.part)
}
