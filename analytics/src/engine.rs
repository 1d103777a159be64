//! The engine: reports in, receipts and releases out, one commit in between.
//!
//! It is plain synchronous code without a clock or a socket, so a test drives it step by step. Nothing it produces may
//! leave the process before [`Engine::commit`] returned it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use service::failpoint;
use service::trust::{HeldPlan, Roster};
use wire::{FeederId, GatewayId, UnixMillis};

use crate::assignment::AssignedPlan;
use crate::metrics;
use crate::store::{Scope, Store, StoreError, StoreFormat, SumKey};
use crate::trace;
use crate::windows::{Due, Enrolled, Looking, Restored, Windows};

mod answers;
mod bills;
mod divide;
mod effects;
mod fold;
mod handover;
mod releases;
mod settle;
mod shards;
mod unsettled;
pub use crate::windows::Rules;
use answers::Answers;
use divide::Asking;
pub use effects::{Effects, Event, Identity, Outgoing};
pub use handover::Handover;
#[cfg(test)]
pub(crate) use shards::tests::engine as of_a_pool;
use unsettled::Unsettled;

/// Sums released in one step at most: each takes 15 kB and 8 bytes for each meter in it until it has been published.
const RELEASES_A_STEP: usize = 128;

/// One analytics process's state machine.
#[derive(Debug)]
pub struct Engine<S> {
    identity: Identity,
    format: StoreFormat,
    windows: Windows,
    store: S,
    /// Whose feeders are whose; before the first plan, all are this service's.
    assigned: Option<Arc<AssignedPlan>>,
    /// The feeders that are being given up.
    leaving: Arc<BTreeSet<FeederId>>,
    /// The releases that await the operator's receipt. Their bytes are in the store.
    unsettled: BTreeMap<SumKey, Unsettled>,
    bills: bills::Bills,
    /// Milliseconds of reach, when that was last said.
    active_ms: u64,
    /// The leases that it works under; none with a store of its own.
    held: Option<shards::Held>,
    /// What gateways are told after the next commit.
    answers: HashMap<GatewayId, Answers>,
    /// When the reports of divided parts are asked for again.
    asking: HashMap<SumKey, Asking>,
    ready: Effects,
}

impl<S: Store> Engine<S> {
    /// An engine under the `held` plan that goes on where `store` left off.
    ///
    /// # Errors
    /// [`StoreError`] if the store is unreadable, damaged, or belongs to another layout or other windows.
    pub fn start(
        identity: Identity,
        held: &HeldPlan,
        rules: Rules,
        store: S,
    ) -> Result<Self, StoreError> {
        let mut engine = Self::new(identity, held, rules, store);
        let restored = (engine.windows).restore(Scope::All, &mut engine.store)?;
        engine.take_up(restored);
        Ok(engine)
    }

    /// An engine that shares `store` with others, and holds nothing before it is told to [`Engine::hold`] some of it.
    #[must_use]
    pub fn sharing(identity: Identity, held: &HeldPlan, rules: Rules, store: S) -> Self {
        Self {
            held: Some(shards::Held::new()),
            ..Self::new(identity, held, rules, store)
        }
    }

    fn new(identity: Identity, held: &HeldPlan, rules: Rules, store: S) -> Self {
        let format = StoreFormat {
            shape: held.shape,
            grid: held.grid,
        };
        Self {
            bills: bills::Bills::default(),
            identity,
            format,
            windows: Windows::new(format, rules),
            store,
            assigned: None,
            held: None,
            leaving: Arc::default(),
            unsettled: BTreeMap::new(),
            active_ms: 0,
            answers: HashMap::new(),
            asking: HashMap::new(),
            ready: Effects::default(),
        }
    }

    /// Takes up what is not in the windows.
    fn take_up(&mut self, restored: Restored) {
        let releases = restored.releases.into_iter();
        let unsettled = releases.map(|(key, digest, pooled)| (key, Unsettled::new(digest, pooled)));
        self.unsettled.extend(unsettled);
        self.bills.enter(restored.periods);
    }

    /// Whether a plan has the windows and the layout this engine was started with.
    pub(crate) fn fits(&self, held: &HeldPlan) -> bool {
        (held.shape, held.grid) == (self.format.shape, self.format.grid)
    }

    /// Goes by the wall clock for the retention, from now on: in production, where no window is replayed.
    pub fn set_wall(&mut self, now: UnixMillis) {
        self.windows.set_wall(now.0 / 1000);
    }

    /// Closes what is due and forgets what is past its retention. Returns whether more may be due.
    ///
    /// # Errors
    /// Those of [`Engine::close`].
    pub fn tick(&mut self, roster: &Roster, active_ms: u64) -> Result<bool, StoreError> {
        self.active_ms = active_ms;
        let more = self.close(roster, active_ms, true)? | self.send_bills(active_ms)?;
        self.ask_again(roster, active_ms)?;
        self.give_up(roster)?;
        for held in self.windows.reclaim(&mut self.store)? {
            self.withheld(&held, roster, "the retention of the window is over")?;
        }
        self.withhold(roster)?;
        metrics::open_windows(self.windows.open());
        Ok(more)
    }

