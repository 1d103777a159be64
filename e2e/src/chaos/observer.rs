//! The second ledger: what an independent subscriber sees on the wire.
//!
//! It reads reports, receipts, releases, the operator's receipts and the roster, straight from the broker. It misses what the broker
//! forgets in a kill, so what it has not seen proves nothing. What it has seen does: one report with two ciphertexts,
//! one report folded in two receipts, two different releases of one sum, and, where it saw every report of a window,
//! whether the release is the sum of exactly those.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use service::config::Settings;
use service::mqtt::{self, Event, Inbox, Incoming, QoS};
use service::stop::Stop;
use tokio::sync::watch;
use tokio::time::Instant;
use wire::{
    ContributorSet, Digest, FeederId, GatewayId, MeterId, Part, Reason, Receipt, Report,
    RosterPage, Status, Sum, SumReceipt, SumStatus, Topic, Topics, WindowStart,
};

use super::consents::Consents;

const CLIENT: &str = "chaos-observer";

/// What was seen of one ciphertext of a report.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sealed {
    /// Receipts, by their own digest, that call it folded: more than one are two foldings, for MQTT may deliver one receipt
    /// twice but the same bytes.
    pub(crate) folded: HashSet<Digest>,
    /// Whether a receipt calls it a duplicate.
    pub(crate) duplicate: bool,
    /// Reasons for which receipts refuse it.
    pub(crate) refused: BTreeSet<Reason>,
}

/// What was seen of one release.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    /// Numbers of the meters that contributed.
    pub(crate) set: ContributorSet,
    /// What it says of their reports.
    pub(crate) contributors_digest: Digest,
    pub(crate) answered: bool,
    /// Whether the operator asked for it in parts, because it did not open.
    pub(crate) divided: bool,
    /// Reasons for which the operator refused it.
    pub(crate) refused: BTreeSet<Reason>,
}

impl Release {
    /// Whether the operator could not open it, or found one of its meters in a sum it had opened.
    pub(crate) fn is_not_opened(&self) -> bool {
        let masks = [Reason::NotOpened, Reason::AlreadyOpened];
        self.divided || masks.iter().any(|reason| self.refused.contains(reason))
    }
}

/// A sum's name: feeder, window, part.
pub(crate) type SumName = (FeederId, WindowStart, Part);

#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Ciphertexts of each report.
    pub(crate) reports: HashMap<(MeterId, WindowStart), BTreeMap<Digest, Sealed>>,
    /// The feeder of each meter, after the topic of its reports.
    pub(crate) feeders: HashMap<MeterId, FeederId>,
    /// The number of each meter on its feeder, after the roster.
    pub(crate) numbers: HashMap<MeterId, u32>,
    /// Releases of each sum, by the digest of their bytes.
    pub(crate) releases: BTreeMap<SumName, BTreeMap<Digest, Release>>,
    /// What holders of mask keys consented to.
    pub(crate) consents: Consents,
    /// The last release that was seen for the first time.
    pub(crate) last_release: Option<(SumName, Digest)>,
    pub(crate) newest: Option<WindowStart>,
    /// Messages that could not be read.
    pub(crate) unreadable: u64,
    /// When the last message came.
    pub(crate) last_message: Option<Instant>,
}

impl Seen {
    /// Meter-windows that a receipt called folded or duplicate.
    pub(crate) fn settled(&self) -> u64 {
        self.reports.values().filter(|of| settled(of)).count() as u64
    }

    /// Whether the last release seen for the first time waits for the operator's answer.
    pub(crate) fn awaits_operator(&self) -> bool {
        let last = self.last_release.as_ref();
        let release = last.and_then(|(name, digest)| self.releases.get(name)?.get(digest));
        release.is_some_and(|release| !release.answered)
    }

    /// Records a message; returns whether it is a release seen for the first time.
    pub(crate) fn record(&mut self, topics: &Topics, incoming: &Incoming) -> bool {
        self.last_message = Some(Instant::now());
        let read = match topics.parse(&incoming.topic) {
            Some(Topic::Report { .. }) => self.report(incoming),
            Some(Topic::Receipt { .. }) => self.receipt(incoming),
            Some(Topic::Sum { .. }) => self.sum(incoming),
            Some(Topic::SumReceipt { .. }) => self.sum_receipt(incoming),
            Some(Topic::Roster { .. }) => self.roster(incoming),
            Some(Topic::Ask) => self.consents.ask(incoming).map(|()| false),
            Some(Topic::Consent { .. }) => self.consents.consent(incoming).map(|()| false),
            _ => Ok(false),
        };
        read.unwrap_or_else(|error| {
            tracing::warn!(topic = incoming.topic, %error, "a message that cannot be read");
            self.unreadable += 1;
            false
        })
    }

    fn report(&mut self, incoming: &Incoming) -> Result<bool, wire::WireError> {
        let (report, digest) = opened::<Report>(incoming)?;
        self.newest = self.newest.max(Some(report.window));
        self.feeders.insert(report.meter.clone(), report.feeder);
        self.reports
            .entry((report.meter, report.window))
            .or_default()
            .entry(digest)
            .or_default();
        Ok(false)
    }

