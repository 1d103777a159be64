//! What is said while a process waits for its first plan.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Deployment;

/// How long a plan may be missing until it is said what may be wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// What it can be that no plan comes.
#[must_use]
pub fn no_plan(deployment: &Deployment) -> String {
    let (id, root) = (&deployment.id, &deployment.root);
    format!(
        "no plan of deployment {id} has come on {root}/plan. Either no operator of this deployment uses this broker; or deployment.id \
         or deployment.root differ from the operator's; or the broker's rules do not let this client read that topic; or it drops \
         messages as large as a plan (mosquitto: message_size_limit; NATS: max_payload). The operator's log says whether its plan \
         comes back from the broker"
    )
}

/// The wait for the first plan: said when it begins, and once more, with what may be wrong, after a minute.
#[derive(Debug, Default)]
pub struct PlanWait {
    since: Option<Instant>,
    explained: bool,
}

impl PlanWait {
    /// Says what is new. Call it now and then while the broker is connected and there is no plan.
    pub fn say(&mut self, deployment: &Deployment) {
        let (id, root) = (&deployment.id, &deployment.root);
        if self.begins() {
            tracing::info!("waiting for the operator's plan of deployment {id} on {root}/plan");
        } else if self.is_long() {
            tracing::warn!(
                "the broker is connected, and for a minute {}",
                no_plan(deployment)
            );
        }
    }

    /// Whether this is the first look.
    fn begins(&mut self) -> bool {
        let begins = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        begins
    }

    /// Whether it has become long since the last look.
    fn is_long(&mut self) -> bool {
        let long = self.since.is_some_and(|since| since.elapsed() >= PATIENCE);
        let is_new = long && !self.explained;
        self.explained |= long;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_said_at_once_and_explained_once() {
        let mut wait = PlanWait::default();
        assert!(wait.begins() && !wait.begins() && !wait.is_long());
        tokio::time::advance(PATIENCE).await;
        assert!(wait.is_long() && !wait.is_long() && !wait.begins());
    }
}
