//! Which subscriptions are confirmed, and when the others are asked for again.
//!
//! A broker may refuse one for a while: its access rules are being loaded, or a person corrects them. A client that
//! gave up would stay connected and hear nothing.

use rumqttc::{SubAck, SubscribeFilter, SubscribeReasonCode};
use tokio::time::{Duration, Instant};

use crate::config::Mqtt;
use crate::mqtt::backoff::Backoff;
use crate::mqtt::health::Refusals;

/// How long a broker may take to answer before it is asked again.
const ANSWER: Duration = Duration::from_secs(20);

/// The subscriptions of a connection.
#[derive(Debug)]
pub(super) struct Subscriptions {
    all: Vec<SubscribeFilter>,
    /// Not confirmed on this connection.
    open: Vec<SubscribeFilter>,
    /// The packet that asks for those, once it is sent.
    asked: Option<u16>,
    /// When they are asked for again.
    again: Option<Instant>,
    pauses: (Duration, Duration),
    backoff: Backoff,
    refusals: Refusals,
}

/// What an answer of the broker comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// Every subscription is confirmed.
    Confirmed,
    /// The first that was refused; it is asked for again after the pause.
    Refused { filter: String, pause: Duration },
    /// It answers an earlier request.
    Old,
}

impl Subscriptions {
    pub(super) fn new(all: Vec<SubscribeFilter>, settings: &Mqtt) -> Self {
        let pauses = (settings.backoff_min, settings.backoff_max);
        Self {
            all,
            open: Vec::new(),
            asked: None,
            again: None,
            pauses,
            backoff: Backoff::new(pauses.0, pauses.1),
            refusals: Refusals::new(),
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether some are not confirmed.
    pub(super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Others from now on. Returns those that are no more; those that are new are open.
    pub(super) fn want(&mut self, all: Vec<SubscribeFilter>) -> Vec<String> {
        let is_in = |filters: &[SubscribeFilter], filter: &SubscribeFilter| {
            filters.iter().any(|other| other.path == filter.path)
        };
        let before = std::mem::replace(&mut self.all, all);
        self.open.retain(|filter| is_in(&self.all, filter));
        let new = self.all.iter().filter(|filter| !is_in(&before, filter));
        self.open.extend(new.cloned());
        if self.open.is_empty() {
            self.again = None;
            self.refusals.set(Vec::new());
        }
        let gone = before
            .into_iter()
            .filter(|filter| !is_in(&self.all, filter));
        gone.map(|filter| filter.path).collect()
    }

    /// A new connection: all of them are to be asked for.
    pub(super) fn restart(&mut self) -> Vec<SubscribeFilter> {
        self.lost();
        self.open.clone_from(&self.all);
        self.ask()
    }

    /// What to ask for now.
    pub(super) fn ask(&mut self) -> Vec<SubscribeFilter> {
        self.asked = None;
        self.again = Some(Instant::now() + ANSWER);
        self.open.clone()
    }

    /// The request went out in the packet with this id.
    pub(super) fn sent(&mut self, id: u16) {
        self.asked = Some(id);
    }

    /// The connection is lost.
    pub(super) fn lost(&mut self) {
        self.open.clear();
        self.asked = None;
        self.again = None;
        self.backoff = Backoff::new(self.pauses.0, self.pauses.1);
        self.refusals.set(Vec::new());
    }

    /// When to [`Subscriptions::ask`] again.
    pub(super) fn again(&self) -> Option<Instant> {
        self.again
    }

    /// The broker has answered.
    pub(super) fn answered(&mut self, ack: &SubAck) -> Answer {
        if self.asked.take_if(|id| *id == ack.pkid).is_none() {
            return Answer::Old;
        }
        let mut codes = ack.return_codes.iter();
        // A filter without a return code is not confirmed.
        self.open
            .retain(|_| matches!(codes.next(), None | Some(SubscribeReasonCode::Failure)));
        let refused: Vec<_> = self.open.iter().map(|open| open.path.clone()).collect();
        self.refusals.set(refused.clone());
        let Some(filter) = refused.into_iter().next() else {
            self.again = None;
            return Answer::Confirmed;
        };
        let pause = self.backoff.next();
        self.again = Some(Instant::now() + pause);
        Answer::Refused { filter, pause }
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::QoS;

    use super::*;
    use crate::Settings;

    fn ack(pkid: u16, codes: &[bool]) -> SubAck {
        let code = |granted: &bool| match granted {
            true => SubscribeReasonCode::Success(QoS::AtLeastOnce),
            false => SubscribeReasonCode::Failure,
        };
        SubAck {
            pkid,
            return_codes: codes.iter().map(code).collect(),
        }
    }

    fn paths(filters: &[SubscribeFilter]) -> Vec<&str> {
        filters.iter().map(|filter| filter.path.as_str()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_was_refused_is_asked_for_again_and_later_each_time() {
        let all = ["a", "b", "c"].map(|path| SubscribeFilter::new(path.into(), QoS::AtLeastOnce));
        let mqtt = Settings::defaults().mqtt;
        let mut subscriptions = Subscriptions::new(all.to_vec(), &mqtt);
        assert_eq!(paths(&subscriptions.restart()), ["a", "b", "c"]);
        subscriptions.sent(1);
        let mut codes = vec![true, false, false];
        for attempt in 1..=5 {
            let Answer::Refused { filter, pause } = subscriptions.answered(&ack(attempt, &codes))
            else {
                panic!("two are refused");
            };
            assert_eq!(filter, "b");
            let step = mqtt.backoff_min * 2_u32.pow(u32::from(attempt) - 1);
            assert!(pause >= step / 2 && pause <= step, "{pause:?} of {step:?}");
            assert_eq!(subscriptions.again(), Some(Instant::now() + pause));
            assert_eq!(paths(&subscriptions.ask()), ["b", "c"]);
            subscriptions.sent(attempt + 1);
            codes = vec![false, false];
        }
        // An answer to an earlier question changes nothing.
        assert_eq!(subscriptions.answered(&ack(2, &[true])), Answer::Old);
        let last = ack(6, &[true, true]);
        assert_eq!(subscriptions.answered(&last), Answer::Confirmed);
        assert_eq!(subscriptions.again(), None);
        assert_eq!(subscriptions.answered(&last), Answer::Old);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_new_is_asked_for_and_what_is_gone_is_named() {
        let filters = |paths: &[&str]| -> Vec<SubscribeFilter> {
            let filter = |path: &&str| SubscribeFilter::new((*path).into(), QoS::AtLeastOnce);
            paths.iter().map(filter).collect()
        };
        let mqtt = Settings::defaults().mqtt;
        let mut subscriptions = Subscriptions::new(filters(&["a", "b"]), &mqtt);
        subscriptions.restart();
        subscriptions.sent(1);
        let refused = ack(1, &[true, false]);
        assert!(matches!(
            subscriptions.answered(&refused),
            Answer::Refused { .. }
        ));
        // One that is confirmed, and one that was refused and is not wanted any more.
        assert_eq!(subscriptions.want(filters(&["a", "c"])), ["b"]);
        assert_eq!(paths(&subscriptions.ask()), ["c"]);
        subscriptions.sent(2);
        assert_eq!(subscriptions.answered(&ack(2, &[true])), Answer::Confirmed);
        assert_eq!(subscriptions.want(filters(&[])), ["a", "c"]);
        assert!(!subscriptions.is_open() && subscriptions.again().is_none());
        assert_eq!(subscriptions.restart(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_without_an_answer_is_asked_again() {
        let all = vec![SubscribeFilter::new("a".into(), QoS::AtLeastOnce)];
        let mut subscriptions = Subscriptions::new(all, &Settings::defaults().mqtt);
        subscriptions.restart();
        assert_eq!(subscriptions.again(), Some(Instant::now() + ANSWER));
        assert_eq!(paths(&subscriptions.ask()), ["a"]);
    }
}
