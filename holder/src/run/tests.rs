//! Holders as services: a real broker over TCP, with an operator played by the test.

use std::net::SocketAddr;
use std::time::Duration;

use service::StopHandle;
use tokio::task::JoinHandle;
use wire::{
    AnswerBody, Consent, Countersignature, Digest, HolderAnswer, RosterPage, SigningKey, Step, Sum,
};

use super::*;
use crate::testing::{FEEDERS, World, operator};

/// Far above what anything here takes; reaching it is a failure, not a measurement.
const LIMIT: Duration = Duration::from_secs(60);

struct Broker {
    _stop: StopHandle,
    address: SocketAddr,
}

impl Broker {
    async fn start() -> Self {
        let mut settings = Settings::defaults();
        settings.broker.listen = "127.0.0.1:0".parse().unwrap();
        settings.broker.metrics_listen = None;
        let (stop, stopped) = Stop::manual();
        let broker = broker::bind(&settings).await.unwrap();
        let address = broker.address();
        tokio::spawn(broker.run(stopped));
        Self {
            _stop: stop,
            address,
        }
    }

    fn settings(&self, mut settings: Settings) -> Settings {
        settings.mqtt.address = self.address.to_string();
        settings.mqtt.backoff_min = Duration::from_millis(20);
        settings.mqtt.backoff_max = Duration::from_millis(100);
        settings
    }
}

struct Running {
    stop: StopHandle,
    running: JoinHandle<Result<(), HolderError>>,
}

impl Running {
    fn start(world: &World, broker: &Broker, holder: usize) -> Self {
        let settings = broker.settings(world.settings(holder));
        let (stop, stopped) = Stop::manual();
        let clock = world.clock.clone();
        let running = tokio::spawn(async move { run(&settings, clock, stopped).await });
        Self { stop, running }
    }

    async fn end(self) {
        self.stop.stop();
        let ended = tokio::time::timeout(LIMIT, self.running).await;
        ended.unwrap().unwrap().unwrap();
    }
}

/// The operator, which asks and hears.
struct Operator {
    world: World,
    key: SigningKey,
    publisher: Publisher,
    inbox: Inbox,
    _stop: StopHandle,
}

impl Operator {
    fn connect(world: World, broker: &Broker) -> Self {
        let settings = broker.settings(world.settings(0));
        let filters = world.topics.holder_filters();
        let filters = filters.into_iter().map(|filter| (filter, QoS::AtLeastOnce));
        let id = mqtt::Client::Operator.id(&settings.deployment);
        let (stop, stopped) = Stop::manual();
        let (publisher, inbox) = mqtt::connect(&settings.mqtt, &id, filters.collect(), stopped);
        Self {
            world,
            key: operator(),
            publisher,
            inbox,
            _stop: stop,
        }
    }

    async fn publish<M: Message>(&self, message: &M, topic: &Topic, retain: bool) {
        let topic = self.world.topics.of(topic);
        let limbs = (M::LIMBS == wire::Limbs::Required).then(|| vec![0; 25_600]);
        let deployment = &self.world.plan.deployment;
        let (bytes, _) = wire::seal(message, limbs.as_deref(), deployment, &topic, &self.key);
        self.publisher.publish(topic, bytes, retain).await.unwrap();
    }

    /// The next message on a topic of this holder's.
    async fn hear(&mut self, topic: &Topic) -> Bytes {
        let topic = self.world.topics.of(topic);
        let search = async {
            loop {
                if let Some(Event::Message(message)) = self.inbox.recv().await {
                    self.inbox.ack(&message);
                    if message.topic == topic {
                        return message.payload;
                    }
                }
            }
        };
        tokio::time::timeout(LIMIT, search)
            .await
            .expect("it never came")
    }

    /// Asks until the holder says something: it may not listen yet.
    async fn answer(&mut self, ask: &Ask, holder: usize) -> Bytes {
        let id = self.world.terms.holders[holder].id.clone();
        let topics = match ask.step {
            Step::Consent => [
                Topic::Consent { holder: id.clone() },
                Topic::HolderAnswer { holder: id },
            ],
            _ => [
                Topic::HolderAnswer { holder: id.clone() },
                Topic::Consent { holder: id },
            ],
        };
        let topics = topics.map(|topic| self.world.topics.of(&topic));
        self.publish(ask, &Topic::Ask, false).await;
        let search = async {
            loop {
                if let Some(Event::Message(message)) = self.inbox.recv().await {
                    self.inbox.ack(&message);
                    if topics.contains(&message.topic) && is_of(&message.payload, ask) {
                        return message.payload;
                    }
                }
            }
        };
        tokio::time::timeout(LIMIT, search)
            .await
            .expect("no answer")
    }

    async fn refusal(&mut self, ask: &Ask, holder: usize) -> Reason {
        let answer = self.answer(ask, holder).await;
        let answer = wire::decode::<HolderAnswer>(&answer, 1 << 15);
        match &answer.expect("an answer").claimed().body {
            AnswerBody::Refused(reason) => *reason,
            AnswerBody::Masks { .. } => panic!("it was answered"),
        }
    }

