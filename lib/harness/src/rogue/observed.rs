//! What a client of the broker sees.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use wire::{
    AnswerBody, Consent, ContributorSet, Digest, FeederId, GatewayId, HolderAnswer, HolderId,
    Message, MeterId, Part, Plan, Receipt, Report, RosterEntry, RosterPage, Salt,
    SettlementOutcome, Status, Step, Sum, SumReceipt, SumStatus, Topic, Topics, Total, WindowStart,
};

/// One sum: its feeder, its window, its part.
pub type SumKey = (FeederId, WindowStart, Part);

/// A report, its limbs, and the whole message.
#[derive(Clone, Debug)]
pub struct SeenReport {
    /// The signed part.
    pub report: Report,
    /// The packed ciphertext.
    pub limbs: Vec<u8>,
    /// The message.
    pub message: Bytes,
}

/// What was seen so far. Nothing is verified: there is nobody here to deceive.
#[derive(Default)]
pub struct Observed {
    /// The gateway whose receipts are its own.
    gateway: Option<GatewayId>,
    /// The newest plan, and its limbs.
    pub plan: Option<(Plan, Vec<u8>)>,
    /// The newest message on each topic that is retained: the plan's, its renewal's and the roster's.
    pub retained: BTreeMap<String, Bytes>,
    /// Every meter that was ever in the roster, by feeder and number.
    pub meters: BTreeMap<(FeederId, u32), MeterId>,
    /// Those of the newest page of the roster.
    pub roster: BTreeSet<MeterId>,
    /// What any page of the roster ever said of a meter.
    pub entries: BTreeMap<MeterId, RosterEntry>,
    /// The version of the newest page of the roster.
    pub roster_version: u64,
    /// The holders' consents, as they signed them.
    pub consents: BTreeMap<(Digest, HolderId), Bytes>,
    /// What holders last answered of each sum, by the streams that they answered for; 0: none.
    pub masks: BTreeMap<(Digest, Step, HolderId, u16), AnswerBody>,
    /// The first report of each meter and window.
    pub reports: BTreeMap<(WindowStart, MeterId), SeenReport>,
    /// Of those that were sealed again, the newest.
    pub sealed_again: BTreeMap<(WindowStart, MeterId), SeenReport>,
    /// Who is in each sum.
    pub sums: BTreeMap<SumKey, ContributorSet>,
    /// What the operator last said of each sum.
    pub answers: BTreeMap<SumKey, SumStatus>,
    /// What the operator published.
    pub totals: BTreeMap<SumKey, Total>,
    /// What analytics last said of each report.
    pub receipts: BTreeMap<(WindowStart, MeterId), Status>,
    /// The messages with receipts, in their order, each with its topic.
    pub receipt_messages: Vec<(String, Bytes)>,
    /// Windows whose reports were asked of this gateway again.
    pub wanted: BTreeSet<WindowStart>,
    /// What this gateway has sent, by window and meter: topic and message.
    pub(super) sent: BTreeMap<(WindowStart, MeterId), (String, Vec<u8>)>,
}

impl Observed {
    /// Nothing yet, by whoever has this name.
    pub(super) fn of(name: &str) -> Self {
        Self {
            gateway: name.parse().ok(),
            ..Self::default()
        }
    }

    /// Takes a message. Returns those that are to be sent again.
    pub(super) fn note(
        &mut self,
        topics: &Topics,
        topic: &str,
        message: &Bytes,
    ) -> Vec<(String, Vec<u8>)> {
        match topics.parse(topic) {
            Some(Topic::Plan) => {
                self.retained.insert(topic.to_owned(), message.clone());
                self.plan = claimed(message);
            }
            Some(Topic::Renewal) => {
                self.retained.insert(topic.to_owned(), message.clone());
            }
            Some(Topic::Roster { .. }) => {
                self.retained.insert(topic.to_owned(), message.clone());
                self.note_roster(message);
            }
            Some(Topic::Report { .. }) => self.note_report(message),
            Some(Topic::Sum { .. }) => {
                if let Some((sum, _)) = claimed::<Sum>(message) {
                    let key = (sum.feeder, sum.window, sum.part);
                    self.sums.insert(key, sum.set);
                }
            }
            Some(Topic::SumReceipt { .. }) => {
                if let Some((answer, _)) = claimed::<SumReceipt>(message) {
                    let key = (answer.feeder, answer.window, answer.part);
                    self.answers.insert(key, answer.status);
                }
            }
            Some(Topic::Total { .. }) => {
                if let Some((total, _)) = claimed::<Total>(message) {
                    let key = (total.feeder.clone(), total.window, total.part);
                    self.totals.insert(key, total);
                }
            }
            Some(Topic::Consent { .. } | Topic::HolderAnswer { .. }) => self.note_holder(message),
            Some(Topic::Receipt { gateway }) => {
                let whole = (topic.to_owned(), message.clone());
                self.receipt_messages.push(whole);
                return self.note_receipt(&gateway, message);
            }
            _ => {}
        }
        Vec::new()
    }

