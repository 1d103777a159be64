//! All audits that are under way, as the loop of the holder sees them.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use packed::Profile;
use service::trust::HeldPlan;
use service::{Chain, Settings, failpoint};
use tokio::time::Instant;
use wire::{
    AuditDemand, Digest, FeederId, GatewayId, MeterId, Reason, Report, Topic, UnixMillis,
    WindowStart,
};

use super::check::{Audit, Place, parts};
use super::records::{self, Named, Record, VERSION, Verdict};
use super::say::{say, say_unusable};
use crate::answers::{Answers, Outgoing};
use crate::ledger::{KeptSum, LedgerError};
use crate::metrics;
use crate::roster::OwnRoster;

/// The most audits that demand reports at a time: each awaits so many at most as `check` demands at once.
const MAX_RUNNING: usize = 32;

/// How many times as long as it waits for another report an audit takes at most.
pub(super) const LONGEST: u32 = 12;

/// The audits of a holder.
#[derive(Debug)]
pub(crate) struct Audits {
    pub(super) folder: PathBuf,
    /// How long what was demanded may take, before it is demanded again.
    again: Duration,
    /// How long an audit waits for another report.
    wait: Duration,
    running: Vec<Audit>,
    pub(super) queue: VecDeque<KeptSum>,
    /// When the last demand was issued: each is later than the one before.
    issued_at: UnixMillis,
}

impl Audits {
    /// Goes on with what an earlier process was to audit.
    pub(crate) fn open(
        settings: &Settings,
        holder: &Path,
        answers: &Answers,
    ) -> Result<Self, LedgerError> {
        Ok(Self {
            folder: records::folder_in(holder),
            again: settings.holder.audit_again,
            wait: settings.holder.audit_wait,
            running: Vec::new(),
            queue: answers.ledger.to_audit()?.into(),
            issued_at: UnixMillis(0),
        })
    }

    /// Begins what is drawn or demanded, ends what is over, and returns the demands to publish.
    ///
    /// # Errors
    /// The ledger cannot be read or written.
    pub(crate) fn tick(
        &mut self,
        answers: &mut Answers,
        now: Instant,
    ) -> Result<Vec<Outgoing>, LedgerError> {
        self.queue.extend(answers.to_audit.drain(..));
        let Some(held) = answers.held.clone() else {
            return Ok(Vec::new());
        };
        self.take_wanted(answers, &held)?;
        while self.has_place(now)
            && let Some(kept) = self.queue.pop_front()
        {
            self.begin(kept, &held, (answers, now))?;
        }
        let (again, mut due) = (self.again, Vec::new());
        for audit in self.running.iter_mut().filter(|audit| !audit.is_aside()) {
            let places = audit.due(again, now);
            due.extend(demands(audit, &places, &answers.roster));
        }
        let sealed = due
            .into_iter()
            .map(|demand| self.sealed(demand, &held, answers));
        let sealed = sealed.flatten().collect();
        self.end(answers, now)?;
        metrics::audits(self.running.len() + self.queue.len());
        Ok(sealed)
    }

    /// Whether an audit may begin. Where all places are taken, one that is not answered gives its place to whoever waits for one, and
    /// goes on when nobody does: gateways that are away hold no other audit up.
    fn has_place(&mut self, now: Instant) -> bool {
        let places = self
            .running
            .iter()
            .filter(|audit| !audit.is_aside())
            .count();
        let free = MAX_RUNNING.saturating_sub(places);
        if self.queue.is_empty() {
            let aside = self.running.iter_mut().filter(|audit| audit.is_aside());
            aside.take(free).for_each(|audit| audit.go_on(now));
            return false;
        }
        let unanswered = self.running.iter_mut();
        let unanswered =
            unanswered.filter(|audit| !audit.is_aside() && now - audit.since >= self.again);
        let silent = unanswered.min_by_key(|audit| audit.since);
        match silent {
            _ if free > 0 => true,
            Some(audit) => {
                audit.set_aside(now);
                true
            }
            None => false,
        }
    }

    fn begin(
        &mut self,
        kept: KeptSum,
        held: &HeldPlan,
        (answers, now): (&mut Answers, Instant),
    ) -> Result<(), LedgerError> {
        let key = kept.key.clone();
        if self.running.iter().any(|audit| audit.kept.key == key) {
            return Ok(());
        }
        let coefficients = held.shape.coefficients();
        let profile = usable(&kept, held);
        match profile.and_then(|profile| Audit::new(kept, (profile, coefficients), now)) {
            Ok(audit) => {
                self.record(&audit, None, answers.clock.now());
                self.running.push(audit);
            }
            Err(reason) => {
                say_unusable(&key, reason);
                answers.ledger.audit(&key, true)?;
            }
        }
        Ok(())
    }

    /// Writes an audit down; what it came to is on disk before the ledger says that it is done.
    fn record(&self, audit: &Audit, verdict: Option<Verdict>, now: UnixMillis) {
        let sum = &audit.sum;
        let record = Record {
            version: VERSION,
            feeder: sum.feeder.clone(),
            window: sum.window,
            part: sum.part,
            area: sum.rest.as_ref().map(|rest| rest.area.clone()),
            analytics: sum.analytics.clone(),
            subject: Digest::of(&audit.kept.signed),
            contributors: sum.contributors(),
            written_at: now,
            verdict,
        };
        let path = records::path_of(&self.folder, &records::name_of(&audit.kept.key));
        let written = records::write(&path, &record).and_then(|()| records::trim(&self.folder));
        if let Err(error) = written {
            tracing::error!(error = %Chain(&error), path = %path.display(), "an audit cannot be written down");
        }
    }

