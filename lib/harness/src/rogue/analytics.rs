//! An analytics service that is enrolled like any other, and signs what it likes.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use packed::layout::Encoding;
use service::Settings;
use wire::{
    AnalyticsEnrol, AnalyticsId, ContributorSet, Digest, FeederId, GatewayId, MeterId, Part,
    Reason, Receipt, ReceiptEntry, Salt, Settlement, SettlementOutcome, SigningKey, Status, Sum,
    SumStatus, UnixMillis, WindowStart,
};

use super::ciphertext;
use super::observed::Observed;
use super::outsider::Outsider;

/// A sum that it asks the operator to open.
pub struct Asked {
    /// Its window.
    pub window: WindowStart,
    /// Its part.
    pub part: u16,
    /// Who is said to be in it: numbers on the feeder, and salts.
    pub named: Vec<(u32, Salt)>,
    /// Its ciphertext.
    pub limbs: Vec<u8>,
}

/// An analytics service of one feeder.
pub struct RogueAnalytics {
    /// Its connection, and what it saw.
    pub outsider: Outsider,
    feeder: FeederId,
    id: AnalyticsId,
    key: SigningKey,
}

impl RogueAnalytics {
    /// Connects, asks to be put into the plan for all feeders, and waits until it is.
    ///
    /// # Errors
    /// It is not within a minute.
    pub async fn enrol(settings: &Settings, name: &str, feeder: FeederId) -> Result<Self> {
        let rogue = Self::connect(settings, name, feeder)?;
        // Nobody keeps it for an operator that has not subscribed yet.
        let has_plan = rogue.outsider.until("a plan", |seen| seen.plan.is_some());
        has_plan.await?;
        rogue.ask_for(Vec::new()).await?;
        let enrolled = rogue
            .outsider
            .until("analytics to be enrolled", |seen| rogue.is_in(seen));
        enrolled.await?;
        Ok(rogue)
    }

    /// Connects, and asks for nothing yet.
    ///
    /// # Errors
    /// The name is not an id.
    pub fn connect(settings: &Settings, name: &str, feeder: FeederId) -> Result<Self> {
        Ok(Self {
            outsider: Outsider::connect(settings, name)?,
            feeder,
            id: name.parse()?,
            key: SigningKey::generate(),
        })
    }

    /// Connects under a name of its own, with the name and the key of another service.
    ///
    /// # Errors
    /// The name is not an id.
    pub fn thief(
        settings: &Settings,
        name: &str,
        (id, key): (AnalyticsId, SigningKey),
        feeder: FeederId,
    ) -> Result<Self> {
        Ok(Self {
            outsider: Outsider::connect(settings, name)?,
            feeder,
            id,
            key,
        })
    }

    /// Asks to be put into the plan for these feeders; none: all that nobody names.
    ///
    /// # Errors
    /// The request cannot be published.
    pub async fn ask_for(&self, feeders: Vec<FeederId>) -> Result<()> {
        let request = AnalyticsEnrol {
            id: self.id.clone(),
            key: self.key.verifying_key(),
            issued_at: UnixMillis(1),
            feeders,
            pool: None,
        };
        let topic = self.outsider.topics.analytics_enrol(&self.id);
        let deployment = &self.outsider.settings.deployment.id;
        let (bytes, _) = wire::seal(&request, None, deployment, &topic, &self.key);
        self.outsider.publish(&topic, bytes, false).await
    }

    /// Whether a plan has its feeder added by it.
    #[must_use]
    pub fn is_in(&self, seen: &Observed) -> bool {
        let owner = seen.plan.as_ref();
        let owner = owner.and_then(|(plan, _)| plan.owner(&self.feeder));
        owner == Some(&self.id)
    }

    /// How reports of a window are encoded.
    ///
    /// # Errors
    /// There is no plan for the window yet.
    pub fn encoding(&self, window: WindowStart) -> Result<Encoding> {
        let seen = self.outsider.seen();
        let (plan, _) = seen.plan.as_ref().context("there is no plan")?;
        let setting = plan
            .feeder(&self.feeder, window)
            .context("no such feeder")?;
        ciphertext::encoding(plan, setting)
    }

    /// Tells gateways that every report of a window which was seen is in a sum: they send no more before they hear of some.
    ///
    /// # Errors
    /// The receipts cannot be published.
    pub async fn receive(&self, window: WindowStart) -> Result<()> {
        for (gateway, entries) in self.receipts(window) {
            self.tell(gateway, entries, Vec::new()).await?;
        }
        Ok(())
    }

