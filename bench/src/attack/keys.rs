//! Analytics and meters of its own: coefficients of the secret key, brought into totals that they can predict.

use anyhow::{Context as _, Result};
use e2e::chaos::serve::Role;
use harness::rogue::{Asked, RogueAnalytics, RogueGateway, ciphertext};
use packed::{Lifted, RING, noise};
use wire::{SumStatus, Total, WindowStart};

use super::gain::{Gain, energies};
use super::members::said;
use super::stage::{Ground, Stage, now};

/// Some more than a minimum group: a coefficient of the key that is added to the count of readings is not to hide them.
const METERS: usize = 20;
/// Intervals in a window, each of which gives one coefficient.
const INTERVALS: u16 = 96;
/// Windows after which the way a total is rounded says what the coefficient is.
const WINDOWS: u64 = 16;
/// Coefficients that are to be guessed right; without any knowledge it would be half of them.
const RIGHT: usize = 80;

/// Half a quantum or a multiple of the key: what is added to a sum's two polynomials, as places and values.
type Added = (Vec<(usize, i64)>, Vec<(usize, i64)>);

/// Meters whose readings are 0, and the service that adds them up.
struct Coalition {
    stage: Stage,
    meters: RogueGateway,
    analytics: RogueAnalytics,
}

impl Coalition {
    async fn gather(ground: Ground) -> Result<Self> {
        let mut stage = ground.stage((1, WINDOWS), |settings| settings.plan.batch = INTERVALS)?;
        stage.run(&[Role::Broker, Role::Operator])?;
        let feeder = stage.feeder.clone();
        let analytics = RogueAnalytics::enrol(&stage.settings, "curious", feeder.clone()).await?;
        let meters = RogueGateway::enrol(&stage.settings, "own", (feeder, METERS), now()).await?;
        Ok(Self {
            stage,
            meters,
            analytics,
        })
    }

    /// Has the sum of the meters' reports opened, with something added.
    async fn open(
        &self,
        window: WindowStart,
        (c0, c1): &Added,
    ) -> Result<(SumStatus, Option<Total>)> {
        for meter in 0..METERS {
            self.meters.send(meter, window, None).await?;
        }
        let outsider = &self.analytics.outsider;
        let all = outsider.until("its own reports", |seen| {
            seen.windows().get(&window) == Some(&METERS)
        });
        all.await?;
        let encoding = self.analytics.encoding(window)?;
        let names = self.meters.names();
        let asked = {
            let seen = outsider.seen();
            let reports = seen.reports.iter().filter(|((at, _), _)| *at == window);
            let limbs = reports.map(|(_, report)| report.limbs.as_slice());
            let honest = ciphertext::add(&encoding, limbs)?;
            Asked {
                window,
                part: 0,
                named: seen.named(window, &names),
                limbs: ciphertext::tamper(&encoding, &honest, c0, c1)?,
            }
        };
        let answer = self.analytics.ask(&asked).await?;
        let total = match answer {
            SumStatus::Taken => {
                let key = self.stage.key(window, 0);
                self.stage.total(outsider, &key).await
            }
            _ => None,
        };
        Ok((answer, total))
    }

    /// The first coefficients of the key, to hold the guesses against.
    fn key(&self) -> Result<Vec<i64>> {
        let folder = self.stage.settings.deployment.operator_folder();
        let context = openfhe::Context::new()?;
        let key = openfhe::secret::SecretKey::load(&context, &folder.join("epoch-1.key"))?;
        let mut c1 = vec![0; RING.dimension];
        c1[0] = 1;
        let c0 = vec![0; usize::from(INTERVALS)];
        let residues = key.open(&Lifted { c0, c1 })?;
        Ok(residues.into_iter().map(|word| RING.centre(word)).collect())
    }
}

/// Adds K to c1, which adds K times a coefficient of the key to every total. K is a whole number of every class's units, and whole
/// units are added where a count would be negative or above the contributors.
pub(super) async fn in_totals(ground: Ground) -> Result<Gain> {
    let coalition = Coalition::gather(ground).await?;
    let window = coalition.stage.first;
    let encoding = coalition.analytics.encoding(window)?;
    let one = 1_i64 << encoding.profile.scale_bits;
    let shape = encoding.shape;
    let mut moved: Vec<_> = shape.presence().map(|at| (at, -one)).collect();
    moved.extend(shape.clamped().map(|at| (at, one)));
    let (answer, total) = coalition.open(window, &(moved, vec![(0, one)])).await?;
    let reference = encoding.reference_wh as i64;
    let leaked = energies(total.as_ref());
    let leaked = leaked.map(|wh| wh.iter().map(|wh| wh / reference).collect::<Vec<_>>());
    let got = format!("{INTERVALS} coefficients of the secret key");
    let is_key = leaked == Some(coalition.key()?);
    Ok(Gain::of(
        is_key,
        got,
        format!("the operator: {}", said(answer)),
    ))
}

/// K so small that the zero checks see nothing, and half a quantum on every value: which way a total is rounded depends on a
/// coefficient of the key.
pub(super) async fn in_rounding(ground: Ground) -> Result<Gain> {
    let coalition = Coalition::gather(ground).await?;
    let encoding = coalition.analytics.encoding(coalition.stage.first)?;
    let norms = noise::KeyNorms::expected();
    let sigma = noise::sigma(encoding.profile, &norms) * (METERS as f64).sqrt();
    let unit_bits = encoding.profile.scale_bits + encoding.quantum_wh.ilog2();
    let half = 1_i64 << (unit_bits - encoding.reference_wh.ilog2() - 1);
    let halves = encoding.shape.values().map(|at| (at, half)).collect();
    let added = (halves, vec![(0, (2.0 * sigma) as i64)]);
    let (mut above, mut met) = (vec![0; usize::from(INTERVALS)], None);
    for number in 0..WINDOWS {
        let window = coalition.stage.window(number);
        let (answer, total) = coalition.open(window, &added).await?;
        met = Some(answer);
        if answer != SumStatus::Taken {
            // It looks for who spoils the sum now, and the answers to further ones wait.
            break;
        }
        let Some(energies) = energies(total.as_ref()) else {
            continue;
        };
        for (above, wh) in above.iter_mut().zip(energies) {
            *above += u64::from(wh > 0);
        }
    }
    let guess = |above: &u64| match 4 * above {
        more if more > 3 * WINDOWS => 1,
        fewer if fewer < WINDOWS => -1,
        _ => 0,
    };
    let key = coalition.key()?;
    let pairs = above.iter().zip(&key);
    let right = pairs.filter(|(above, key)| guess(above) == **key).count();
    let got = format!("{right} of {INTERVALS} coefficients of the secret key, guessed right");
    let met = format!("the operator: {}", said(met.context("no window")?));
    Ok(Gain::of(right > RIGHT, got, met))
}
