//! Analytics alone, with sums that are not of who they say they are of, or of too few.

use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::chaos::serve::Role;
use harness::rogue::{Asked, RogueAnalytics, ciphertext};
use wire::MeterId;

use super::gain::{Gain, energies};
use super::stage::{Ground, Stage};

const HOMES: u32 = 20;
/// A minimum group.
const NAMED: usize = 15;
/// Longest wait for their reports, and between two looks.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// The services but analytics, which is the attacker, and the homes' reports of their first window.
pub(super) async fn with_reports(stage: &mut Stage) -> Result<(RogueAnalytics, Vec<MeterId>)> {
    stage.run(&[Role::Broker, Role::Operator])?;
    let feeder = stage.feeder.clone();
    let analytics = RogueAnalytics::enrol(&stage.settings, "curious", feeder).await?;
    stage.run(&[Role::Meter])?;
    let (window, homes) = (stage.first, stage.settings.meter.meters as usize);
    let receives = async {
        while analytics.outsider.seen().windows().get(&window) != Some(&homes) {
            analytics.receive(window).await?;
            tokio::time::sleep(LOOK).await;
        }
        anyhow::Ok(())
    };
    let received = tokio::time::timeout(LIMIT, receives).await;
    received.context("waited in vain for the reports of all homes")??;
    let seen = analytics.outsider.seen();
    let reports = seen.reports.keys().filter(|(at, _)| *at == window);
    let homes = reports.map(|(_, home)| home.clone()).collect();
    drop(seen);
    Ok((analytics, homes))
}

/// One report and fourteen encryptions of zero, in the name of fifteen homes.
pub(super) async fn one_as_fifteen(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((HOMES, 1), |_| {})?;
    let (analytics, homes) = with_reports(&mut stage).await?;
    let window = stage.first;
    let encoding = analytics.encoding(window)?;
    let asked = {
        let seen = analytics.outsider.seen();
        let (plan, limbs) = seen.plan.as_ref().context("there is no plan")?;
        let key = plan.public_key(0, limbs).context("there is no key")?;
        let zero = ciphertext::no_energy(&encoding)?;
        let zeros: Vec<Vec<u8>> = (1..NAMED)
            .map(|_| ciphertext::encrypt(key, &encoding, &zero, None))
            .collect::<Result<_>>()?;
        let own = &seen.reports[&(window, homes[0].clone())].limbs;
        let added = zeros.iter().chain([own]).map(Vec::as_slice);
        Asked {
            window,
            part: 0,
            named: seen.named(window, &homes[..NAMED]),
            limbs: ciphertext::add(&encoding, added)?,
        }
    };
    read(&stage, &analytics, &asked, &homes[0]).await
}

/// One report, in its own name.
pub(super) async fn one_alone(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((HOMES, 1), |_| {})?;
    let (analytics, homes) = with_reports(&mut stage).await?;
    let window = stage.first;
    let encoding = analytics.encoding(window)?;
    let asked = {
        let seen = analytics.outsider.seen();
        let own = &seen.reports[&(window, homes[0].clone())].limbs;
        Asked {
            window,
            part: 0,
            named: seen.named(window, &homes[..1]),
            limbs: ciphertext::add(&encoding, [own.as_slice()])?,
        }
    };
    read(&stage, &analytics, &asked, &homes[0]).await
}

/// Has a sum opened, and reads the home's readings in its total.
async fn read(
    stage: &Stage,
    analytics: &RogueAnalytics,
    asked: &Asked,
    home: &MeterId,
) -> Result<Gain> {
    let answer = analytics.ask(asked).await?;
    let total = match answer {
        wire::SumStatus::Taken => {
            let key = stage.key(asked.window, asked.part);
            stage.total(&analytics.outsider, &key).await
        }
        _ => None,
    };
    let seen = analytics.outsider.seen();
    let truth = stage.truth((&stage.settings, home), asked.window, &seen)?;
    let computed = energies(total.as_ref());
    let met = format!("the operator: {}", said(answer));
    Ok(Gain::readings(computed.as_deref(), &truth, home, met))
}

/// What the operator said, in words.
pub(super) fn said(answer: wire::SumStatus) -> String {
    match answer {
        wire::SumStatus::Taken => "taken".to_owned(),
        wire::SumStatus::Duplicate => "duplicate".to_owned(),
        wire::SumStatus::Divide => "did not open, divide it".to_owned(),
        wire::SumStatus::Rejected(reason) => reason.to_string(),
    }
}
