//! All audits that are under way, as the loop of the holder sees them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use packed::Profile;
use service::trust::HeldPlan;
use service::{Chain, Settings, failpoint};
use tokio::time::Instant;
use wire::{Digest, Reason, Report, Sum, UnixMillis};

use super::check::{Audit, parts};
use super::demand::{demands, named, sealed};
use super::records::{self, Record, VERSION, Verdict};
use super::say::{say, say_unusable};
use crate::answers::{Answers, Outgoing};
use crate::ledger::{KeptSum, LedgerError, SumKey};
use crate::metrics;

/// The most audits that demand reports at a time: each awaits so many at most as `check` demands at once.
const MAX_RUNNING: usize = 32;

/// The most audits that have begun, those that gave their places up included: each has a sum in memory.
pub(super) const MAX_BEGUN: usize = 256;

/// The most audits that wait for a place.
const MAX_WAITING: usize = 10_000;

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
    /// What waits for a place.
    pub(super) queue: VecDeque<SumKey>,
    pub(super) most_waiting: usize,
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
            most_waiting: MAX_WAITING,
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
            && let Some(key) = self.queue.pop_front()
        {
            if let Some(kept) = answers.ledger.sum(&key)? {
                self.begin(kept, &held, (answers, now))?;
            }
        }
        self.end_waiting(answers)?;
        let (again, mut due) = (self.again, Vec::new());
        for audit in self.running.iter_mut().filter(|audit| !audit.is_aside()) {
            let places = audit.due(again, now);
            due.extend(demands(audit, &places, &answers.roster));
        }
        let mut sent = Vec::new();
        for demand in due {
            let next = UnixMillis(self.issued_at.0 + 1);
            self.issued_at = answers.clock.now().max(next);
            sent.extend(sealed(demand, self.issued_at, (&held, answers)));
        }
        self.end(answers, now)?;
        metrics::audits(self.running.len() + self.queue.len());
        Ok(sent)
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
                self.record(&audit.sum, &audit.kept, None, answers.clock.now());
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
    pub(super) fn record(
        &self,
        sum: &Sum,
        kept: &KeptSum,
        verdict: Option<Verdict>,
        now: UnixMillis,
    ) {
        let record = Record {
            version: VERSION,
            feeder: sum.feeder.clone(),
            window: sum.window,
            part: sum.part,
            area: sum.rest.as_ref().map(|rest| rest.area.clone()),
            analytics: sum.analytics.clone(),
            subject: Digest::of(&kept.signed),
            contributors: sum.contributors(),
            written_at: now,
            verdict,
        };
        let path = records::path_of(&self.folder, &records::name_of(&kept.key));
        let written = records::write(&path, &record).and_then(|()| records::trim(&self.folder));
        if let Err(error) = written {
            tracing::error!(error = %Chain(&error), path = %path.display(), "an audit cannot be written down");
        }
    }

    /// Ends the audits whose reports have all come, those that have waited long enough, and the first that gave their places up where those
    /// are too many.
    fn end(&mut self, answers: &mut Answers, now: Instant) -> Result<(), LedgerError> {
        let mut surplus = self.running.len().saturating_sub(MAX_BEGUN);
        let mut going_on = Vec::new();
        for audit in std::mem::take(&mut self.running) {
            // A gateway that shows a report now and then holds no audit up for ever.
            let is_silent = !audit.is_aside() && now - audit.since >= self.wait;
            let is_given_up = audit.is_aside() && surplus > 0;
            surplus -= usize::from(is_given_up);
            let is_long = now - audit.began >= self.wait * LONGEST;
            let is_over = is_silent || is_given_up || is_long;
            let Some(result) = audit.result(is_over) else {
                going_on.push(audit);
                continue;
            };
            let verdict = audit.verdict(result, |place| named(&audit, place, &answers.roster));
            say(&audit, &verdict);
            let at = answers.clock.now();
            self.record(&audit.sum, &audit.kept, Some(verdict), at);
            answers.ledger.audit(&audit.kept.key, true)?;
            metrics::audited(result);
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
