//! The operator with keys of holders' streams: those of too few holders, and those of holders that it made itself.

use anyhow::{Context as _, Result, ensure};
use e2e::chaos::serve::Role;
use harness::holders::Group;
use harness::rogue::{Masked, Observed, RogueAnalytics, RogueOperator, SeenReport, StreamKeys};
use packed::RING;
use service::Settings;
use wire::HolderSet;

use super::coalition::{GROUP, group};
use super::gain::Gain;
use super::stage::{Ground, comes};

/// Those that `docs/trust.md` has a column of.
pub(super) const GROUPS: [Group; 3] = [group(2, 3), GROUP, group(3, 5)];

/// Everybody's keys but those of enough holders: what they open, and that one holder more opens the report.
pub(super) async fn operator_and_holders(ground: Ground) -> Result<Gain> {
    let (mut opened, mut met, mut truth) = (Vec::new(), Vec::new(), Vec::new());
    for group in GROUPS {
        let stage = ground.named(&group.to_string()).stage((1, 1), |_| {})?;
        let mut stage = stage.with_holders(group)?;
        let onlooker = stage.run_all().await?;
        let first = stage.first;
        let reports = onlooker.until("the household's report", |seen| {
            seen.windows().contains_key(&first)
        });
        reports.await?;
        let operator = RogueOperator::connect(&stage.settings, "operator-keys")?;
        let seen = onlooker.seen();
        let report = seen.reports.values().next().context("no report")?;
        let home = (&stage.settings, &report.report.meter);
        truth = stage.truth(home, first, &seen)?;
        let opens = |together| opens(&stage.holders, &operator, (&seen, report), together);
        let is_truth = |together| anyhow::Ok(opens(together)?.as_ref() == Some(&truth));
        let (threshold, holders) = (usize::from(group.threshold), usize::from(group.holders));
        let fewer: Vec<HolderSet> = HolderSet::all_of(threshold - 1, holders).collect();
        let opening: Vec<bool> = fewer
            .iter()
            .map(|set| is_truth(*set))
            .collect::<Result<_>>()?;
        if opening.contains(&true) {
            opened.push(format!("with {} of {group}", threshold - 1));
            continue;
        }
        for enough in HolderSet::all_of(threshold, holders) {
            let opens = is_truth(enough)?;
            ensure!(opens, "{group}: holders {enough:?} do not open it");
        }
        met.push(format!(
            "{} of {group} open it, {} do not",
            threshold,
            threshold - 1
        ));
    }
    let got = format!(
        "{} readings of the household {}, to the Wh: {truth:?}",
        truth.len(),
        opened.join(", ")
    );
    Ok(Gain::of(!opened.is_empty(), got, met.join("; ")))
}

/// What the operator and these holders read in a report, with all masks that they have, or with the operator's own alone.
pub(super) fn opens(
    holders: &[Settings],
    operator: &RogueOperator,
    (seen, report): (&Observed, &SeenReport),
    together: HolderSet,
) -> Result<Option<Vec<i64>>> {
    let of = (report.report.window, report.report.salt);
    let masked = Masked::of(seen, &report.report.meter, of)?;
    let mut keys = StreamKeys::default();
    for place in together.iter() {
        keys.take_from(&holders[place], masked.terms()?)?;
    }
    let mut masks = vec![0; RING.dimension];
    keys.add(&masked, &mut masks)?;
    let with_masks = operator.open(seen, &[report], &masks)?;
    match with_masks {
        Some(readings) => Ok(Some(readings)),
        None => operator.open(seen, &[report], &[]),
    }
}

/// A plan with holders that the operator made itself, whose keys it has.
pub(super) async fn other_holders(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((1, 1), |_| {})?;
    // Those that are pinned never run: nobody asks them.
    let pinned = stage.folder.path().join("pinned");
    let state = std::mem::replace(&mut stage.settings.deployment.state_dir, pinned);
    stage = stage.with_holders(GROUP)?;
    stage.settings.deployment.state_dir = state.clone();
    std::fs::create_dir_all(&state)?;
    let mut own = stage.settings.clone();
    let holders = GROUP.set_up(&mut own, &state)?;
    stage.run(&[Role::Broker])?;
    stage.run_as(Role::Operator, "operator", &own)?;
    stage.run_holders(&holders)?;
    let analytics = RogueAnalytics::enrol(&own, "curious", stage.feeder.clone()).await?;
    stage.run(&[Role::Meter])?;
    let first = stage.first;
    let outsider = &analytics.outsider;
    comes(outsider, |seen| seen.windows().contains_key(&first)).await;
    let operator = RogueOperator::connect(&own, "operator-keys")?;
    let seen = outsider.seen();
    let Some(report) = seen.reports.values().next() else {
        let met = "the gateway refuses the plan, and seals nothing";
        return Ok(Gain::of(false, "", met));
    };
    let all = HolderSet::of(0..holders.len());
    let readings = opens(&holders, &operator, (&seen, report), all)?;
    let home = &report.report.meter;
    let truth = stage.truth((&stage.settings, home), first, &seen)?;
    let met = "the report does not open";
    Ok(Gain::readings(readings.as_deref(), &truth, home, met))
}