    fn note_roster(&mut self, message: &Bytes) {
        let Some((page, _)) = claimed::<RosterPage>(message) else {
            return;
        };
        self.roster = (page.entries.iter())
            .map(|entry| entry.meter.clone())
            .collect();
        self.roster_version = page.version;
        for entry in page.entries {
            let place = (entry.feeder.clone(), entry.number);
            self.meters.insert(place, entry.meter.clone());
            self.entries.insert(entry.meter.clone(), entry);
        }
    }

    fn note_holder(&mut self, message: &Bytes) {
        if let Ok(consent) = wire::decode::<Consent>(message, message.len()) {
            let key = (consent.claimed().subject, consent.claimed().holder.clone());
            self.consents.insert(key, consent.signed_part());
        }
        if let Some((answer, _)) = claimed::<HolderAnswer>(message) {
            let streams = match &answer.body {
                AnswerBody::Masks { streams, .. } => *streams,
                AnswerBody::Refused(_) => 0,
            };
            let key = (answer.subject, answer.step, answer.holder, streams);
            self.masks.insert(key, answer.body);
        }
    }

    fn note_report(&mut self, message: &Bytes) {
        if let Some((report, limbs)) = claimed::<Report>(message) {
            let key = (report.window, report.meter.clone());
            let seen = SeenReport {
                report,
                limbs,
                message: message.clone(),
            };
            let first = self.reports.entry(key.clone());
            let first = first.or_insert_with(|| seen.clone());
            if first.report.salt != seen.report.salt {
                self.sealed_again.insert(key, seen);
            }
        }
    }

    fn note_receipt(&mut self, gateway: &GatewayId, message: &Bytes) -> Vec<(String, Vec<u8>)> {
        let Some((receipt, _)) = claimed::<Receipt>(message) else {
            return Vec::new();
        };
        for entry in receipt.entries {
            self.receipts
                .insert((entry.window, entry.meter), entry.status);
        }
        if self.gateway.as_ref() != Some(gateway) {
            return Vec::new();
        }
        let wanted = (receipt.settlements.iter())
            .filter(|settled| settled.outcome == SettlementOutcome::Wanted)
            .map(|settled| settled.window);
        let wanted: BTreeSet<_> = wanted.collect();
        self.wanted.extend(&wanted);
        let sent = self.sent.iter();
        let again = sent.filter(|((window, _), _)| wanted.contains(window));
        again.map(|(_, message)| message.clone()).collect()
    }

    /// The meters of a sum, if it was seen.
    #[must_use]
    pub fn members(&self, key: &SumKey) -> BTreeSet<MeterId> {
        let set = self.sums.get(key).into_iter().flat_map(|set| set.iter());
        set.filter_map(|number| self.meters.get(&(key.0.clone(), number)).cloned())
            .collect()
    }

    /// A meter's number on a feeder.
    #[must_use]
    pub fn number(&self, feeder: &FeederId, meter: &MeterId) -> Option<u32> {
        let mut meters = self.meters.iter();
        let found = meters.find(|((on, _), id)| on == feeder && *id == meter);
        found.map(|((_, number), _)| *number)
    }

    /// The numbers and salts of the reports of a window that came from these meters: what a sum of theirs names.
    #[must_use]
    pub fn named(&self, window: WindowStart, meters: &[MeterId]) -> Vec<(u32, Salt)> {
        let of = |meter: &MeterId| {
            let seen = self.reports.get(&(window, meter.clone()))?;
            let number = self.number(&seen.report.feeder, meter)?;
            Some((number, seen.report.salt))
        };
        meters.iter().filter_map(of).collect()
    }

    /// The windows of which some report was seen, and how many meters reported each.
    #[must_use]
    pub fn windows(&self) -> BTreeMap<WindowStart, usize> {
        let mut windows = BTreeMap::new();
        for (window, _) in self.reports.keys() {
            *windows.entry(*window).or_default() += 1;
        }
        windows
    }
}

fn claimed<M: Message + Clone>(message: &Bytes) -> Option<(M, Vec<u8>)> {
    let envelope = wire::decode::<M>(message, message.len()).ok()?;
    let limbs = envelope.claimed_limbs().to_vec();
    Some((envelope.claimed().clone(), limbs))
}
