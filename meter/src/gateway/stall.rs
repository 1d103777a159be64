//! What a gateway waits for, said once after a minute in which nothing went on.

use std::fmt::Write as _;
use std::time::Duration;

use service::config::SourceKind;
use tokio::time::Instant;

use super::Gateway;
use crate::notices::Notice;

/// How long nothing may go on until it is said what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a gateway cannot go on without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Broker,
    Plan,
    Enrolment,
    Receipts,
    Readings,
}

/// The wait that there is, and whether it was said.
#[derive(Debug, Default)]
pub(super) struct Stall {
    wait: Option<Wait>,
    progress: u64,
    since: Option<Instant>,
    said: bool,
}

impl Stall {
    /// Looks again: `progress` changes with everything that goes on. Returns what has been waited for a minute without any, once.
    fn look(&mut self, wait: Option<Wait>, progress: u64) -> Option<Wait> {
        if self.wait != wait || self.progress != progress || self.since.is_none() {
            *self = Self {
                wait,
                progress,
                since: Some(Instant::now()),
                said: false,
            };
        }
        let long = self.since.is_some_and(|since| since.elapsed() >= PATIENCE);
        let new = self.wait.filter(|_| long && !self.said);
        self.said |= new.is_some();
        new
    }
}

impl Gateway {
    /// Says what is waited for, and why, once nothing has gone on for a minute.
    pub(super) fn look_for_stall(&mut self) {
        let wait = self.wait();
        let progress = self.progress();
        let new = self.waiting.stall.look(wait, progress);
        if let Some(wait) = new {
            let text = self.explained(wait);
            // The wait for the plan explains itself.
            if wait != Wait::Plan {
                tracing::warn!("{text}");
            }
            self.notices.say(Notice::Waits, Some(text));
        } else if !self.waiting.stall.said {
            self.notices.say(Notice::Waits, None);
        }
    }

    /// Counts all that goes on.
    fn progress(&self) -> u64 {
        let refused: u64 = self.summary.rejected.values().sum();
        let answered = self.summary.folded + self.summary.duplicates + refused;
        answered + self.waiting.parcels + self.waiting.enrolled_now() as u64
    }

    fn wait(&self) -> Option<Wait> {
        let live = self.live.is_some() && self.waiting.parcels == 0;
        if !self.session.publisher.is_connected() {
            Some(Wait::Broker)
        } else if self.sealing.sealer.is_none() {
            Some(Wait::Plan)
        } else if self.reader.run.is_none() && !self.reader.ended {
            Some(Wait::Enrolment)
        } else if self.sealing.pause.is_some() {
            // Said when it began.
            None
        } else if self.outbox.unreceipted() > 0 {
            Some(Wait::Receipts)
        } else if live {
            Some(Wait::Readings)
        } else {
            None
        }
    }

    fn explained(&self, wait: Wait) -> String {
        let mut text = "nothing has gone on for a minute: ".to_owned();
        // Writing to a string cannot fail.
        let _ = match wait {
            Wait::Broker => write!(
                text,
                "there is no connection to the broker at {}; `meter doctor` says what is wrong with it. Readings wait",
                self.settings.mqtt.address
            ),
            Wait::Plan => write!(
                text,
                "{}",
                service::trust::no_plan(&self.settings.deployment)
            ),
            Wait::Enrolment => self.enrolment(&mut text),
            Wait::Receipts => write!(
                text,
                "{} reports were sent and no receipt comes. Analytics may not run, or not reach the broker; or the broker drops \
                 messages as large as a report, of 14 kB (mosquitto: message_size_limit; NATS: max_payload), or its rules do not let \
                 this client publish there, or analytics read it. Reports are sent again until there is a receipt",
                self.outbox.unreceipted()
            ),
            Wait::Readings if self.settings.meter.source == SourceKind::Mqtt => write!(
                text,
                "no message has come from the broker of live readings at {}. Its topics may not be those of meter.feed.mappings, or \
                 nobody publishes there; `meter doctor` says whether it lets this gateway in",
                self.settings.meter.feed.address
            ),
            Wait::Readings => write!(
                text,
                "no line has come on meter.lines = {:?}: nobody writes there",
                self.settings.meter.lines
            ),
        };
        text
    }

    fn enrolment(&self, text: &mut String) -> std::fmt::Result {
        let pending = self.unenrolled().len();
        let meters = self.fleet.meters();
        write!(text, "{pending} of {meters} meters are not enrolled. ")?;
        let known = [Notice::Enrolment, Notice::Capacity, Notice::Identity];
        let known: Vec<&str> = known
            .iter()
            .filter_map(|&one| self.notices.get(one))
            .collect();
        match (known.is_empty(), pending) {
            (true, 0) => write!(text, "The plan does not have their feeders yet"),
            (true, _) => write!(
                text,
                "The operator has not answered: see that it runs and reaches the broker, and that the broker's rules let it read this \
                 gateway's request"
            ),
            (false, _) => write!(text, "{}", known.join(". ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_said_once_after_a_minute_without_progress() {
        let mut stall = Stall::default();
        let wait = Some(Wait::Receipts);
        assert_eq!(stall.look(wait, 7), None);
        tokio::time::advance(PATIENCE / 2).await;
        // A receipt came.
        assert_eq!(stall.look(wait, 8), None);
        tokio::time::advance(PATIENCE / 2).await;
        assert_eq!(stall.look(wait, 8), None);
        tokio::time::advance(PATIENCE / 2).await;
        assert_eq!(stall.look(wait, 8), wait);
        tokio::time::advance(PATIENCE).await;
        assert_eq!(stall.look(wait, 8), None, "it is said once");
        // Then it goes on, and stands still again.
        assert_eq!(stall.look(None, 9), None);
        tokio::time::advance(PATIENCE).await;
        assert_eq!(stall.look(None, 9), None, "nothing is waited for");
        assert_eq!(stall.look(wait, 9), None);
        tokio::time::advance(PATIENCE).await;
        assert_eq!(stall.look(wait, 9), wait);
    }
}
