//! What a gateway waits for before it reads: the plan, and its meters' enrolment.

use tokio::time::Instant;

use super::{ASK_AGAIN, Gateway};
use crate::seal::Member;

impl Gateway {
    /// Asks for what is missing and says what is waited for; starts the run once nothing is.
    pub(super) async fn ask(&mut self) {
        let recently = self
            .last_asked
            .is_some_and(|asked| asked.elapsed() < ASK_AGAIN);
        if self.run.is_some() || recently || !self.publisher.is_connected() {
            self.last_asked = self
                .last_asked
                .filter(|_| recently)
                .or_else(|| Some(Instant::now()));
            return;
        }
        self.last_asked = Some(Instant::now());
        if self.sealer.is_none() {
            tracing::info!("waiting for the plan: start `cargo run --release -p operator`");
        }
        let gateway = &self.settings.meter.gateway;
        let pending = self.unenrolled();
        if pending.is_empty() {
            return;
        }
        tracing::info!(
            enrolled = self.fleet.meters() - pending.len(),
            meters = self.fleet.meters(),
            "waiting for the operator to enrol the meters"
        );
        let topic = self.topics.enrol(gateway);
        for request in self.fleet.enrol_requests(&self.settings, &topic, &pending) {
            let _ = self.publisher.publish(topic.clone(), request, false).await;
        }
    }

    /// The meters that the roster does not have as they are here.
    pub(super) fn unenrolled(&self) -> Vec<usize> {
        let gateway = &self.settings.meter.gateway;
        let roster = self.roster.current();
        let enrolled = |member: &Member| {
            let entry = roster
                .as_ref()
                .and_then(|roster| roster.meter(&member.meter));
            entry.is_some_and(|entry| {
                *entry.key == member.verifying_key
                    && *entry.feeder == member.feeder
                    && entry.gateway == gateway
            })
        };
        let members = self.fleet.members.iter().enumerate();
        members
            .take(self.fleet.meters())
            .filter(|(_, member)| !enrolled(member))
            .map(|(index, _)| index)
            .collect()
    }
}
