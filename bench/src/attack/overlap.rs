//! Analytics alone, with sums that overlap, so that their totals combine to one household's; or with one sum twice.

use anyhow::Result;
use harness::rogue::{Asked, ciphertext};
use wire::SumStatus;

use super::gain::{Gain, energies};
use super::members::{said, with_reports};
use super::stage::Ground;

/// The smallest group of late reports where the minimum group is 2, and two such groups beside the household.
const GROUP: usize = 20;

/// Three sums, each over enough meters: a group with the household, another group with it, and both groups without it. Half of
/// the first two less the third is the household's.
pub(super) async fn run(ground: Ground) -> Result<Gain> {
    let homes = 2 * GROUP as u32 + 1;
    let mut stage = ground.stage((homes, 1), |settings| {
        settings.set_min_meters(2);
        settings.release.supplement_min_meters = GROUP as u32;
    })?;
    let (analytics, homes) = with_reports(&mut stage).await?;
    let (home, others) = homes.split_at(1);
    let (left, right) = others.split_at(GROUP);
    let sets = [
        [home, left].concat(),
        [home, right].concat(),
        [left, right].concat(),
    ];
    let (window, mut totals, mut met) = (stage.first, Vec::new(), Vec::new());
    let encoding = analytics.encoding(window)?;
    for (part, set) in (0..).zip(&sets) {
        let asked = {
            let seen = analytics.outsider.seen();
            let limbs = |home| {
                seen.reports[&(window, wire::MeterId::clone(home))]
                    .limbs
                    .as_slice()
            };
            Asked {
                window,
                part,
                named: seen.named(window, set),
                limbs: ciphertext::add(&encoding, set.iter().map(limbs))?,
            }
        };
        let answer = analytics.ask(&asked).await?;
        met.push(said(answer));
        if answer == SumStatus::Taken {
            let key = stage.key(window, part);
            let total = stage.total(&analytics.outsider, &key).await;
            totals.extend(energies(total.as_ref()));
        }
    }
    let computed = match &totals[..] {
        [a, b, both] => {
            let sums = a.iter().zip(b).zip(both);
            Some(
                sums.map(|((a, b), both)| (a + b - both) / 2)
                    .collect::<Vec<_>>(),
            )
        }
        _ => None,
    };
    let seen = analytics.outsider.seen();
    let truth = stage.truth((&stage.settings, &home[0]), window, &seen)?;
    let met = format!("the operator: {}", met.join(", "));
    Ok(Gain::readings(computed.as_deref(), &truth, &home[0], met))
}

/// One sum of all homes, in the name of two parts of their window: whoever adds the totals up counts everybody twice.
pub(super) async fn twice(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((GROUP as u32, 1), |settings| {
        settings.set_min_meters(2);
        settings.release.supplement_min_meters = GROUP as u32;
    })?;
    let (analytics, homes) = with_reports(&mut stage).await?;
    let window = stage.first;
    let encoding = analytics.encoding(window)?;
    let mut answers = Vec::new();
    for part in [0, 1] {
        let asked = {
            let seen = analytics.outsider.seen();
            let limbs = |home: &wire::MeterId| &seen.reports[&(window, home.clone())].limbs;
            Asked {
                window,
                part,
                named: seen.named(window, &homes),
                limbs: ciphertext::add(&encoding, homes.iter().map(|home| &limbs(home)[..]))?,
            }
        };
        answers.push(analytics.ask(&asked).await?);
    }
    let met: Vec<_> = answers.iter().map(|answer| said(*answer)).collect();
    let is_twice = answers.iter().all(|answer| *answer == SumStatus::Taken);
    let got = format!("two totals of the same {GROUP} homes and window");
    Ok(Gain::of(
        is_twice,
        got,
        format!("the operator: {}", met.join(", ")),
    ))
}