    /// Proposes a page until all these holders have countersigned it.
    async fn countersigned(&mut self, page: &RosterPage, holders: &[usize]) -> Vec<Bytes> {
        let mut signed = Vec::new();
        for holder in holders {
            self.publish(page, &Topic::ProposedRoster { page: 0 }, false)
                .await;
            let id = self.world.terms.holders[*holder].id.clone();
            let bytes = self.hear(&Topic::Countersignature { holder: id }).await;
            let message = wire::decode_shared::<Countersignature>(&bytes, 1 << 10);
            signed.push(message.unwrap().signed_part());
        }
        signed
    }
}

fn is_of(payload: &Bytes, ask: &Ask) -> bool {
    let subject: Option<Digest> = match wire::decode_shared::<HolderAnswer>(payload, 1 << 15) {
        Ok(answer) => (answer.claimed().step == ask.step).then(|| answer.claimed().subject),
        Err(_) => wire::decode_shared::<Consent>(payload, 1 << 10)
            .ok()
            .map(|consent| consent.claimed().subject),
    };
    subject == Some(ask.subject())
}

fn one_answer(world: &World, step: Step, sum: &Sum, holder: usize) -> Ask {
    let mut ask = world.ask_for_streams(step, sum, holder);
    ask.groups.truncate(1);
    ask
}

/// Waits until a holder listens: it says no to a sum of nobody it knows.
async fn listens(operator: &mut Operator, holder: usize) {
    let sum = operator.world.sum("feeder-9", 0, &[0]);
    let ask = operator.world.ask(Step::Checks, &sum);
    let refused = async {
        loop {
            let asked =
                tokio::time::timeout(Duration::from_millis(200), operator.answer(&ask, holder));
            if asked.await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, refused)
        .await
        .expect("it never listened");
}

/// Somebody who is not the operator gets no consent: another sum of these meters still does.
async fn forged(operator: &mut Operator, holder: usize) {
    let forged = operator.world.sum(FEEDERS[0], 2, &[0, 1, 2]);
    let forged = operator.world.ask(Step::Consent, &forged);
    operator.key = SigningKey::from_bytes(&[66; 32]);
    operator.publish(&forged, &Topic::Ask, false).await;
    operator.key = crate::testing::operator();
    let other = operator.world.sum(FEEDERS[0], 2, &[2, 3, 4]);
    let other = operator.world.ask(Step::Consent, &other);
    let bytes = operator.answer(&other, holder).await;
    assert!(wire::decode::<Consent>(&bytes, 1 << 10).is_ok());
    assert_eq!(
        operator.refusal(&forged, holder).await,
        Reason::ConsentedOtherwise
    );
    let few = operator.world.sum(FEEDERS[0], 1, &[0, 1]);
    let few = operator.world.ask(Step::Consent, &few);
    assert_eq!(operator.refusal(&few, holder).await, Reason::MinMeters);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_answer_over_a_broker_and_after_a_restart_they_say_the_same() {
    let broker = Broker::start().await;
    let mut operator = Operator::connect(World::set_up((2, 3, 4), 8, None), &broker);
    let plan = operator.world.plan.clone();
    operator.publish(&plan, &Topic::Plan, true).await;
    let mut holders: Vec<_> = (0..3)
        .map(|holder| Running::start(&operator.world, &broker, holder))
        .collect();
    for holder in 0..3 {
        listens(&mut operator, holder).await;
    }

    // A page that nobody countersigned makes no meter known.
    let mut page = operator.world.page(1);
    operator
        .publish(&page, &Topic::Roster { page: 0 }, true)
        .await;
    let sum = operator.world.sum(FEEDERS[0], 0, &[0, 1, 2, 3]);
    let consent = operator.world.ask(Step::Consent, &sum);
    assert_eq!(
        operator.refusal(&consent, 0).await,
        Reason::NotCountersigned
    );
    page.countersignatures = operator.countersigned(&page, &[0, 1, 2]).await;
    operator
        .publish(&page, &Topic::Roster { page: 0 }, true)
        .await;

    // The fourth comes later, and goes by the others' countersignatures.
    holders.push(Running::start(&operator.world, &broker, 3));
    listens(&mut operator, 3).await;
    let mut consents = Vec::new();
    for holder in [0, 1, 3] {
        let bytes = operator.answer(&consent, holder).await;
        consents.push(
            wire::decode_shared::<Consent>(&bytes, 1 << 10)
                .unwrap()
                .signed_part(),
        );
    }

    // It is killed after its consent; what it said it says again.
    holders.pop().unwrap().end().await;
    holders.push(Running::start(&operator.world, &broker, 3));
    let mut payload = one_answer(&operator.world, Step::Payload, &sum, 3);
    listens(&mut operator, 3).await;
    assert_eq!(operator.refusal(&payload, 3).await, Reason::NotConsented);
    payload.consents = consents;
    let first = operator.answer(&payload, 3).await;
    let answer = wire::decode::<HolderAnswer>(&first, 1 << 15).unwrap();
    assert!(matches!(answer.claimed().body, AnswerBody::Masks { .. }));
    assert_eq!(operator.answer(&payload, 3).await, first, "a replay");

    forged(&mut operator, 3).await;
    for holder in holders {
        holder.end().await;
    }
}
