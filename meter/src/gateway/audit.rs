//! Demands of holders of mask keys for the reports behind a sum, and the reports that they are shown.
//!
//! A demand counts if a holder signed it whose terms hold for the window, by the plan whose holders this gateway pins. What it is
//! answered with is on its way to everybody who may read reports anyway: one report as it was sent, encrypted under the operator's
//! key, which no holder has. Reports leave first; what is shown goes when none is due.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use service::warn_limited;
use tokio::time::Instant;
use wire::{AuditDemand, DeploymentId, HolderId, Reason, Terms, UnixMillis, WindowStart};

use super::Gateway;
use crate::journal::{Op, Place, Shown};
use crate::metrics;
use crate::uplink::Departure;

/// How long after it was issued a demand counts: no longer, so that what somebody recorded is soon worth nothing.
const FRESH_MS: u64 = 15 * 60 * 1_000;

/// What a holder may be shown is counted in such spans.
const SPAN: Duration = Duration::from_secs(60);

/// The most reports that wait to be read from the journal or, in memory, to be shown: each holder has an even part of it.
const MAX_WAITING: usize = 1_024;

/// What holders demanded. None of them takes from another: each has a bound of its own, and they are shown reports in turns.
#[derive(Debug, Default)]
pub(super) struct Audits {
    holders: BTreeMap<HolderId, Demanded>,
    /// Who was shown a report last.
    last: Option<HolderId>,
}

/// What may be demanded.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The most reports of a holder in a span.
    in_span: u32,
    /// How many holders there are.
    holders: usize,
}

/// What one holder demanded.
#[derive(Debug)]
struct Demanded {
    issued_at: UnixMillis,
    /// When its span began, and what it demanded in it.
    since: Instant,
    reports: u32,
    /// What was demanded and has not left, each once: the journal reads it when its disk takes a commit.
    waiting: BTreeSet<Place>,
    /// What of it has been read.
    shown: VecDeque<Shown>,
}

impl Demanded {
    fn new(now: Instant) -> Self {
        Self {
            issued_at: UnixMillis(0),
            since: now,
            reports: 0,
            waiting: BTreeSet::new(),
            shown: VecDeque::new(),
        }
    }
}

impl Audits {
    /// What is to be read for a demand: what waits already is shown once for both, and of the rest as much as there is room for.
    ///
    /// # Errors
    /// [`Reason::LowerVersion`]: the holder demanded something later before; [`Reason::Overloaded`]: it has had its share of the span, or
    /// too much of its own waits.
    fn hear(
        &mut self,
        demand: AuditDemand,
        limits: Limits,
        now: Instant,
    ) -> Result<Vec<(HolderId, Place)>, Reason> {
        let own = self.holders.entry(demand.holder.clone());
        let own = own.or_insert_with(|| Demanded::new(now));
        if demand.issued_at <= own.issued_at {
            return Err(Reason::LowerVersion);
        }
        if now - own.since >= SPAN {
            (own.since, own.reports) = (now, 0);
        }
        let places = demand.meters.into_iter().map(|meter| Place {
            window: demand.window,
            feeder: demand.feeder.clone(),
            meter,
        });
        let mut new: Vec<Place> = places
            .filter(|place| !own.waiting.contains(place))
            .collect();
        let of_span = limits.in_span.saturating_sub(own.reports) as usize;
        let of_bound = (MAX_WAITING / limits.holders.max(1)).saturating_sub(own.waiting.len());
        let room = of_span.min(of_bound);
        if room == 0 && !new.is_empty() {
            return Err(Reason::Overloaded);
        }
        new.truncate(room);
        own.issued_at = demand.issued_at;
        own.reports += new.len() as u32;
        own.waiting.extend(new.iter().cloned());
        let new = new.into_iter().map(|place| (demand.holder.clone(), place));
        Ok(new.collect())
    }

    /// The journal has looked for a report. If it is there, it comes by [`show`](Self::show).
    pub(super) fn has_read(&mut self, place: &Place, holder: &HolderId) {
        if let Some(own) = self.holders.get_mut(holder) {
            own.waiting.remove(place);
        }
    }

    fn show(&mut self, shown: Shown) {
        if let Some(own) = self.holders.get_mut(&shown.holder)
            && own.waiting.insert(shown.place.clone())
        {
            own.shown.push_back(shown);
        }
    }

