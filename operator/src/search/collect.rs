//! The reports of a sum that did not open, as they come again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use wire::{DeploymentId, Digest, MeterId, Opened, Plan, Report, Salt, Sum, Topic, Topics};

use super::book::SearchOn;
use crate::plan::feeder_setting::encoding;
use service::trust::Members;

/// A sum that did not open, with what it was judged by.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) sum: Sum,
    /// SHA-256 of its limbs.
    pub(crate) digest: Digest,
    /// The plan in force.
    pub(crate) plan: Arc<Plan>,
    /// The meters of its feeder.
    pub(crate) members: Arc<Members>,
}

/// A report that is in the sum, by what its meter signed.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) salt: Salt,
    /// SHA-256 of `limbs`.
    pub(crate) digest: Digest,
    pub(crate) limbs: Vec<u8>,
}

/// The reports of a sum that have come so far.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) judged: Judged,
    /// By the meter's number.
    pub(crate) reports: BTreeMap<u32, Received>,
    /// Meters that signed two reports under one salt, which no honest meter does: every report has a salt of its own.
    pub(crate) signed_twice: BTreeSet<u32>,
    /// Meters that signed what is not of the profile for this sum, which has no such report: analytics would have refused it.
    pub(crate) malformed: BTreeSet<u32>,
    /// Meters whose report had no room.
    without_room: BTreeSet<u32>,
    /// Bytes of a report of the profile; `None` where the plan has no setting for the sum.
    expected: Option<usize>,
    wanted: HashMap<MeterId, (u32, Salt)>,
    room: usize,
    /// Dropped with the collection, which tells that the search is over.
    on: Option<SearchOn>,
    /// Dropped with the collection, which tells that its memory is free.
    _done: oneshot::Sender<()>,
}

impl Collection {
    /// Of nothing yet, and with room for so many bytes of reports. The receiver hears when the collection is dropped.
    pub(crate) fn new(judged: Judged, max_bytes: usize) -> (Self, oneshot::Receiver<()>) {
        let (done, is_done) = oneshot::channel();
        let contributors = judged.sum.set.iter().zip(&judged.sum.salts);
        let wanted = contributors.filter_map(|(number, salt)| {
            let member = judged.members.get(number)?;
            Some((member.meter.clone(), (number, *salt)))
        });
        let plan = &judged.plan;
        let setting = plan.feeder(&judged.sum.feeder, judged.sum.window);
        let encoding = setting.and_then(|setting| encoding(plan, setting).ok());
        let expected = encoding.map(|encoding| {
            let coefficients = encoding.shape.coefficients();
            encoding.profile.packed_len(coefficients)
        });
        let collection = Self {
            expected,
            malformed: BTreeSet::new(),
            without_room: BTreeSet::new(),
            wanted: wanted.collect(),
            judged,
            reports: BTreeMap::new(),
            signed_twice: BTreeSet::new(),
            room: max_bytes,
            on: None,
            _done: done,
        };
        (collection, is_done)
    }

    /// As long as the collection is there, parts of its sum wait.
    pub(crate) fn hold_parts(&mut self, on: SearchOn) {
        self.on = Some(on);
    }

    /// Reports that have come so far, and meters that sent something else.
    pub(super) fn progress(&self) -> usize {
        self.reports.len() + self.malformed.len() + self.signed_twice.len()
    }

    /// Whether nothing more can come.
    pub(crate) fn is_complete(&self) -> bool {
        let malformed = self.malformed.iter();
        let without = malformed.filter(|number| !self.reports.contains_key(number));
        self.reports.len() + without.count() == self.wanted.len()
    }

    /// Reports of the sum that have not come, or had no room.
    pub(crate) fn missing(&self) -> usize {
        self.judged.sum.salts.len() - self.reports.len()
    }

    /// Meters of the sum of which nothing came.
    pub(crate) fn silent(&self) -> Vec<u32> {
        let mut wanted: Vec<u32> = self.wanted.values().map(|(number, _)| *number).collect();
        let came = |number: &u32| {
            self.reports.contains_key(number)
                || self.malformed.contains(number)
                || self.without_room.contains(number)
        };
        wanted.retain(|number| !came(number));
        wanted.sort_unstable();
        wanted
    }

    /// Takes a message that came on `topic`, if it is a report of the sum.
    pub(crate) fn take(
        &mut self,
        topic: &str,
        payload: &Bytes,
        topics: &Topics,
        deployment: &DeploymentId,
    ) {
        let sum = &self.judged.sum;
        let Some(Topic::Report { feeder, meter, .. }) = topics.parse(topic) else {
            return;
        };
        let Some(&(number, salt)) = self.wanted.get(&meter).filter(|_| feeder == sum.feeder) else {
            return;
        };
        // Of a meter that is named already, nothing more is decoded, hashed or kept.
        if self.malformed.contains(&number) {
            return;
        }
        let Ok(unverified) = wire::decode_shared::<Report>(payload, payload.len()) else {
            return;
        };
        let claimed = unverified.claimed();
        let is_of_sum = claimed.meter == meter
            && claimed.salt == salt
            && (&claimed.feeder, claimed.window) == (&sum.feeder, sum.window)
            && (claimed.epoch, claimed.plan_version) == (sum.epoch, sum.plan_version);
        let known = self.reports.get(&number).map(|report| &report.digest);
        let is_known = known == Some(&Digest::of(unverified.claimed_limbs()));
        let Some(member) = self.judged.members.get(number) else {
            return;
        };
        if !is_of_sum || is_known {
            return;
        }
        if let Ok(opened) = unverified.verify(deployment, topic, &member.key) {
            self.keep(number, opened);
        }
    }

    fn keep(&mut self, number: u32, opened: Opened<Report>) {
        if self.expected != Some(opened.limbs.len()) {
            self.malformed.insert(number);
            return;
        }
        if self.reports.contains_key(&number) {
            self.signed_twice.insert(number);
            return;
        }
        let Some(room) = self.room.checked_sub(opened.limbs.len()) else {
            self.without_room.insert(number);
            return;
        };
        self.room = room;
        let report = Received {
            salt: opened.message.salt,
            digest: opened.digest,
            // A copy: the message shares its memory with others that came at the same time.
            limbs: opened.limbs.to_vec(),
        };
        self.reports.insert(number, report);
    }
}
