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

/// The most reports that wait to be read from the journal or, in memory, to be shown.
const MAX_WAITING: usize = 1_024;

/// What holders demanded.
#[derive(Debug, Default)]
pub(super) struct Audits {
    heard: BTreeMap<HolderId, Heard>,
    /// What was demanded and has not left, each once: the journal reads it when its disk takes a commit.
    waiting: BTreeSet<(HolderId, Place)>,
    /// What of it has been read.
    shown: VecDeque<Shown>,
}

/// What one holder demanded lately.
#[derive(Debug)]
struct Heard {
    issued_at: UnixMillis,
    /// When its span began, and what it demanded in it.
    since: Instant,
    reports: u32,
}

impl Audits {
    /// Whether a holder may demand so many reports now.
    ///
    /// # Errors
    /// [`Reason::LowerVersion`]: it demanded something later before; [`Reason::Overloaded`]: it has had its share of the span, or too
    /// many wait.
    fn hear(&mut self, demand: &AuditDemand, most: u32, now: Instant) -> Result<(), Reason> {
        if self.waiting.len() + demand.meters.len() > MAX_WAITING {
            return Err(Reason::Overloaded);
        }
        let reports = demand.meters.len() as u32;
        let heard = self.heard.entry(demand.holder.clone());
        let heard = heard.or_insert(Heard {
            issued_at: UnixMillis(0),
            since: now,
            reports: 0,
        });
        if demand.issued_at <= heard.issued_at {
            return Err(Reason::LowerVersion);
        }
        if now - heard.since >= SPAN {
            (heard.since, heard.reports) = (now, 0);
        }
        if heard.reports >= most {
            return Err(Reason::Overloaded);
        }
        heard.issued_at = demand.issued_at;
        heard.reports += reports;
        Ok(())
    }

    /// What is to be read for a demand that counts: what waits already is shown once for both.
    fn queue(&mut self, demand: AuditDemand) -> Vec<(HolderId, Place)> {
        let wanted = demand.meters.into_iter().map(|meter| {
            let place = Place {
                window: demand.window,
                feeder: demand.feeder.clone(),
                meter,
            };
            (demand.holder.clone(), place)
        });
        wanted
            .filter(|one| self.waiting.insert(one.clone()))
            .collect()
    }

    /// The journal has looked for a report. If it is there, it comes by [`show`](Self::show).
    pub(super) fn has_read(&mut self, place: Place, holder: HolderId) {
        self.waiting.remove(&(holder, place));
    }

    fn show(&mut self, shown: Shown) {
        let one = (shown.holder.clone(), shown.place.clone());
        if self.waiting.insert(one) {
            self.shown.push_back(shown);
        }
    }

    /// What is to be shown next.
    fn pop(&mut self) -> Option<Shown> {
        let shown = self.shown.pop_front()?;
        let one = (shown.holder.clone(), shown.place.clone());
        self.waiting.remove(&one);
        Some(shown)
    }

    /// Whether something is to be shown.
    pub(super) fn has_shown(&self) -> bool {
        !self.shown.is_empty()
    }
}

impl Gateway {
    pub(super) fn take_demand(&mut self, topic: &str, payload: &Bytes) {
        match self.open_demand(topic, payload) {
            Ok(demand) => {
                tracing::info!(
                    holder = %demand.holder, feeder = %demand.feeder, window = %demand.window, reports = demand.meters.len(),
                    "a holder audits a sum: it is shown these reports"
                );
                for (holder, place) in self.audits.queue(demand) {
                    self.writer.push(Op::Shown(place, holder));
                }
            }
            Err(reason) => {
                metrics::audit::refused(reason);
                warn_limited!(reason = reason; "refused a holder's demand for reports: {reason}");
            }
        }
    }

    /// A demand that counts.
    fn open_demand(&mut self, topic: &str, payload: &Bytes) -> Result<AuditDemand, Reason> {
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
        let most = self.settings.meter.audit_reports_per_minute;
        self.audits.hear(&demand, most, Instant::now())?;
        Ok(demand)
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