    /// What is to be shown next: to the holder after the one that was shown something last.
    fn pop(&mut self) -> Option<Shown> {
        let has_some = |(_, own): &(&HolderId, &Demanded)| !own.shown.is_empty();
        let last = self.last.as_ref();
        let mut later = (self.holders.iter()).filter(|(holder, _)| Some(*holder) > last);
        let next = later.find(has_some);
        let next = next.or_else(|| self.holders.iter().find(has_some));
        let holder = next.map(|(holder, _)| holder.clone())?;
        let own = self.holders.get_mut(&holder)?;
        let shown = own.shown.pop_front()?;
        own.waiting.remove(&shown.place);
        self.last = Some(holder);
        Some(shown)
    }

    /// Whether something is to be shown.
    pub(super) fn has_shown(&self) -> bool {
        let mut holders = self.holders.values();
        holders.any(|own| !own.shown.is_empty())
    }
}

impl Gateway {
    /// Takes a demand, as far as there is room for it: a holder demands again what does not come.
    pub(super) fn take_demand(&mut self, topic: &str, payload: &Bytes) {
        match self.heard(topic, payload) {
            Ok(reports) => {
                for (holder, place) in reports {
                    self.writer.push(Op::Shown(place, holder));
                }
            }
            Err(reason) => {
                metrics::audit::refused(reason);
                warn_limited!(reason = reason; "refused a holder's demand for reports: {reason}");
            }
        }
    }

    /// What is to be read for a demand that counts.
    fn heard(&mut self, topic: &str, payload: &Bytes) -> Result<Vec<(HolderId, Place)>, Reason> {
        let session = &self.session;
        let held = session.keeper.current().ok_or(Reason::NotReady)?;
        // Without pins whoever writes the plan could name itself a holder.
        if self.settings.holders.pinned.is_empty() {
            return Err(Reason::UnknownHolder);
        }
        if topic != session.topics.audit_demand(&self.settings.meter.gateway) {
            return Err(Reason::WrongTopic);
        }
        let terms_for = |window| held.plan.terms_for(window);
        let place = (&self.settings.deployment.id, topic);
        let demand = opened(payload, place, terms_for, self.clock.now())?;
        let limits = Limits {
            in_span: self.settings.meter.audit_reports_per_minute,
            holders: terms_for(demand.window).map_or(1, |terms| terms.holders.len()),
        };
        let (holder, feeder) = (demand.holder.clone(), demand.feeder.clone());
        let (window, demanded) = (demand.window, demand.meters.len());
        let reports = self.audits.hear(demand, limits, Instant::now())?;
        tracing::info!(
            %holder, %feeder, %window, demanded, reports = reports.len(),
            "a holder audits a sum: it is shown as many of the demanded reports, beside those that wait already"
        );
        Ok(reports)
    }

    /// What leaves next: a report, if one is due, and only then what a holder demanded.
    pub(super) fn next_departure(&mut self, is_due: bool) -> Option<Departure> {
        let due = is_due.then(|| self.outbox.pop_due(self.now_ms())).flatten();
        let Some((report, again)) = due else {
            return self.audits.pop().map(Departure::Shown);
        };
        let shard = self.session.shard(&self.fleet.members[report.meter].feeder);
        Some(Departure::Report {
            report,
            shard,
            again,
        })
    }

    /// Takes over reports from the journal that are to be shown.
    pub(super) fn show(&mut self, shown: Vec<Shown>) {
        for shown in shown {
            self.audits.show(shown);
        }
    }
}

/// A fresh demand, which a holder signed whose terms hold for the window.
fn opened<'a>(
    payload: &Bytes,
    (deployment, topic): (&DeploymentId, &str),
    terms_for: impl Fn(WindowStart) -> Option<&'a Terms>,
    now: UnixMillis,
) -> Result<AuditDemand, Reason> {
    let unverified = wire::decode_shared::<AuditDemand>(payload, payload.len());
    let unverified = unverified.map_err(|error| error.reason())?;
    let claimed = unverified.claimed();
    let terms = terms_for(claimed.window);
    let terms = terms.filter(|terms| terms.digest() == claimed.terms);
    let terms = terms.ok_or(Reason::UnknownTerms)?;
    let place = terms.place(&claimed.holder).ok_or(Reason::UnknownHolder)?;
    let key = &terms.holders[place].key;
    let opened = unverified.verify(deployment, topic, key);
    let demand = opened.map_err(|error| error.reason())?.message;
    if demand.issued_at.0.saturating_add(FRESH_MS) < now.0 {
        return Err(Reason::ReportTooLate);
    }
    if demand.issued_at.0 > now.0.saturating_add(FRESH_MS) {
        return Err(Reason::ReportTooEarly);
    }
    Ok(demand)
}

#[cfg(test)]
mod tests;
