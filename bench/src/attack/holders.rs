//! The operator with questions of its own to holders of mask keys: for sums that differ by a home, of too few, and of meters that it
//! made up.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, ensure};
use harness::rogue::{Observed, RogueGateway, SeenReport};
use service::config::Enrolment;
use wire::{EpochPlan, KeyEpoch, MeterId, Plan, PlanVersion, RosterPage, WindowStart};

use super::coalition::{Coalition, GROUP, HOMES, MINIMUM, is_sealed_again, refusing, subtract};
use super::gain::Gain;
use super::stage::{Ground, now};

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
