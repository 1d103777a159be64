//! The operator with questions of its own to holders of mask keys: for sums that differ by a home, of too few, and of meters that it
//! made up.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, ensure};
use harness::holders::Group;
use harness::rogue::{
    Asked, Masked, Observed, RogueAnalytics, RogueGateway, RogueOperator, SeenReport,
};
use packed::RING;
use service::config::Enrolment;
use wire::{
    EpochPlan, KeyEpoch, MeterId, Part, Plan, PlanVersion, Reason, RosterPage, Salt, WindowStart,
};

use super::closings::{is_sealed_again, refusing};
use super::gain::Gain;
use super::members::with_reports;
use super::stage::{Ground, Stage, now};

/// The group that attacks are played with where one is enough.
pub(super) const GROUP: Group = group(2, 4);
/// A minimum group, and one more.
const MINIMUM: u32 = 15;
pub(super) const HOMES: u32 = MINIMUM + 1;
pub(super) const fn group(threshold: u8, holders: u8) -> Group {
    Group { threshold, holders }
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
    async fn masks_again(&self, homes: &[MeterId]) -> Result<Result<Vec<u64>, Reason>> {
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
    fn read(&self, home: &MeterId, masks: Result<Vec<u64>, Reason>) -> Result<Gain> {
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

fn subtract(from_others: &[u64], masks: &mut [u64]) {
    for (mask, other) in masks.iter_mut().zip(from_others) {
        *mask = (*mask + RING.modulus - other) % RING.modulus;
    }
}

/// Sums that differ by one home: asked for at once, as a part, and with a meter that joined later in its place.
pub(super) async fn one_of_a_group(ground: Ground) -> Result<Gain> {
    let stage = ground.stage((HOMES, 1), |_| {})?.with_holders(GROUP)?;
    let coalition = Coalition::gather(stage).await?;
    let all = coalition.masks(0, &coalition.homes, None).await?;
    let all = all.map_err(|reason| anyhow!("the sum of all homes: {reason}"))?;
    let again = coalition.masks(0, &coalition.homes, None).await?;
    ensure!(again.as_ref() == Ok(&all), "another answer to the same");
    let (settings, feeder) = (&coalition.stage.settings, coalition.stage.feeder.clone());
    let later = RogueGateway::enrol(settings, "later", (feeder, 1), now()).await?;
    let (others, one) = coalition.homes.split_at(MINIMUM as usize);
    let mut gains = Vec::new();
    for (what, part, own) in [
        ("at once", 0, None),
        ("as a part", 1, None),
        ("with who joined later", 0, Some(&later)),
    ] {
        let others = coalition.masks(part, others, own).await?;
        let masks = others.map(|others| {
            let mut masks = all.clone();
            subtract(&others, &mut masks);
            masks
        });
        gains.push((what, coalition.read(&one[0], masks)?));
    }
    let other = in_another_epoch(coalition, &all).await?;
    gains.push(("in another epoch", other));
    let met = gains
        .iter()
        .map(|(what, gain)| format!("{what}, {}", gain.met));
    let met = met.collect::<Vec<_>>().join("; ");
    // All of them, or none.
    let got = gains.iter().filter(|(_, gain)| gain.got.is_some()).count();
    ensure!(
        got == 0 || got == gains.len(),
        "{got} of {}: {met}",
        gains.len()
    );
    let got = gains.pop().and_then(|(_, gain)| gain.got);
    Ok(Gain { got, met })
}

/// A key epoch begins with the window that holders have answered for: all homes but one seal it again, and are a sum once more.
async fn in_another_epoch(mut coalition: Coalition, all: &[u64]) -> Result<Gain> {
    let window = coalition.stage.first;
    // It goes on without its program.
    coalition.stage.end("operator").await?;
    let (before, plan) = {
        let seen = coalition.analytics.outsider.seen();
        let before = open((&coalition, &seen), &seen.reports, &coalition.homes, all)?;
        let (plan, limbs) = seen.plan.as_ref().context("there is no plan")?;
        (before, next_epoch(plan, limbs, window)?)
    };
    coalition.operator.publish_plan(&plan).await?;
    let (others, one) = coalition.homes.split_at(MINIMUM as usize);
    let sealed = coalition
        .analytics
        .outsider
        .until("homes to seal a window again", |seen| {
            let mut others = others.iter();
            others.all(|home| is_sealed_again(seen, window, home))
        });
    refusing(&coalition, sealed).await??;
    let masks = coalition.masks_again(others).await?;
    let masks = match masks {
        Ok(masks) => masks,
        Err(reason) => return Ok(Gain::of(false, "", format!("the holders: {reason}"))),
    };
    let seen = coalition.analytics.outsider.seen();
    let rest = open((&coalition, &seen), &seen.sealed_again, others, &masks)?;
    let readings: Vec<i64> = before
        .iter()
        .zip(&rest)
        .map(|(all, rest)| all - rest)
        .collect();
    let stage = &coalition.stage;
    let truth = stage.truth((&stage.settings, &one[0]), window, &seen)?;
    let met = "the two sums are not of the same readings";
    Ok(Gain::readings(Some(&readings), &truth, &one[0], met))
}

/// What these homes' reports of the first window add up to.
fn open(
    (coalition, seen): (&Coalition, &Observed),
    reports: &BTreeMap<(WindowStart, MeterId), SeenReport>,
    homes: &[MeterId],
    masks: &[u64],
) -> Result<Vec<i64>> {
    let window = coalition.stage.first;
    let of = |home: &MeterId| reports.get(&(window, home.clone()));
    let reports: Vec<_> = homes.iter().filter_map(of).collect();
    let opened = coalition.operator.open(seen, &reports, masks)?;
    opened.context("a sum that holders answered for does not open")
}

/// The next plan: with another epoch from a window on, under the key of the one before.
fn next_epoch(plan: &Plan, limbs: &[u8], from: WindowStart) -> Result<(Plan, Vec<u8>)> {
    let mut next = plan.clone();
    next.version = PlanVersion(plan.version.0 + 1);
    let last = plan.epochs.last().context("no key epoch")?;
    let key = plan.public_key(plan.epochs.len() - 1, limbs);
    let key = key.context("no public key")?;
    next.epochs.push(EpochPlan {
        epoch: KeyEpoch(last.epoch.0 + 1),
        first_window: from,
        ..last.clone()
    });
    Ok((next, [limbs, key].concat()))
}

/// A household and a meter of its own, under a plan that allows groups of two.
pub(super) async fn small_group(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((1, 1), |_| {})?.with_holders(GROUP)?;
    // Everybody but the holders goes along.
    stage.settings.set_min_meters(2);
    let coalition = Coalition::gather(stage).await?;
    let (settings, feeder) = (&coalition.stage.settings, coalition.stage.feeder.clone());
    let own = RogueGateway::enrol(settings, "own", (feeder, 1), now()).await?;
    let masks = coalition.masks(0, &coalition.homes, Some(&own)).await?;
    coalition.read(&coalition.homes[0], masks)
}

/// Fourteen meters that no holder countersigned, once holders leave enrolment to a person.
pub(super) async fn invented_fourteen(ground: Ground) -> Result<Gain> {
    let stage = ground.stage((1, 1), |_| {})?.with_holders(GROUP)?;
    let mut coalition = Coalition::gather(stage).await?;
    let mut holders = coalition.stage.holders.clone();
    for holder in &mut holders {
        coalition.stage.end(holder.holder.id.as_str()).await?;
        holder.holder.enrolment = Enrolment::Manual;
    }
    coalition.stage.run_holders(&holders)?;
    let (settings, feeder) = (&coalition.stage.settings, coalition.stage.feeder.clone());
    let invented = (feeder, MINIMUM as usize - 1);
    let invented = RogueGateway::connect(settings, "invented", invented, now())?;
    let page = {
        let seen = coalition.analytics.outsider.seen();
        let known = seen.entries.values().cloned();
        RosterPage {
            version: seen.roster_version + 1,
            page: 0,
            pages: 1,
            entries: known.chain(invented.entries(1)?).collect(),
            countersignatures: Vec::new(),
        }
    };
    coalition.operator.publish_roster(&page).await?;
    let masks = coalition
        .masks(0, &coalition.homes, Some(&invented))
        .await?;
    coalition.read(&coalition.homes[0], masks)
}
