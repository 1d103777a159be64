//! What a gateway waits for before it reads: the plan, and its meters' enrolment.

use std::collections::BTreeSet;

use tokio::time::Instant;
use wire::FeederId;

use super::{ASK_AGAIN, Gateway};
use crate::seal::Member;

/// What is waited for, as it was last said.
#[derive(Default)]
pub(super) struct Waiting {
    /// When enrolment was last asked for.
    pub(super) last_asked: Option<Instant>,
    /// Feeders without an analytics service.
    pub(super) unowned: BTreeSet<FeederId>,
}

impl Gateway {
    /// Asks for what is missing and says what is waited for; starts the run once nothing is.
    pub(super) async fn ask(&mut self) {
        let asked = self.waiting.last_asked;
        if asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
            return;
        }
        self.waiting.last_asked = Some(Instant::now());
        if self.reader.run.is_some() || !self.session.publisher.is_connected() {
            return;
        }
        if self.sealing.sealer.is_none() {
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
        let topic = self.session.topics.enrol(gateway);
        for request in self.fleet.enrol_requests(&self.settings, &topic, &pending) {
            let _ = self
                .session
                .publisher
                .publish(topic.clone(), request, false)
                .await;
        }
    }

    /// The meters that the roster does not have as they are here.
    pub(super) fn unenrolled(&self) -> Vec<usize> {
        let gateway = &self.settings.meter.gateway;
        let roster = self.session.roster.current();
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