    /// Closes what is due: at most 128 sums a call. Looks at `all` sums that take reports, else at those that changed since
    /// the last commit. Returns whether more may be due; those are found among `all`.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read; what was due is due again at the next call.
    pub fn close(
        &mut self,
        roster: &Roster,
        active_ms: u64,
        all: bool,
    ) -> Result<bool, StoreError> {
        self.windows.listens(active_ms);
        let enrolled = Enrolled {
            meters: &|feeder| roster.enrolled(feeder),
            has: &|feeder, number| roster.has_number(feeder, number),
            capacity: &|meter| {
                let meter = roster.meter(meter);
                meter.map_or(0, |meter| meter.capacity.watts().0)
            },
        };
        let windows = &mut self.windows;
        let store = &mut self.store;
        let looking = Instant::now();
        let (due, held) = windows.due(all, RELEASES_A_STEP, &enrolled, active_ms, store)?;
        let packing = looking.elapsed() / u32::try_from(due.len().max(1)).unwrap_or(u32::MAX);
        let more = due.len() == RELEASES_A_STEP;
        let is_changed = !due.is_empty() || !held.is_empty();
        for due in due {
            self.release_due(&due, packing);
        }
        // Nothing is due of an area but by what is released or held of a feeder, or by time.
        if let Some(plan) = self.assigned.clone()
            && (all || is_changed)
        {
            let looking = Looking {
                plan: &plan,
                enrolled: &enrolled,
                active_ms,
            };
            for rest in self.windows.rests(&looking, &mut self.store)? {
                self.release_due(&rest, Duration::ZERO);
            }
        }
        for held in held {
            metrics::held();
            tracing::warn!(
                feeder = %held.key.feeder, window = held.key.window.0, part = held.key.part.0,
                contributors = held.contributors,
                "held: too few meters, or a few large ones are most of it; released only if enough reports come"
            );
            self.ready.events.push(Event::Held(held));
        }
        Ok(more)
    }

    /// Releases a sum that is due; finding and packing it took as long as `packing`.
    fn release_due(&mut self, due: &Due, packing: Duration) {
        let signing = Instant::now();
        let release = self.release(due);
        metrics::releasing(packing + signing.elapsed());
        let pooled: Vec<SumKey> = due.pooled().map(|(row, _)| row.key.clone()).collect();
        let others: u32 = due.pooled().map(|(row, _)| row.contributors).sum();
        let contributors = due.row.contributors + others;
        metrics::released(contributors);
        if let Some((area, _)) = &due.rest {
            metrics::areas::rest();
            tracing::info!(
                %area, window = due.row.key.window.0, feeders = 1 + pooled.len(), contributors,
                "released the rest of an area: its feeders with too few meters, added up"
            );
        }
        self.ready.events.push(Event::Released(release.key.clone()));
        self.windows.released(release.clone(), &pooled);
        let unsettled = Unsettled::new(release.digest, pooled);
        self.unsettled.insert(release.key, unsettled);
    }

    /// Makes everything since the last commit durable and returns what may now leave the process.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is lost, the same commit is tried again at the next call.
    pub fn commit(&mut self) -> Result<Effects, StoreError> {
        let mut transaction = self.windows.transaction();
        transaction.bills = self.bills.changes();
        transaction.leases = self.leased(&transaction);
        let mut releases = transaction.releases.clone();
        let mut lost = Vec::new();
        if !transaction.is_empty() {
            failpoint::hit("analytics.before_commit");
            let started = Instant::now();
            lost = self.store.commit(&transaction)?;
            metrics::committed(started.elapsed());
            failpoint::hit("analytics.after_commit");
        }
        let strays = self.not_held(&transaction.leases);
        self.fenced(&lost);
        self.let_go(&strays);
        releases.retain(|release| self.holds(self.shard(&release.key.feeder)));
        self.windows.committed();
        self.bills.committed();
        metrics::unsettled(self.unsettled.len());
        metrics::store_bytes(self.store.bytes());
        let mut effects = std::mem::take(&mut self.ready);
        trace::committed(&self.identity.deployment, &effects.folded);
        for release in &releases {
            trace::released(&self.identity.deployment, &release.key, &release.digest);
        }
        let bills = std::mem::take(&mut self.bills.ready);
        effects
            .outgoing
            .extend(bills.into_iter().map(|(_, bill)| bill));
        effects.outgoing.extend(self.receipts());
        let releases = releases.into_iter();
        let accepted = releases.filter(|release| self.owns(&release.key.feeder));
        effects
            .outgoing
            .extend(accepted.map(|release| self.outgoing(&release)));
        Ok(effects)
    }
}
