//! Is a feeder over its rating, and which feeder is the largest, on customers of a file.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use packed::ADDITIVE_FINE;
use packed::layout::{Encoding, Layout, Shape};
use packed::noise;
use serde::Serialize;
use service::config::Settings;

use super::{Compared, Keys, Masked, Ranked};
use crate::customers::Customers;

/// Groups that the customers are in, one after the other.
const FEEDERS: usize = 3;

/// The first intervals of the file.
const INTERVALS: usize = 4;

/// What was asked of each feeder, and of all.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// Customers of a feeder, at least.
    pub meters: usize,
    /// The rating of each feeder, half way between its least and its greatest sum, in Wh.
    pub ratings_wh: Vec<i64>,
    /// Of each feeder its interval with the greatest sum, then the one with the least.
    pub overload: Vec<Compared>,
    /// The largest feeder of the first interval.
    pub maximum: Ranked,
    /// How long the evaluation keys took to make.
    pub keys_s: f64,
}

/// A group of customers.
#[derive(Default)]
struct Feeder {
    /// Of each customer and interval, in Wh.
    wh: Vec<Vec<i64>>,
    /// The most that they can have consumed in an interval, in Wh.
    most_wh: u64,
}

impl Asked {
    /// Whether every answer is right, or within its margin.
    #[must_use]
    pub fn is_right(&self) -> bool {
        let near = |one: &Compared| one.difference_wh.unsigned_abs() as f64 <= one.error_wh;
        let compared = self
            .overload
            .iter()
            .all(|one| one.value == one.truth || near(one));
        compared && self.maximum.value == self.maximum.truth
    }
}

/// Makes everybody's keys, seals and folds the customers' readings, and asks. Takes a minute or so, and 1.7 GB.
///
/// # Errors
/// The file cannot be read or has too few customers; OpenFHE fails.
pub fn ask(settings: &Settings, file: &Path) -> Result<Asked> {
    let feeders = feeders(settings, file)?;
    let keys = Keys::generate()?;
    let encoding = encoding(&keys, &feeders)?;
    let quantum = encoding.quantum_wh as i64;
    let rounded = |wh: &i64| wh / quantum * quantum;
    let sums = feeders.iter().map(|feeder| {
        let customers = feeder.wh.iter().map(|wh| wh.iter().map(rounded).collect());
        keys.sum(&encoding, &customers.collect::<Vec<_>>())
    });
    let sums: Vec<Masked> = sums.collect::<Result<_>>()?;
    let (mut overload, mut ratings_wh) = (Vec::new(), Vec::new());
    for (feeder, sum) in feeders.iter().zip(&sums) {
        let at = |index: &usize| sum.quanta[*index];
        let greatest = (0..INTERVALS).max_by_key(at).context("no interval")?;
        let least = (0..INTERVALS).min_by_key(at).context("no interval")?;
        let rating = i64::midpoint(at(&greatest), at(&least));
        ratings_wh.push(rating * quantum);
        let bound = feeder.most_wh.div_ceil(encoding.quantum_wh) + rating.unsigned_abs();
        for interval in [greatest, least] {
            overload.push(keys.is_at_least(sum, interval, (rating, bound))?);
        }
    }
    let most = feeders
        .iter()
        .map(|feeder| feeder.most_wh)
        .max()
        .unwrap_or(1);
    let all: Vec<&Masked> = sums.iter().collect();
    Ok(Asked {
        meters: feeders
            .iter()
            .map(|feeder| feeder.wh.len())
            .min()
            .unwrap_or(0),
        ratings_wh,
        overload,
        maximum: keys.largest(&all, 0, most.div_ceil(encoding.quantum_wh))?,
        keys_s: keys.made_in.as_secs_f64(),
    })
}

fn feeders(settings: &Settings, file: &Path) -> Result<Vec<Feeder>> {
    let customers = Customers::of(settings, file, INTERVALS)?;
    ensure!(
        customers.wh.len() >= 15 * FEEDERS,
        "{} has too few customers",
        file.display()
    );
    let mut feeders: Vec<Feeder> = (0..FEEDERS).map(|_| Feeder::default()).collect();
    for (index, (wh, most_wh)) in customers.wh.into_iter().zip(customers.most_wh).enumerate() {
        let feeder = &mut feeders[index % FEEDERS];
        feeder.wh.push(wh);
        feeder.most_wh += most_wh;
    }
    Ok(feeders)
}

/// Units in which the largest reading fits.
fn encoding(keys: &Keys, feeders: &[Feeder]) -> Result<Encoding> {
    let readings = feeders.iter().flat_map(|feeder| feeder.wh.iter().flatten());
    let largest = readings.map(|wh| wh.unsigned_abs()).max().unwrap_or(1);
    let reference_wh = largest.max(2).next_power_of_two();
    let norms = keys.epoch.norms();
    let profile = &ADDITIVE_FINE;
    let quantum_wh = noise::quantum_wh(profile, &norms, reference_wh, profile.max_contributors());
    let shape = Shape::new(Layout::Profile, INTERVALS as u16)?;
    Ok(Encoding::new(
        profile,
        shape,
        reference_wh,
        quantum_wh,
        None,
    )?)
}