    fn receipt(&mut self, incoming: &Incoming) -> Result<bool, wire::WireError> {
        let own = Digest::of(&incoming.payload);
        let receipt = wire::decode_shared::<Receipt>(&incoming.payload, usize::MAX)?;
        for entry in &receipt.claimed().entries {
            let sealed = self
                .reports
                .entry((entry.meter.clone(), entry.window))
                .or_default()
                .entry(entry.digest)
                .or_default();
            match entry.status {
                Status::Folded => {
                    sealed.folded.insert(own);
                }
                Status::Duplicate => sealed.duplicate = true,
                Status::Rejected(reason) => {
                    sealed.refused.insert(reason);
                }
            }
        }
        Ok(false)
    }

    fn sum(&mut self, incoming: &Incoming) -> Result<bool, wire::WireError> {
        let (sum, digest) = opened::<Sum>(incoming)?;
        let name = (sum.feeder, sum.window, sum.part);
        let of = self.releases.entry(name.clone()).or_default();
        let new = !of.contains_key(&digest);
        if new {
            self.last_release = Some((name, digest));
        }
        of.entry(digest).or_insert(Release {
            set: sum.set,
            contributors_digest: sum.contributors_digest,
            answered: false,
            divided: false,
            refused: BTreeSet::new(),
        });
        Ok(new)
    }

    fn roster(&mut self, incoming: &Incoming) -> Result<bool, wire::WireError> {
        let page = wire::decode_shared::<RosterPage>(&incoming.payload, usize::MAX)?;
        let entries = page.claimed().entries.iter();
        let numbers = entries.map(|entry| (entry.meter.clone(), entry.number));
        self.numbers.extend(numbers);
        Ok(false)
    }

    fn sum_receipt(&mut self, incoming: &Incoming) -> Result<bool, wire::WireError> {
        let receipt = wire::decode_shared::<SumReceipt>(&incoming.payload, usize::MAX)?;
        let SumReceipt {
            feeder,
            window,
            part,
            digest,
            status,
            ..
        } = receipt.claimed().clone();
        let release = self
            .releases
            .get_mut(&(feeder, window, part))
            .and_then(|of| of.get_mut(&digest));
        if let Some(release) = release {
            release.answered = true;
            match status {
                SumStatus::Taken | SumStatus::Duplicate => {}
                SumStatus::Divide => release.divided = true,
                SumStatus::Rejected(reason) => {
                    release.refused.insert(reason);
                }
            }
        }
        Ok(false)
    }
}

/// Whether a receipt called one of a report's ciphertexts folded or duplicate.
pub(crate) fn settled(of: &BTreeMap<Digest, Sealed>) -> bool {
    of.values()
        .any(|sealed| !sealed.folded.is_empty() || sealed.duplicate)
}

/// A message and the digest of its limbs. Nobody but the processes of this run publishes, so no signature is checked.
fn opened<M: wire::Message + Clone>(incoming: &Incoming) -> Result<(M, Digest), wire::WireError> {
    let unverified = wire::decode_shared::<M>(&incoming.payload, usize::MAX)?;
    let digest = Digest::of(unverified.claimed_limbs());
    Ok((unverified.claimed().clone(), digest))
}

#[derive(Clone)]
pub(crate) struct Observer {
    seen: Arc<Mutex<Seen>>,
    releases: watch::Receiver<u64>,
}

impl Observer {
    /// Subscribes at the broker of `settings`, also to the receipts of `gateways`, and again whenever it comes back.
    pub(crate) fn start(
        settings: &Settings,
        gateways: &[&GatewayId],
        topics: Topics,
        stop: Stop,
    ) -> Self {
        let mut filters = vec![
            topics.report_filter(),
            topics.sum_filter(),
            topics.sum_receipt_filter(),
            topics.roster_filter(),
            topics.of(&Topic::Ask),
        ];
        filters.extend(topics.holder_filters());
        filters.extend(gateways.iter().map(|gateway| topics.receipt(gateway)));
        let subscriptions = filters.into_iter();
        let subscriptions = subscriptions
            .map(|filter| (filter, QoS::AtLeastOnce))
            .collect();
        let (publisher, inbox) = mqtt::connect(&settings.mqtt, CLIENT, subscriptions, stop);
        let (sender, releases) = watch::channel(0);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let recorded = seen.clone();
        tokio::spawn(async move {
            // The connection closes when its last publisher is dropped.
            let _publisher = publisher;
            record_all(inbox, &topics, &recorded, &sender).await;
        });
        Self { seen, releases }
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts releases seen for the first time.
    pub(crate) fn releases(&self) -> watch::Receiver<u64> {
        self.releases.clone()
    }
}

async fn record_all(
    mut inbox: Inbox,
    topics: &Topics,
    seen: &Mutex<Seen>,
    releases: &watch::Sender<u64>,
) {
    while let Some(event) = inbox.recv().await {
        if let Event::Message(incoming) = event {
            let new = {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.record(topics, &incoming)
            };
            inbox.ack(&incoming);
            if new {
                releases.send_modify(|count| *count += 1);
            }
        }
    }
}
