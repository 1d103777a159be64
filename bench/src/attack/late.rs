//! Meters that report late on purpose, together with a household that is late in earnest.

use anyhow::Result;
use e2e::chaos::serve::Role;
use harness::rogue::RogueGateway;
use wire::{MeterId, Part, Status};

use super::gain::{Gain, energies};
use super::stage::{Ground, now};

const HOMES: u32 = 20;
/// With the household they are a minimum group.
const PATIENT: usize = 14;

/// Fourteen meters wait until a window's total is out, and report when a household does that was away.
pub(super) async fn run(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((HOMES, 1), |_| {})?;
    let onlooker = stage.run_all().await?;
    let window = stage.first;
    let first = stage.key(window, 0);
    let released = onlooker.until("the total of the homes", |seen| {
        seen.totals.contains_key(&first)
    });
    released.await?;

    let meters = (stage.feeder.clone(), PATIENT);
    let patient = RogueGateway::enrol(&stage.settings, "patient", meters, now()).await?;
    let mut away = stage.settings.clone();
    away.meter.gateway = "away".parse()?;
    away.meter.meters = 1;
    away.meter.seed = 7;
    stage.run_as(Role::Meter, "away", &away)?;
    let home = meter::simulated(&away).id_prefix + "-000001";
    let home: MeterId = home.parse()?;
    let is_back = onlooker.until("the household's report", |seen| {
        seen.reports.contains_key(&(window, home.clone()))
    });
    is_back.await?;
    for meter in 0..PATIENT {
        patient.send(meter, window, None).await?;
    }
    let names = patient.names();
    let answered = onlooker.until("receipts", |seen| {
        let mut names = names.iter();
        names.all(|name| seen.receipts.contains_key(&(window, name.clone())))
    });
    answered.await?;

    let truth = stage.truth((&away, &home), window, &onlooker.seen())?;
    let answer = onlooker.seen().receipts[&(window, names[0].clone())];
    if let Status::Rejected(reason) = answer {
        return Ok(Gain::of(false, "", format!("late reports: {reason}")));
    }
    let second = (stage.feeder.clone(), window, Part(1));
    let total = stage.total(&onlooker, &second).await;
    let computed = energies(total.as_ref());
    Ok(Gain::readings(
        computed.as_deref(),
        &truth,
        home,
        "their reports are in a sum",
    ))
}
