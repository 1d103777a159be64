//! The operator's keys and an analytics service, who ask holders for sums of homes.

use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::holders::Group;
use harness::rogue::{Asked, Masked, Observed, RogueAnalytics, RogueGateway, RogueOperator};
use packed::RING;
use wire::{MeterId, Part, Reason, Salt, WindowStart};

use super::gain::Gain;
use super::members::with_reports;
use super::stage::Stage;

/// The group that attacks are played with where one is enough.
pub(super) const GROUP: Group = group(2, 4);
/// A minimum group, and one more.
pub(super) const MINIMUM: u32 = 15;
pub(super) const HOMES: u32 = MINIMUM + 1;

/// Between two times that homes are told that their reports are of yesterday.
const AGAIN: Duration = Duration::from_millis(300);

pub(super) const fn group(threshold: u8, holders: u8) -> Group {
    Group {
        threshold,
        holders,
        noise: None,
    }
}

/// A coalition that asks holders: of the operator's keys and an analytics service.
pub(super) struct Coalition {
    pub(super) stage: Stage,
    pub(super) operator: RogueOperator,
    pub(super) analytics: RogueAnalytics,
    pub(super) homes: Vec<MeterId>,
}

impl Coalition {
    pub(super) async fn gather(mut stage: Stage) -> Result<Self> {
        let (analytics, homes) = with_reports(&mut stage).await?;
        let operator = RogueOperator::connect(&stage.settings, "operator-keys")?;
        Ok(Self {
            stage,
            operator,
            analytics,
            homes,
        })
    }

    /// The masks of the holders' streams of a sum of these homes and of meters of its own, which report nothing, without those of
    /// its own. A part is said to replace the one before it.
    pub(super) async fn masks(
        &self,
        part: u16,
        homes: &[MeterId],
        own: Option<&RogueGateway>,
    ) -> Result<Result<Vec<u64>, Reason>> {
        let names = own.map_or_else(Vec::new, RogueGateway::names);
        let outsider = &self.analytics.outsider;
        let known = outsider.until("the roster with its own meters", |seen| {
            names.iter().all(|meter| seen.entries.contains_key(meter))
        });
        known.await?;
        let named = {
            let seen = outsider.seen();
            let mut named = seen.named(self.stage.first, homes);
            for meter in &names {
                let number = seen.entries[meter].number;
                named.push((number, own_salt(number)));
            }
            named
        };
        match (self.ask(part, named).await?, own) {
            (Ok(masks), Some(own)) => self.without_own(masks, own).map(Ok),
            (given, _) => Ok(given),
        }
    }

    /// The same, of what these homes sealed last.
    pub(super) async fn masks_again(&self, homes: &[MeterId]) -> Result<Result<Vec<u64>, Reason>> {
        let named = {
            let seen = self.analytics.outsider.seen();
            let salt = |home: &MeterId| {
                let newest = seen.sealed_again.get(&(self.stage.first, home.clone()))?;
                Some((seen.entries.get(home)?.number, newest.report.salt))
            };
            homes.iter().filter_map(salt).collect()
        };
        self.ask(0, named).await
    }

    async fn ask(&self, part: u16, named: Vec<(u32, Salt)>) -> Result<Result<Vec<u64>, Reason>> {
        let asked = Asked {
            window: self.stage.first,
            part,
            named,
            // Holders never see it.
            limbs: Vec::new(),
        };
        let terms = {
            let seen = self.analytics.outsider.seen();
            let (plan, _) = seen.plan.as_ref().context("there is no plan")?;
            let terms = plan.terms_for(self.stage.first).context("no holders")?;
            terms.clone()
        };
        let sum = (self.analytics).sign(&asked, part.checked_sub(1).map(Part))?;
        let feeder = &self.stage.feeder;
        self.operator.masks(&sum, feeder, &terms).await
    }

    /// The household's masks, from those of the sum of it and of meters of its own.
    fn without_own(&self, mut masks: Vec<u64>, own: &RogueGateway) -> Result<Vec<u64>> {
        let seen = self.analytics.outsider.seen();
        let mut added = vec![0; masks.len()];
        for meter in &own.meters {
            let entry = seen.entries.get(&meter.id).context("no such meter")?;
            let of = (self.stage.first, own_salt(entry.number));
            let masked = Masked::of(&seen, &meter.id, of)?;
            meter.add_streams(&masked, &mut added)?;
        }
        subtract(&added, &mut masks);
        Ok(masks)
    }

    /// What it reads of a home, if these are its masks.
    pub(super) fn read(&self, home: &MeterId, masks: Result<Vec<u64>, Reason>) -> Result<Gain> {
        let seen = self.analytics.outsider.seen();
        let report = seen.reports.get(&(self.stage.first, home.clone()));
        let report = report.context("no report of the home")?;
        let (masks, met) = match masks {
            Ok(masks) => (masks, "they answer, and it does not open".to_owned()),
            Err(reason) => (Vec::new(), format!("the holders: {reason}")),
        };
        let readings = self.operator.open(&seen, &[report], &masks)?;
        let truth = (self.stage).truth((&self.stage.settings, home), self.stage.first, &seen)?;
        Ok(Gain::readings(readings.as_deref(), &truth, home, met))
    }
}

/// What meters of its own are said to have drawn: they report nothing. No two are alike in a sum.
fn own_salt(number: u32) -> Salt {
    Salt(u64::from(number).to_be_bytes())
}

/// Takes masks off others.
pub(super) fn subtract(from_others: &[u64], masks: &mut [u64]) {
    for (mask, other) in masks.iter_mut().zip(from_others) {
        *mask = (*mask + RING.modulus - other) % RING.modulus;
    }
}

/// Whether a home has sealed the first window again.
pub(super) fn is_sealed_again(seen: &Observed, window: WindowStart, home: &MeterId) -> bool {
    seen.sealed_again.contains_key(&(window, home.clone()))
}

/// Tells homes that their reports of the first window are of yesterday, until what they are told it for is there.
pub(super) async fn refusing<T>(
    coalition: &Coalition,
    until: impl Future<Output = T>,
) -> Result<T> {
    let refuses = async {
        loop {
            coalition
                .analytics
                .refuse_outdated(coalition.stage.first)
                .await?;
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        came = until => Ok(came),
        refused = refuses => refused,
    }
}
