//! Demands of holders of mask keys for the reports behind a sum, and the reports that they are shown.
//!
//! A demand counts if a holder signed it whose terms hold for the window, by the plan whose holders this gateway pins. What it is
//! answered with is on its way to everybody who may read reports anyway: one report as it was sent, encrypted under the operator's
//! key, which no holder has. Reports leave first; what is shown goes when none is due.

use std::collections::{BTreeMap, VecDeque};
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

/// The most reports in memory that wait to be shown.
const MAX_WAITING: usize = 1_024;

/// What holders demanded.
#[derive(Debug, Default)]
pub(super) struct Audits {
    heard: BTreeMap<HolderId, Heard>,
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
    /// [`Reason::LowerVersion`]: it demanded something later before; [`Reason::Overloaded`]: it has had its share of the span.
    fn hear(&mut self, demand: &AuditDemand, most: u32, now: Instant) -> Result<(), Reason> {
        if self.shown.len() >= MAX_WAITING {
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

    /// What is to be shown next.
    fn pop(&mut self) -> Option<Shown> {
        self.shown.pop_front()
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
                for meter in demand.meters {
                    let place = Place {
                        window: demand.window,
                        feeder: demand.feeder.clone(),
                        meter,
                    };
                    self.writer.push(Op::Shown(place, demand.holder.clone()));
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
        self.audits.shown.extend(shown);
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
mod tests {
    use super::*;

    fn demand(holder: &str, issued_at: u64, meters: usize) -> AuditDemand {
        AuditDemand {
            holder: holder.parse().unwrap(),
            terms: wire::Digest([1; 32]),
            issued_at: UnixMillis(issued_at),
            feeder: "feeder-1".parse().unwrap(),
            window: WindowStart(0),
            meters: vec!["meter-1".parse().unwrap(); meters],
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_holder_has_a_share_of_every_minute_and_no_demand_counts_twice() {
        let mut audits = Audits::default();
        let mut hear = |holder: &str, issued_at, meters| {
            audits.hear(&demand(holder, issued_at, meters), 10, Instant::now())
        };
        assert_eq!(hear("a", 5, 6), Ok(()));
        assert_eq!(hear("a", 5, 1), Err(Reason::LowerVersion));
        assert_eq!(hear("a", 4, 1), Err(Reason::LowerVersion));
        assert_eq!(hear("a", 6, 6), Ok(()));
        assert_eq!(hear("a", 7, 1), Err(Reason::Overloaded));
        assert_eq!(hear("b", 1, 1), Ok(()), "another has its own");
        tokio::time::advance(SPAN).await;
        assert_eq!(hear("a", 7, 1), Ok(()));
    }

    fn key(place: u8) -> wire::SigningKey {
        wire::SigningKey::from_bytes(&[place; 32])
    }

    /// From the second window on.
    fn terms() -> Terms {
        let holder = |place: u8| wire::HolderEntry {
            id: format!("holder-{place}").parse().unwrap(),
            key: key(place).verifying_key(),
        };
        Terms {
            deployment: "dev".parse().unwrap(),
            generation: 1,
            from: WindowStart(3_600),
            previous: None,
            threshold: 2,
            consents: 2,
            holders: vec![holder(1), holder(2)],
            streams: Vec::new(),
            noise: None,
        }
    }

    #[test]
    fn a_demand_of_nobody_who_may_make_it_is_refused_by_its_reason() {
        const TOPIC: &str = "gateway/gateway-1/audit";
        let terms = terms();
        let terms_for = |window| (window >= terms.from).then_some(&terms);
        let good = AuditDemand {
            terms: terms.digest(),
            window: terms.from,
            ..demand("holder-1", 2 * FRESH_MS, 1)
        };
        let open = |demand: &AuditDemand, signer: u8, on: &str| {
            let (bytes, _) = wire::seal(demand, None, &terms.deployment, on, &key(signer));
            let now = UnixMillis(2 * FRESH_MS);
            opened(&bytes.into(), (&terms.deployment, TOPIC), terms_for, now)
        };
        assert_eq!(open(&good, 1, TOPIC), Ok(good.clone()));
        assert_eq!(open(&good, 2, TOPIC), Err(Reason::BadSignature));
        let elsewhere = open(&good, 1, "gateway/gateway-2/audit");
        assert_eq!(elsewhere, Err(Reason::BadSignature));
        type Change = fn(&mut AuditDemand);
        let changes: [(Reason, Change); 5] = [
            (Reason::UnknownHolder, |demand| {
                demand.holder = "holder-3".parse().unwrap();
            }),
            (Reason::UnknownTerms, |demand| {
                demand.window = WindowStart(0)
            }),
            (Reason::UnknownTerms, |demand| demand.terms.0[0] ^= 1),
            (Reason::ReportTooLate, |demand| {
                demand.issued_at.0 = FRESH_MS - 1;
            }),
            (Reason::ReportTooEarly, |demand| {
                demand.issued_at.0 = 3 * FRESH_MS + 1;
            }),
        ];
        for (expected, change) in changes {
            let mut demand = good.clone();
            change(&mut demand);
            assert_eq!(open(&demand, 1, TOPIC), Err(expected), "{demand:?}");
        }
        let place = (&terms.deployment, TOPIC);
        let none = opened(&Bytes::from_static(b"x"), place, terms_for, UnixMillis(0));
        assert_eq!(none, Err(Reason::InvalidMessage));
    }
}