    /// Ends the audits whose reports have all come, and those that have waited long enough.
    fn end(&mut self, answers: &mut Answers, now: Instant) -> Result<(), LedgerError> {
        let mut going_on = Vec::new();
        for audit in std::mem::take(&mut self.running) {
            // A gateway that shows a report now and then holds no audit up for ever.
            let is_silent = !audit.is_aside() && now - audit.since >= self.wait;
            let is_over = is_silent || now - audit.began >= self.wait * LONGEST;
            let Some(outcome) = audit.outcome(is_over) else {
                going_on.push(audit);
                continue;
            };
            let verdict = audit.verdict(outcome, |place| named(&audit, place, &answers.roster));
            say(&audit, &verdict);
            self.record(&audit, Some(verdict), answers.clock.now());
            answers.ledger.audit(&audit.kept.key, true)?;
            metrics::audited(outcome);
        }
        self.running = going_on;
        Ok(())
    }

    /// Takes a report that a gateway shows.
    ///
    /// # Errors
    /// It is none that an audit awaits.
    pub(crate) fn take(
        &mut self,
        payload: &Bytes,
        (answers, limit): (&Answers, usize),
        now: Instant,
    ) -> Result<(), Reason> {
        let unverified =
            wire::decode_shared::<Report>(payload, limit).map_err(|error| error.reason())?;
        let claimed = unverified.claimed();
        let (feeder, number) = answers.roster.place(&claimed.meter)?;
        if *feeder != claimed.feeder {
            return Err(Reason::WrongFeeder);
        }
        let held = answers.held.as_ref().ok_or(Reason::NotReady)?;
        let mut running = self.running.iter_mut();
        let awaited = running.find_map(|audit| Some((audit.place(claimed, number)?, audit)));
        let (place, audit) = awaited.ok_or(Reason::Conflict)?;
        let member = answers.roster.members(feeder)?.get(number);
        let key = member.ok_or(Reason::UnknownMeter)?.key;
        let shard = held.plan.shard(feeder);
        let topic = answers.topics.report(shard, feeder, &claimed.meter);
        let opened = unverified.verify(&answers.deployment, &topic, &key);
        let opened = opened.map_err(|error| error.reason())?;
        audit.take(place, (&opened.message, &opened.limbs), now);
        metrics::audited_report();
        failpoint::hit("holder.after_audited_report");
        Ok(())
    }

    /// A demand, signed for its gateway.
    fn sealed(&mut self, demand: Demand, held: &HeldPlan, answers: &Answers) -> Option<Outgoing> {
        let terms = held.plan.terms_for(demand.window)?.digest();
        let next = UnixMillis(self.issued_at.0 + 1);
        self.issued_at = answers.clock.now().max(next);
        let message = AuditDemand {
            holder: answers.id.clone(),
            terms,
            issued_at: self.issued_at,
            feeder: demand.feeder,
            window: demand.window,
            meters: demand.meters,
        };
        let topic = answers.topics.of(&Topic::AuditDemand {
            gateway: demand.gateway,
        });
        Some(answers.signed(&message, topic))
    }
}

/// What one gateway is asked for.
struct Demand {
    gateway: GatewayId,
    feeder: FeederId,
    window: WindowStart,
    meters: Vec<MeterId>,
}

/// The reports of these meters, gateway by gateway and feeder by feeder.
fn demands(audit: &Audit, places: &[Place], roster: &OwnRoster) -> Vec<Demand> {
    let mut of_gateway: BTreeMap<(GatewayId, usize), Vec<MeterId>> = BTreeMap::new();
    for place in places {
        let Some(Named { meter, gateway }) = named(audit, place, roster) else {
            continue;
        };
        of_gateway
            .entry((gateway, place.0))
            .or_default()
            .push(meter);
    }
    let demand = |((gateway, share), mut meters): ((GatewayId, usize), Vec<MeterId>)| {
        meters.sort_unstable();
        Demand {
            gateway,
            feeder: audit.feeder(share).clone(),
            window: audit.sum.window,
            meters,
        }
    };
    of_gateway.into_iter().map(demand).collect()
}

/// The parameters that the reports of a sum are packed with.
///
/// # Errors
/// Why it cannot be audited.
pub(super) fn usable(kept: &KeptSum, held: &HeldPlan) -> Result<&'static Profile, Reason> {
    let key = &kept.key;
    parts(kept)?;
    let setting = held.plan.feeder(&key.feeder, key.window);
    let setting = setting.ok_or(Reason::UnknownFeeder)?;
    Profile::by_name(setting.profile.as_str()).map_err(|_| Reason::NotReady)
}

/// Who is at a place of a sum: nothing is consented to with a meter that is not in the roster, and none ever leaves that.
fn named(audit: &Audit, (share, number): &Place, roster: &OwnRoster) -> Option<Named> {
    let members = roster.members(audit.feeder(*share)).ok()?;
    let member = members.get(*number)?;
    Some(Named {
        meter: member.meter.clone(),
        gateway: member.gateway.clone(),
    })
}
