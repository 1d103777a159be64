//! Readers of totals: what the numbers themselves give away.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use harness::rogue::RogueGateway;
use service::Settings;
use service::config::SourceKind;
use wire::UnixSeconds;

use super::gain::{Gain, energies};
use super::stage::{Ground, Stage, now};

const HOUR: u64 = 3_600;

/// Homes, the last of which is a factory.
const CUSTOMERS: usize = 20;
/// What the factory consumes in an hour, in Wh, and the others at most.
const LARGE: [i64; 4] = [91_000, 140_000, 122_000, 87_000];
const SMALL: i64 = 120;

/// Replays a file with a column for each customer.
fn replay(
    settings: &mut Settings,
    folder: &Path,
    wh: &[Vec<i64>],
    start: UnixSeconds,
) -> Result<()> {
    let mut text = "hour".to_owned();
    for customer in 0..wh.len() {
        write!(text, ",homes-{customer}")?;
    }
    for hour in 0..wh.first().map_or(0, Vec::len) {
        write!(text, "\n{hour}")?;
        for customer in wh {
            write!(text, ",{:.3}", customer[hour] as f64 / 1_000.0)?;
        }
    }
    let file = folder.join("homes.csv");
    std::fs::write(&file, text + "\n")?;
    let fleet = &mut settings.meter;
    fleet.source = SourceKind::Replay;
    fleet.replay = Some(file);
    fleet.replay_start = Some(start);
    // They are of a simulation.
    let defaults = Settings::defaults().meter;
    (fleet.meters, fleet.feeders, fleet.seed) = (defaults.meters, 1, defaults.seed);
    Ok(())
}

fn hourly(settings: &mut Settings, hours: u16) {
    settings.plan.interval = std::time::Duration::from_secs(HOUR);
    settings.plan.batch = hours;
}

/// A total of nineteen homes and a factory is nearly the factory's.
pub(super) async fn large_customer(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((CUSTOMERS as u32, 1), |settings| {
        hourly(settings, LARGE.len() as u16);
        settings.release.dominance_share = 0.5;
    })?;
    let small = |home: usize| (0..4).map(move |hour| (home as i64 * 37 + hour * 11) % SMALL);
    let mut wh: Vec<Vec<i64>> = (1..CUSTOMERS).map(|home| small(home).collect()).collect();
    wh.push(LARGE.to_vec());
    let (folder, first) = (stage.folder.path().to_owned(), stage.first.seconds());
    replay(&mut stage.settings, &folder, &wh, first)?;
    let onlooker = stage.run_all().await?;
    let key = stage.key(stage.first, 0);
    folded(&stage, &onlooker, CUSTOMERS).await?;
    let total = stage.total(&onlooker, &key).await;
    let near = energies(total.as_ref()).is_some_and(|total| {
        let mut pairs = total.iter().zip(LARGE);
        pairs.all(|(total, wh)| (total - wh).abs() * 20 < wh)
    });
    let got = format!("4 readings of the factory, to a twentieth: {LARGE:?}");
    Ok(Gain::of(
        near,
        got,
        "all reports are folded, and the sum is held",
    ))
}

/// Waits until all customers' reports of the first window are in a sum.
async fn folded(
    stage: &Stage,
    onlooker: &harness::rogue::Outsider,
    customers: usize,
) -> Result<()> {
    let folded = onlooker.until("receipts", |seen| {
        let of_first = seen.receipts.keys().filter(|(at, _)| *at == stage.first);
        of_first.count() >= customers
    });
    folded.await
}

/// All but two homes of a group collude, where sums of squares are published.
const COLLUDERS: usize = 48;
/// Hours of a window.
const HOURS: usize = 24;
/// How near both readings are to be found, in Wh, and in how many of the hours.
const NEAR: (i64, usize) = (20, 20);

/// What is needed of a line of `totals.jsonl`.
#[derive(serde::Deserialize)]
struct Line {
    energy_wh: Vec<Option<i64>>,
    std_wh: Option<Vec<Option<i64>>>,
}

/// From the sum and the standard deviation of two unknown readings follow both.
pub(super) async fn squares(ground: Ground) -> Result<Gain> {
    let mut stage = ground.stage((2, 1), |settings| {
        hourly(settings, HOURS as u16);
        settings.plan.layout = packed::layout::Layout::Moments;
    })?;
    // One home has far more than the other: where they are alike, rounding to a watt-hour hides which is which.
    let reading = |home: usize, hour: usize| match home {
        0 => 300 + (hour as i64 * 61) % 300,
        _ => 2_500 + (hour as i64 * 761) % 1_700,
    };
    let wh: Vec<Vec<i64>> = (0..2)
        .map(|home| (0..HOURS).map(|hour| reading(home, hour)).collect())
        .collect();
    let (folder, first) = (stage.folder.path().to_owned(), stage.first.seconds());
    replay(&mut stage.settings, &folder, &wh, first)?;
    stage.run_all().await?;
    let meters = (stage.feeder.clone(), COLLUDERS);
    let colluders = RogueGateway::enrol(&stage.settings, "colluders", meters, now()).await?;
    for meter in 0..COLLUDERS {
        colluders.send(meter, stage.first, None).await?;
    }
    folded(&stage, &colluders.outsider, COLLUDERS + 2).await?;
    let total = stage
        .total(&colluders.outsider, &stage.key(stage.first, 0))
        .await;
    total.context("there is no total of the group")?;
    let text = std::fs::read_to_string(&stage.settings.operator.totals_file)?;
    let line: Line = serde_json::from_str(text.lines().next().context("no line")?)?;
    let stds = line.std_wh.context("no standard deviation")?;
    let both = line.energy_wh.iter().zip(&stds);
    let found: Vec<bool> = both
        .enumerate()
        .map(|(hour, (energy, std))| {
            let mut truth = [wh[0][hour], wh[1][hour]];
            truth.sort_unstable();
            let guess = two(energy.unwrap_or(0) as f64, std.unwrap_or(0) as f64);
            (truth.iter().zip(guess)).all(|(wh, guess)| (*wh as f64 - guess).abs() <= NEAR.0 as f64)
        })
        .collect();
    let found = found.iter().filter(|found| **found).count();
    let got = format!(
        "both homes' readings to {} Wh in {found} of {HOURS} hours",
        NEAR.0
    );
    let met = format!(
        "a coarse standard deviation: both to {} Wh in {found} of {HOURS} hours",
        NEAR.0
    );
    Ok(Gain::of(found >= NEAR.1, got, met))
}

/// Two numbers of which the sum is known, and the standard deviation with the colluders' zeros.
fn two(sum: f64, std: f64) -> [f64; 2] {
    let n = (COLLUDERS + 2) as f64;
    let squares = n * (std * std + (sum / n).powi(2));
    let difference = (2.0 * squares - sum * sum).max(0.0).sqrt();
    [(sum - difference) / 2.0, (sum + difference) / 2.0]
}
