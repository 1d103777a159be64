//! One search at a time: listening before analytics hears that it is to divide, until the reports have come or the time is up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use service::Stop;
use service::config::Settings;
use service::mqtt::{self, Event, QoS};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use wire::{DeploymentId, Sum, Topics};

use super::book::{Key, SearchBook, key};
use super::collect::{Collection, Judged};

/// Searches that may wait for the one that is on. Sums beyond are divided without one.
const WAITING: usize = 4;

/// How long a broker may take to grant the subscription. Then the sum is divided without a search.
const CONNECT: Duration = Duration::from_secs(5);

/// The part of its time after which a search goes on with what has come, if nothing more did: one that a hostile meter does not
/// send again must not keep the others waiting. By default that is 30 s, in which analytics has asked three times.
const QUIET: u32 = 4;

/// A signed answer: its topic and bytes.
type Answer = (String, Bytes);

/// The way to the searches. Answers that say `divide` wait here until the operator listens, because gateways send the reports
/// once only.
pub(crate) struct Searches {
    /// Until it is started.
    listener: Option<Listener>,
    links: Option<Links>,
    /// Sums whose answer waits.
    held: BTreeSet<Key>,
    /// The searches that are on.
    book: SearchBook,
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
    pub(crate) fn new(settings: &Settings, topics: Topics, book: SearchBook) -> Self {
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
            book,
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
        let listener = Arc::new(listener);
        let book = self.book.clone();
        tokio::spawn(async move {
            while let Some((judged, answer)) = waiting.recv().await {
                let held = (key(&judged.sum), answer.clone());
                let on = book.begin(&judged.sum);
                let (mut collection, is_done) = Collection::new(judged, listener.max_bytes);
                collection.hold_parts(on);
                let (listener, answered, stop) = (listener.clone(), answered.clone(), stop.clone());
                let let_go = answered.clone();
                let collecting = tokio::spawn(async move {
                    let collecting = listener.collect(collection, (answer, &answered), &stop);
                    collecting.await.map(W::from)
                });
                match (collecting.await, collected.upgrade()) {
                    (Ok(Some(work)), Some(collected)) => {
                        let _ = collected.send(work).await;
                    }
                    (Ok(_), _) => {}
                    (Err(error), _) => {
                        tracing::error!(%error, "a search failed: this is an error in the operator, please report it");
                        // Its sum is divided all the same. A second answer is as good as one.
                        let _ = let_go.send(held).await;
                    }
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
        let mut quiet = Instant::now() + self.timeout / QUIET;
        while !collection.is_complete() {
            match timeout_at(deadline.min(quiet), inbox.recv()).await {
                Ok(Some(Event::Message(message))) => {
                    let before = collection.progress();
                    collection.take(
                        &message.topic,
                        &message.payload,
                        &self.topics,
                        &self.deployment,
                    );
                    if collection.progress() > before {
                        quiet = Instant::now() + self.timeout / QUIET;
                    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wire::{Digest, GatewayId, Report, UnixMillis};

    use super::*;
    use crate::enrolment::message::tests::{deployment, signing, topics};
    use crate::testing::{members, plan, sum_of};

    /// Far above what anything here takes.
    const LIMIT: Duration = Duration::from_secs(30);

    /// A sum of three meters.
    fn judged(window: u64) -> Judged {
        Judged {
            sum: sum_of("feeder-1", window, 0, 0..3),
            digest: Digest([1; 32]),
            plan: Arc::new(plan()),
            members: Arc::new(members(3)),
        }
    }

    fn answer(window: u64) -> Answer {
        (format!("receipt/{window}"), Bytes::from_static(b"divide"))
    }

    /// The reports of the sum: topics and bytes.
    fn reports(sum: &Sum) -> Vec<Answer> {
        let setting = &plan().feeders[0];
        let encoding = crate::plan::feeder_setting::encoding(&plan(), setting).unwrap();
        let coefficients = encoding.shape.coefficients();
        let limbs = vec![0; encoding.profile.packed_len(coefficients)];
        let signed = sum.set.iter().zip(&sum.salts).map(|(number, salt)| {
            let report = Report {
                plan_version: sum.plan_version,
                epoch: sum.epoch,
                feeder: sum.feeder.clone(),
                meter: format!("meter-{number}").parse().unwrap(),
                gateway: GatewayId::try_from("gateway-1").unwrap(),
                window: sum.window,
                salt: *salt,
                sealed_at: UnixMillis(1),
            };
            let topic = topics().report(wire::Shard(0), &report.feeder, &report.meter);
            let key = signing(number as u8);
            let (bytes, _) = wire::seal(&report, Some(&limbs), &deployment(), &topic, &key);
            (topic, bytes.into())
        });
        signed.collect()
    }

    /// Settings with an address that nobody answers at.
    fn settings() -> Settings {
        let mut settings = Settings::defaults();
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        settings.mqtt.address = unused.local_addr().unwrap().to_string();
        settings.deployment.id = deployment();
        settings
    }

    async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
        let done = timeout(LIMIT, future).await;
        done.unwrap_or_else(|_| panic!("{what}"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_answer_leaves_once_the_reports_that_it_brings_would_be_heard() {
        let (stop, stopped) = Stop::manual();
        let mut settings = settings();
        settings.broker.listen = "127.0.0.1:0".parse().unwrap();
        settings.broker.metrics_listen = None;
        let broker = broker::bind(&settings).await.unwrap();
        settings.mqtt.address = broker.address().to_string();
        tokio::spawn(broker.run(stopped.clone()));
        let (gateway, _inbox) = mqtt::connect(&settings.mqtt, "gateway", vec![], stopped.clone());
        let (collected, mut collections) = mpsc::channel::<Collection>(1);
        let mut searches = Searches::new(&settings, topics(), SearchBook::default());
        searches.start(collected.downgrade(), stopped);
        for window in [0, 14_400] {
            let judged = judged(window);
            let sum = judged.sum.clone();
            assert_eq!(searches.ask(judged, answer(window)), None);
            assert!(searches.holds(&sum));
            let let_go = within("the answer is held for ever", searches.answer()).await;
            assert_eq!(let_go, answer(window));
            assert!(!searches.holds(&sum));
            for (topic, bytes) in reports(&sum) {
                gateway.publish(topic, bytes, false).await.unwrap();
            }
            let collection = within("its reports have come", collections.recv()).await;
            let collection = collection.unwrap();
            assert_eq!(collection.judged.sum, sum);
            assert!(collection.is_complete());
        }
        stop.stop();
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_broker_a_sum_is_divided_without_a_search() {
        let (_keep, stop) = Stop::manual();
        let (collected, mut collections) = mpsc::channel::<Collection>(1);
        let mut searches = Searches::new(&settings(), topics(), SearchBook::default());
        searches.start(collected.downgrade(), stop);
        assert_eq!(searches.ask(judged(0), answer(0)), None);
        assert_eq!(searches.answer().await, answer(0));
        drop(collected);
        assert!(collections.recv().await.is_none());
    }

    /// Takes nothing of a search.
    struct Panics;

    impl From<Collection> for Panics {
        fn from(_: Collection) -> Self {
            panic!("what a search is worth")
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_search_that_fails_holds_neither_its_window_nor_the_next_search() {
        let (_stop, stopped) = Stop::manual();
        let mut settings = settings();
        settings.broker.listen = "127.0.0.1:0".parse().unwrap();
        settings.broker.metrics_listen = None;
        settings.operator.search_timeout = Duration::from_millis(1);
        let broker = broker::bind(&settings).await.unwrap();
        settings.mqtt.address = broker.address().to_string();
        tokio::spawn(broker.run(stopped.clone()));
        let (collected, _collections) = mpsc::channel::<Panics>(1);
        let mut searches = Searches::new(&settings, topics(), SearchBook::default());
        searches.start(collected.downgrade(), stopped);
        for window in [0, 14_400] {
            let judged = judged(window);
            let sum = judged.sum.clone();
            assert_eq!(searches.ask(judged, answer(window)), None);
            // Once when it begins, and once when it fails.
            for _ in 0..2 {
                let let_go = within("the answer is held for ever", searches.answer()).await;
                assert_eq!(let_go, answer(window));
            }
            assert!(!searches.holds(&sum));
        }
    }

    #[tokio::test]
    async fn few_sums_wait_for_a_search_and_the_others_for_nothing() {
        let (_keep, stop) = Stop::manual();
        let (collected, _collections) = mpsc::channel::<Collection>(1);
        let mut searches = Searches::new(&settings(), topics(), SearchBook::default());
        let before = searches.ask(judged(0), answer(0));
        assert_eq!(before, Some(answer(0)), "they are not started");
        searches.start(collected.downgrade(), stop);
        let windows = (0..WAITING as u64 + 1).map(|window| 14_400 * window);
        let answers: Vec<_> = windows
            .map(|at| searches.ask(judged(at), answer(at)))
            .collect();
        let (last, held) = answers.split_last().unwrap();
        assert!(held.iter().all(Option::is_none));
        assert!(last.is_some());
    }
}
