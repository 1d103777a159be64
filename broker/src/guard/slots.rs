//! One slot a client id: at most one connection has it at a time, and it keeps the session of a client that is away.
//!
//! A newcomer asks whoever has the slot to leave and waits for that, so that the router hears of the end of the old session
//! before it hears of the new one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};
use tokio::time::timeout;

use super::caps::lock;
use super::metrics;

/// How long a connection may take to leave its slot.
const LEAVE: Duration = Duration::from_secs(10);

pub(super) struct Slots {
    table: Mutex<Table>,
    max: usize,
    /// How long a session is kept for a client that is away.
    expiry: Duration,
}

#[derive(Default)]
struct Table {
    slots: HashMap<String, Slot>,
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
    pub(super) fn new(max: usize, expiry: Duration) -> Self {
        Self {
            table: Mutex::default(),
            max,
            expiry,
        }
    }

    /// Has the slot of a client id, once whoever had it has left.
    pub(super) async fn claim(&self, client_id: &str) -> Result<Claim, Denied> {
        let (slot, turn) = self.ask(client_id)?;
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

    fn ask(&self, client_id: &str) -> Result<(Slot, u64), Denied> {
        let mut table = lock(&self.table);
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
        claim.session.filters.clear();
        claim.session.unacknowledged.clear();
        if *claim.slot.asked.borrow() == claim.turn {
            table.slots.remove(&claim.client_id);
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
mod tests {
    use super::*;

    fn slots() -> Slots {
        Slots::new(2, Duration::from_secs(60))
    }

    async fn claim(slots: &Slots, id: &str) -> Claim {
        slots.claim(id).await.ok().unwrap()
    }

    #[tokio::test]
    async fn of_many_that_want_a_slot_the_last_one_has_it() {
        let slots = Arc::new(slots());
        let holder = claim(&slots, "a").await;
        let mut waiting = Vec::new();
        for _ in 0..5 {
            let all = slots.clone();
            waiting.push(tokio::spawn(async move { all.claim("a").await.is_ok() }));
            tokio::task::yield_now().await;
        }
        holder.wanted().await;
        slots.release(holder, false);
        let mut had = Vec::new();
        for task in waiting {
            had.push(task.await.unwrap());
        }
        assert_eq!(had, [false, false, false, false, true]);
    }

    #[tokio::test]
    async fn a_name_is_used_again_and_a_kept_session_keeps_its_own() {
        let slots = slots();
        let first = claim(&slots, "a").await;
        let name = first.router_name();
        slots.release(first, false);
        let mut second = claim(&slots, "b").await;
        assert_eq!(second.router_name(), name);
        second.session.filters.insert("x".to_owned(), 1);
        slots.release(second, true);
        let third = claim(&slots, "c").await;
        assert_ne!(third.router_name(), name);
        assert!(slots.claim("d").await.is_err(), "two are all there may be");
        slots.release(third, false);
        let again = claim(&slots, "b").await;
        assert_eq!(
            (again.router_name(), again.session.filters.len()),
            (name, 1)
        );
    }

    #[tokio::test]
    async fn a_session_whose_client_stays_away_ends() {
        let slots = slots();
        slots.release(claim(&slots, "a").await, true);
        let connected = claim(&slots, "b").await;
        let now = Instant::now();
        assert!(slots.expired(now).is_empty());
        let mut expired = slots.expired(now + Duration::from_secs(61));
        assert_eq!(expired.len(), 1);
        slots.release(expired.remove(0), false);
        assert!(slots.claim("c").await.is_ok(), "there is room again");
        drop(connected);
    }
}
