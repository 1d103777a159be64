//! Windows that holders answered for, under holders that follow them in what the operator says alone.

use anyhow::{Context as _, Result, anyhow};
use harness::holders::Group;
use harness::rogue::follow;
use service::Settings;
use wire::{Agreement, HolderSet, Plan, PlanVersion};

use super::coalition::{Coalition, HOMES, is_sealed_again, refusing};
use super::gain::Gain;
use super::stage::{Ground, Stage, comes};
use super::streams::{GROUPS, opens};

/// The holders have answered for sixteen homes. The operator's own follow them, from that window on, and nobody has signed that it was
/// closed and never answered for: homes that seal it again do so for the operator.
pub(super) async fn closed_window(ground: Ground) -> Result<Gain> {
    let (mut opened, mut met, mut truth) = (Vec::new(), Vec::new(), Vec::new());
    for group in GROUPS {
        let stage = ground.named(&group.to_string()).stage((HOMES, 1), |_| {})?;
        let gain = play(stage.with_holders(group)?, group).await?;
        match gain {
            (Some(readings), true) => {
                opened.push(group.to_string());
                truth = readings;
            }
            (Some(_), false) => met.push(format!("{group}: what is sealed again does not open")),
            (None, _) => met.push(format!(
                "{group}: the gateway refuses the plan, and seals nothing again"
            )),
        }
    }
    let got = format!(
        "{} readings of a home, to the Wh, under holders of its own after {}: {truth:?}",
        truth.len(),
        opened.join(", ")
    );
    Ok(Gain::of(!opened.is_empty(), got, met.join("; ")))
}

/// What a home entered, if it sealed that again, and whether the coalition reads it.
async fn play(stage: Stage, group: Group) -> Result<(Option<Vec<i64>>, bool)> {
    let mut coalition = Coalition::gather(stage).await?;
    let answered = coalition.masks(0, &coalition.homes, None).await?;
    answered.map_err(|reason| anyhow!("the sum of all homes: {reason}"))?;
    let window = coalition.stage.first;
    // It goes on without its program.
    coalition.stage.end("operator").await?;
    let own = own_holders(&coalition.stage, group)?;
    let plan = {
        let seen = coalition.analytics.outsider.seen();
        let (plan, limbs) = seen.plan.as_ref().context("there is no plan")?;
        let terms = &plan.holders.last().context("no holders")?.terms;
        (followed(plan, follow(terms, &own, window)?), limbs.clone())
    };
    coalition.operator.publish_plan(&plan).await?;
    let home = coalition.homes[0].clone();
    let key = (window, home.clone());
    let outsider = &coalition.analytics.outsider;
    let comes = comes(outsider, |seen| is_sealed_again(seen, window, &home));
    if !refusing(&coalition, comes).await? {
        return Ok((None, false));
    }
    let seen = coalition.analytics.outsider.seen();
    let report = &seen.sealed_again[&key];
    let all = HolderSet::of(0..own.len());
    let readings = opens(&own, &coalition.operator, (&seen, report), all)?;
    let settings = &coalition.stage.settings;
    let truth = (coalition.stage).truth((settings, &home), window, &seen)?;
    let is_read = readings.as_ref() == Some(&truth);
    Ok((Some(truth), is_read))
}

/// Holders that the operator makes, with keys of its own.
fn own_holders(stage: &Stage, group: Group) -> Result<Vec<Settings>> {
    let mut own = stage.settings.clone();
    let state = stage.folder.path().join("coalition");
    std::fs::create_dir_all(&state)?;
    own.deployment.state_dir.clone_from(&state);
    let mut holders = group.set_up(&mut own, &state)?;
    for holder in &mut holders {
        holder
            .holders
            .agreements
            .clone_from(&own.holders.agreements);
    }
    Ok(holders)
}

/// The next plan: with another agreement, and a setting that no report was sealed under yet.
fn followed(plan: &Plan, agreement: Agreement) -> Plan {
    let mut next = plan.clone();
    next.version = PlanVersion(plan.version.0 + 1);
    next.holders.push(agreement);
    for setting in &mut next.feeders {
        setting.since = next.version;
    }
    next
}
