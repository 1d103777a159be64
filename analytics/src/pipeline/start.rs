//! How the engine begins, and the turns of its leases.

use std::sync::Arc;

use service::trust::HeldPlan;
use tokio::task::spawn_blocking;

use super::leases::Turns;
use super::{AnalyticsError, Runner};
use crate::engine::{Engine, Identity};
use crate::ownership::Terms;
use crate::store::Store;
use crate::windows::Rules;

impl Runner {
    /// Begins to take part in the leases, if the store is shared.
    pub(super) fn begin_turns(&mut self, held: &HeldPlan) -> Option<Turns> {
        let leases = self.leases.take()?;
        let terms = Terms {
            shards: held.plan.shards,
            ttl: self.settings.analytics.lease_ttl,
        };
        let every = self.settings.analytics.lease_renew;
        Some(Turns::begin(leases, terms, every))
    }

    /// Starts the engine: on what is in its own store, or with nothing on a shared one, which its leases will bring.
    pub(super) async fn start_engine<S: Store + 'static>(
        &mut self,
        held: Arc<HeldPlan>,
        store: S,
        shares: bool,
    ) -> Result<Engine<S>, AnalyticsError> {
        let analytics = &self.settings.analytics;
        let identity = Identity {
            deployment: self.settings.deployment.id.clone(),
            id: analytics.id.clone(),
            key: self.key.clone(),
            topics: (*self.topics).clone(),
            receipt_entries: analytics.receipt_max_entries,
            first_wait_ms: u64::try_from(analytics.release_retry.as_millis()).unwrap_or(u64::MAX),
        };
        let rules = Rules {
            // Until the first step, which brings what holds for each window.
            release: (self.settings.release)
                .rules((held.plan.min_meters).max(super::floor::floor(&self.settings))),
            grace_s: analytics.grace.as_secs(),
            idle_limit_ms: u64::try_from(analytics.idle_limit.as_millis()).unwrap_or(u64::MAX),
            retention_s: analytics.retention.as_secs(),
            max_open: analytics.max_open_windows,
            max_feeders: analytics.max_feeders,
            max_small: analytics.max_small_sums_per_meter,
            max_hot: analytics.max_hot_sums,
            fingerprint_bits: u32::BITS,
        };
        let start = move || match shares {
            true => Ok(Engine::sharing(identity, &held, rules, store)),
            false => Engine::start(identity, &held, rules, store),
        };
        Ok(spawn_blocking(start)
            .await
            .map_err(AnalyticsError::Task)??)
    }
}