    /// Tells gateways that the first sum of a window failed, and that its reports are of a setting that holds no longer: where their
    /// plan says so too, they seal the readings again. Those that they sealed again are in the next sum.
    ///
    /// # Errors
    /// The receipts cannot be published.
    pub async fn refuse_outdated(&self, window: WindowStart) -> Result<()> {
        let failed = Settlement {
            feeder: self.feeder.clone(),
            window,
            part: Part(0),
            outcome: SettlementOutcome::Wanted,
        };
        let gateways = {
            let seen = self.outsider.seen();
            let outdated = Status::Rejected(Reason::OutdatedConfig);
            let first = seen
                .reports
                .iter()
                .map(|report| (report, outdated, Part(0)));
            let again = seen.sealed_again.iter();
            let again = again.map(|report| (report, Status::Folded, Part(1)));
            let mut gateways: BTreeMap<GatewayId, Vec<ReceiptEntry>> = BTreeMap::new();
            for (((at, meter), report), status, part) in first.chain(again) {
                let of_gateway = gateways.entry(report.report.gateway.clone()).or_default();
                if *at == window {
                    of_gateway.push(ReceiptEntry {
                        meter: meter.clone(),
                        window,
                        digest: Digest::of(&report.limbs),
                        status,
                        part,
                    });
                }
            }
            gateways
        };
        for (gateway, entries) in gateways {
            self.tell(gateway, entries, vec![failed.clone()]).await?;
        }
        Ok(())
    }

    async fn tell(
        &self,
        gateway: GatewayId,
        entries: Vec<ReceiptEntry>,
        settlements: Vec<Settlement>,
    ) -> Result<()> {
        let topic = self.outsider.topics.receipt(&gateway);
        let receipt = Receipt {
            analytics: self.id.clone(),
            gateway,
            entries,
            settlements,
        };
        let deployment = &self.outsider.settings.deployment.id;
        let (bytes, _) = wire::seal(&receipt, None, deployment, &topic, &self.key);
        self.outsider.publish(&topic, bytes, false).await
    }

    /// What each gateway is told of the reports of a window that it has no receipt for.
    fn receipts(&self, window: WindowStart) -> BTreeMap<GatewayId, Vec<ReceiptEntry>> {
        let mut receipts: BTreeMap<GatewayId, Vec<ReceiptEntry>> = BTreeMap::new();
        let observed = self.outsider.seen();
        let is_new =
            |key: &(WindowStart, MeterId)| key.0 == window && !observed.receipts.contains_key(key);
        for ((_, meter), seen) in observed.reports.iter().filter(|(key, _)| is_new(key)) {
            let entry = ReceiptEntry {
                meter: meter.clone(),
                window,
                digest: Digest::of(&seen.limbs),
                status: Status::Folded,
                part: Part(0),
            };
            let of_gateway = receipts.entry(seen.report.gateway.clone()).or_default();
            of_gateway.push(entry);
        }
        receipts
    }

    /// Has a sum opened: signs it, publishes it, and waits for the operator's answer.
    ///
    /// # Errors
    /// None came within a minute.
    pub async fn ask(&self, asked: &Asked) -> Result<SumStatus> {
        let key = (self.feeder.clone(), asked.window, Part(asked.part));
        self.outsider.seen().answers.remove(&key);
        self.present(asked).await?;
        let answered = self.outsider.until("the operator's answer", |seen| {
            seen.answers.contains_key(&key)
        });
        answered.await?;
        let answer = self.outsider.seen().answers.get(&key).copied();
        answer.context("an answer that went again")
    }

    /// Signs a sum and publishes it, and waits for nothing.
    ///
    /// # Errors
    /// There is no plan for its window, or it cannot be published.
    pub async fn present(&self, asked: &Asked) -> Result<()> {
        let sum = self.sum(asked)?;
        let topic = self.outsider.topics.sum(wire::Shard(0), &self.feeder);
        let deployment = &self.outsider.settings.deployment.id;
        let (bytes, _) = wire::seal(&sum, Some(&asked.limbs), deployment, &topic, &self.key);
        self.outsider.publish(&topic, bytes, false).await
    }

    /// Signs a sum, and shows it to nobody: its COSE_Sign1. It may say that it is a part of one that did not open.
    ///
    /// # Errors
    /// There is no plan for its window.
    pub fn sign(&self, asked: &Asked, replaces: Option<Part>) -> Result<Bytes> {
        let sum = Sum {
            replaces,
            ..self.sum(asked)?
        };
        let topic = self.outsider.topics.sum(wire::Shard(0), &self.feeder);
        let deployment = &self.outsider.settings.deployment.id;
        let limbs = Some(Digest::of(&asked.limbs));
        let (signed, _) = wire::sign(&sum, limbs, deployment, &topic, &self.key);
        Ok(signed.into())
    }

    fn sum(&self, asked: &Asked) -> Result<Sum> {
        let mut named = asked.named.clone();
        named.sort_by_key(|(number, _)| *number);
        let seen = self.outsider.seen();
        let (plan, _) = seen.plan.as_ref().context("there is no plan")?;
        let setting = plan.feeder(&self.feeder, asked.window);
        let epoch = plan.epoch_for(asked.window);
        Ok(Sum {
            analytics: self.id.clone(),
            plan_version: setting.context("no such feeder")?.since,
            epoch: epoch.context("no epoch of the window")?.epoch,
            feeder: self.feeder.clone(),
            window: asked.window,
            part: Part(asked.part),
            rest: None,
            replaces: None,
            set: ContributorSet::from_numbers(named.iter().map(|(number, _)| *number))?,
            salts: named.iter().map(|(_, salt)| *salt).collect(),
            oldest_sealed_at: UnixMillis(1),
            newest_sealed_at: UnixMillis(1),
            contributors_digest: Digest([0; 32]),
        })
    }
}
