//! Seals reports, decrypts them with OpenFHE, and holds their errors against the noise model.
//!
//! ```text
//! cargo run --release -p seal --example decrypts            # a million reports: minutes
//! cargo run --release -p seal --example decrypts -- 20000
//! ```
//!
//! All profiles take turns. A report carries 232 coefficients, any residues. Fails if an error is too large, if the errors are
//! together too large, too small or not distributed as they should be, or if two ciphertexts are alike.

use std::collections::HashSet;
use std::process::ExitCode;
use std::thread;

use openfhe::Context;
use openfhe::secret::{self, SecretKey};
use packed::{Accumulator, Lifted, Profile, RING, noise, sum};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use seal::PublicKey;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Of a report of 96 readings.
const COEFFICIENTS: usize = 232;

/// The greatest of the 232 million errors of a million reports is beyond it once in 70,000 runs.
const LARGEST_SIGMAS: f64 = 7.5;

/// The errors of one profile, in standard deviations of the model.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    second: f64,
    fourth: f64,
    largest: f64,
}

impl Moments {
    fn add(&mut self, error: f64) {
        let square = error * error;
        self.count += 1.0;
        self.second += square;
        self.fourth += square * square;
        self.largest = self.largest.max(error.abs());
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.second += other.second;
        self.fourth += other.fourth;
        self.largest = self.largest.max(other.largest);
    }

    fn deviation(&self) -> f64 {
        (self.second / self.count).sqrt()
    }

    fn kurtosis(&self) -> f64 {
        self.fourth * self.count / (self.second * self.second)
    }
}

/// What a thread found, by profile, and 64 bits of the second polynomial of each report.
#[derive(Default)]
struct Found {
    moments: Vec<Moments>,
    seen: Vec<u64>,
}

/// What lifting a single report takes off each coefficient beside the noise.
///
/// The mean of what a report leaves out is an odd number of halves, and lifting an odd number of reports rounds the last half
/// away, in every residue alike. That of the second polynomial is multiplied by the secret: a constant of the key, and for a
/// single report as large as a tenth of the noise.
fn halves(secret: &SecretKey) -> Result<Vec<f64>, Failure> {
    let ones = Lifted {
        c0: vec![1; COEFFICIENTS],
        c1: vec![1; RING.dimension],
    };
    let opened = secret.open(&ones)?;
    Ok(opened
        .iter()
        .map(|ones| RING.centre(*ones) as f64 / 2.0)
        .collect())
}

fn work(key: &PublicKey, secret: &SecretKey, seed: u64, reports: usize) -> Result<Found, Failure> {
    let profiles = Profile::all();
    let sigmas = profiles
        .iter()
        .map(|profile| noise::sigma(profile, &secret.norms()));
    let sigmas: Vec<f64> = sigmas.collect();
    let mut found = Found {
        moments: vec![Moments::default(); profiles.len()],
        seen: Vec::with_capacity(reports),
    };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut plaintext = vec![0; COEFFICIENTS];
    let mut report = Vec::new();
    let halves = halves(secret)?;
    for turn in (0..profiles.len()).cycle().take(reports) {
        let profile = profiles[turn];
        plaintext.fill_with(|| random.next_u64() % RING.modulus);
        report.clear();
        seal::encrypt(key, profile, &plaintext, &mut report)?;
        let tail = report.last_chunk().ok_or("an empty report")?;
        found.seen.push(u64::from_le_bytes(*tail));
        let mut one = Accumulator::new(profile, COEFFICIENTS);
        one.add(&report)?;
        let lifted = sum::lift(profile, COEFFICIENTS, &one.to_packed(), 1)?;
        for ((opened, entered), half) in secret.open(&lifted)?.iter().zip(&plaintext).zip(&halves) {
            let difference = (opened + RING.modulus - entered) % RING.modulus;
            let error = RING.centre(difference) as f64 + half;
            found.moments[turn].add(error / sigmas[turn]);
        }
    }
    Ok(found)
}

/// What is wrong with the errors of a profile.
fn judge(profile: &Profile, moments: &Moments, sigma: f64) -> Option<String> {
    // What is left out of the first polynomial is uniform, and so a part of the error.
    let uniform = (f64::from(2 * profile.dropped[0]).exp2() - 1.0) / 12.0 / (sigma * sigma);
    let expected = 3.0 - 1.2 * uniform * uniform;
    let (deviation, kurtosis) = (moments.deviation(), moments.kurtosis());
    println!(
        "{profile:<15} {:>11} errors: standard deviation {deviation:.4} of the model's, largest {:.2}, kurtosis {kurtosis:.4} \
         ({expected:.4} expected)",
        moments.count, moments.largest
    );
    let slack = 4.0 * (COEFFICIENTS as f64 / moments.count).sqrt() / 8.0;
    let tail = 0.01 + 8.0 * (24.0 / moments.count).sqrt();
    if moments.largest >= LARGEST_SIGMAS {
        Some(format!(
            "{profile}: an error of {:.2} standard deviations",
            moments.largest
        ))
    } else if (deviation - 1.0).abs() > 0.002 + slack {
        Some(format!("{profile}: the standard deviation is off"))
    } else if (kurtosis - expected).abs() > tail {
        Some(format!(
            "{profile}: the kurtosis is off by more than {tail:.4}"
        ))
    } else {
        None
    }
}

fn run(reports: usize) -> Result<Vec<String>, Failure> {
    let (secret, public) = secret::generate(&Context::new()?)?;
    let key = PublicKey::from_packed(public.as_packed())?;
    let threads = thread::available_parallelism()?.get();
    let found = thread::scope(|scope| {
        let parts = (0..threads).map(|part| {
            let count = reports / threads + usize::from(part < reports % threads);
            let (key, secret) = (&key, &secret);
            scope.spawn(move || work(key, secret, part as u64, count))
        });
        let parts: Vec<_> = parts.collect();
        let ended = parts
            .into_iter()
            .map(|part| part.join().map_err(|_| "a thread panicked")?);
        ended.collect::<Result<Vec<Found>, Failure>>()
    })?;
    let mut wrong = Vec::new();
    for (turn, profile) in Profile::all().iter().enumerate() {
        let mut all = Moments::default();
        found.iter().for_each(|part| all.merge(&part.moments[turn]));
        wrong.extend(judge(profile, &all, noise::sigma(profile, &secret.norms())));
    }
    let seen: HashSet<u64> = found
        .iter()
        .flat_map(|part| part.seen.iter().copied())
        .collect();
    if seen.len() < reports {
        wrong.push(format!(
            "{} ciphertexts end as another does",
            reports - seen.len()
        ));
    }
    Ok(wrong)
}

fn main() -> ExitCode {
    let count = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |count| count.parse());
    let wrong = match count {
        Ok(reports) => run(reports).unwrap_or_else(|error| vec![error.to_string()]),
        Err(error) => vec![format!("the number of reports: {error}")],
    };
    for wrong in &wrong {
        eprintln!("error: {wrong}");
    }
    ExitCode::from(u8::from(!wrong.is_empty()))
}
