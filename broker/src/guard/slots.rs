//! One slot a client id: at most one connection has it at a time, and it keeps the session of a client that is away.
//!
//! A newcomer asks whoever has the slot to leave and waits for that, so that the router hears of the end of the old session
//! before it hears of the new one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};
use tokio::time::timeout;

use super::caps::{lock, one_less};
use super::identity::Identity;
use super::metrics;

/// How long a connection may take to leave its slot.
const LEAVE: Duration = Duration::from_secs(10);

pub(super) struct Slots {
    table: Mutex<Table>,
    max: usize,
    /// Of these, sessions of one identity that are kept.
    max_kept: usize,
    /// How long a session is kept for a client that is away.
    expiry: Duration,
}

#[derive(Default)]
struct Table {
    slots: HashMap<String, Slot>,
    /// Whose session is kept, by client id, and how many are.
    kept: HashMap<String, String>,
    by_identity: HashMap<String, usize>,
    /// Numbers of router names that were used and are free again.
    free: Vec<usize>,
    next: usize,
}

#[derive(Clone)]
struct Slot {
    /// How many connections have asked for it: the last of them is who shall have it.
    asked: Arc<watch::Sender<u64>>,
    session: Arc<AsyncMutex<Session>>,
}

/// What outlives a connection.
pub(super) struct Session {
    number: usize,
    /// The identity of its last client, if the router knows the session still.
    pub(super) owner: Option<String>,
    /// Filters and their QoS; empty for a client that wants no session to be kept.
    pub(super) filters: HashMap<String, u8>,
    /// Topics and places of messages that were sent and not acknowledged.
    pub(super) unacknowledged: Vec<(bytes::Bytes, (u64, u64))>,
    /// Since when the client is away.
    away: Option<Instant>,
}

/// A slot that a connection has.
pub(super) struct Claim {
    client_id: String,
    slot: Slot,
    turn: u64,
    pub(super) session: OwnedMutexGuard<Session>,
}

/// The slot cannot be had, for a reason that is counted.
pub(super) struct Denied(pub(super) &'static str);

impl Slots {
    pub(super) fn new((max, max_kept): (usize, usize), expiry: Duration) -> Self {
        Self {
            table: Mutex::default(),
            max,
            max_kept,
            expiry,
        }
    }

    /// Has the slot of a client id, once whoever had it has left. `keeper` is the identity if its session is to be kept.
    pub(super) async fn claim(
        &self,
        client_id: &str,
        keeper: Option<&str>,
    ) -> Result<Claim, Denied> {
        let (slot, turn) = self.ask(client_id, keeper)?;
        let session = tokio::select! {
            session = timeout(LEAVE, slot.session.clone().lock_owned()) => session,
            () = later(&slot, turn) => return Err(Denied("takeover")),
        };
        let mut session = session.map_err(|_| Denied("takeover"))?;
        session.away = None;
        Ok(Claim {
            client_id: client_id.to_owned(),
            session,
            slot,
            turn,
        })
    }

    fn ask(&self, client_id: &str, keeper: Option<&str>) -> Result<(Slot, u64), Denied> {
        let mut table = lock(&self.table);
        if let Some(identity) = keeper
            && table.kept.get(client_id).is_none_or(|it| it != identity)
            && table.by_identity.get(identity).copied().unwrap_or(0) >= self.max_kept
        {
            return Err(Denied("sessions_of_identity"));
        }
        if !table.slots.contains_key(client_id) {
            if table.slots.len() >= self.max {
                return Err(Denied("sessions"));
            }
            let number = table.free.pop().unwrap_or_else(|| {
                table.next += 1;
                table.next - 1
            });
            let session = Session {
                number,
                owner: None,
                filters: HashMap::new(),
                unacknowledged: Vec::new(),
                away: None,
            };
            let slot = Slot {
                asked: Arc::new(watch::Sender::new(0)),
                session: Arc::new(AsyncMutex::new(session)),
            };
            table.slots.insert(client_id.to_owned(), slot);
            metrics::sessions(table.slots.len());
        }
        table.keep(client_id, keeper);
        let slot = table.slots[client_id].clone();
        let mut turn = 0;
        slot.asked.send_modify(|asked| {
            *asked += 1;
            turn = *asked;
        });
        Ok((slot, turn))
    }

    /// Gives a slot back. Unless its session is to be kept, or somebody waits for it, it ends.
    pub(super) fn release(&self, mut claim: Claim, keep: bool) {
        let mut table = lock(&self.table);
        // Also of one that somebody waits for who may have given up.
        claim.session.away = Some(Instant::now());
        if keep {
            return;
        }
        claim.session.clear();
        if *claim.slot.asked.borrow() == claim.turn {
            table.slots.remove(&claim.client_id);
            table.keep(&claim.client_id, None);
            table.free.push(claim.session.number);
            metrics::sessions(table.slots.len());
        }
    }

    /// Claims on the sessions whose clients are away for too long. To be released once the router has forgotten them.
    pub(super) fn expired(&self, now: Instant) -> Vec<Claim> {
        let table = lock(&self.table);
        let slots = table.slots.iter();
        let claims = slots.filter_map(|(client_id, slot)| {
            let session = slot.session.clone().try_lock_owned().ok()?;
            let away = now.saturating_duration_since(session.away?);
            (away > self.expiry).then(|| Claim {
                client_id: client_id.clone(),
                turn: *slot.asked.borrow(),
                slot: slot.clone(),
                session,
            })
        });
        claims.collect()
    }
}

impl Table {
    /// Counts who keeps the session of a client id, if anybody does.
    fn keep(&mut self, client_id: &str, keeper: Option<&str>) {
        if let Some(before) = self.kept.remove(client_id) {
            one_less(&mut self.by_identity, &before);
        }
        if let Some(keeper) = keeper {
            self.kept.insert(client_id.to_owned(), keeper.to_owned());
            *self.by_identity.entry(keeper.to_owned()).or_default() += 1;
        }
    }
}

impl Session {
    /// Nothing is left of it, here or in the router.
    pub(super) fn clear(&mut self) {
        self.owner = None;
        self.filters.clear();
        self.unacknowledged.clear();
    }

    /// Whether it is this client's: of the same identity, which may still read what the session reads.
    pub(super) fn is_of(&self, identity: &Identity) -> bool {
        let own = self.owner.as_deref() == Some(identity.name());
        own && self.filters.keys().all(|it| identity.may_subscribe(it))
    }
}

impl Claim {
    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What the router calls this slot's client.
    pub(super) fn router_name(&self) -> String {
        format!("slot-{}", self.session.number)
    }

    /// Returns once somebody else asks for the slot.
    pub(super) fn wanted(&self) -> impl Future<Output = ()> + use<> {
        let (slot, turn) = (self.slot.clone(), self.turn);
        async move { later(&slot, turn).await }
    }
}

async fn later(slot: &Slot, turn: u64) {
    let mut asked = slot.asked.subscribe();
    // The slot has the sender, so this cannot fail.
    let _ = asked.wait_for(|asked| *asked > turn).await;
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
