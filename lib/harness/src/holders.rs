//! A group of holders of mask keys, set up and started as their own processes would be.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use holder::setup::{Numbers, noise_terms, together};
use privacy::Guarantee;
use service::config::{PinnedHolder, Settings};
use wire::{MAX_HOLDERS, WindowStart};

/// Replayed readings are of any year.
const KEEP: Duration = Duration::from_secs(200 * 365 * 86_400);

/// How many holders there are, and how many together have every mask key: `2of4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// How many together have every mask key.
    pub threshold: u8,
    /// How many there are.
    pub holders: u8,
    /// What noise they add to every total, if they do.
    pub noise: Option<Guarantee>,
}

impl Group {
    /// How many have to consent: the fewest with which two sums of one meter cannot both have them unless `threshold` holders
    /// consented to both.
    #[must_use]
    pub fn consents(self) -> u8 {
        (self.holders + self.threshold).div_ceil(2)
    }

    /// Gives a deployment in `state` these holders: makes their keys and their agreement, which everybody pins. Returns the settings
    /// of each holder.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn set_up(self, settings: &mut Settings, state: &Path) -> Result<Vec<Settings>> {
        settings.holder.keep = KEEP;
        let floor = &mut settings.holder.min_meters_floor;
        *floor = settings.plan.min_meters.min(*floor);
        let own = |index: u8| {
            let mut own = settings.clone();
            let id = format!("holder-{index}");
            own.holder.id = id.parse().with_context(|| id)?;
            own.holder.metrics_listen = None;
            Ok(own)
        };
        let holders: Vec<Settings> = (1..=self.holders).map(own).collect::<Result<_>>()?;
        let numbers = Numbers {
            threshold: self.threshold,
            consents: self.consents(),
        };
        let noise = self.noise.as_ref();
        let noise = noise.map(|guarantee| noise_terms(guarantee, &settings.publish));
        let agreement = together(&holders, numbers, (WindowStart(0), noise), None)?;
        let file = state.join("holders.agreement");
        std::fs::write(&file, agreement.to_bytes())
            .with_context(|| format!("writing {}", file.display()))?;
        let pinned = agreement.terms.holders.iter().map(|holder| PinnedHolder {
            id: holder.id.clone(),
            key: holder.key,
        });
        let pinned: Vec<_> = pinned.collect();
        let pin = |settings: &mut Settings| {
            settings.holders.pinned = pinned.clone();
            settings.holders.threshold = numbers.threshold;
            settings.holders.consents = numbers.consents;
        };
        pin(settings);
        settings.holders.agreements = vec![file];
        let mut holders = holders;
        holders.iter_mut().for_each(pin);
        Ok(holders)
    }
}

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once("of").and_then(|(threshold, holders)| {
            Some(Self {
                threshold: threshold.parse().ok()?,
                holders: holders.parse().ok()?,
                noise: None,
            })
        });
        let fits = |group: &Self| {
            (2..=MAX_HOLDERS as u8).contains(&group.holders)
                && (2..=group.holders).contains(&group.threshold)
        };
        numbers.filter(fits).ok_or_else(|| {
            format!("expected such as 2of4: how many of 2 to {MAX_HOLDERS} holders have every mask key, at least 2")
        })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}of{}", self.threshold, self.holders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_written_as_it_is_spoken_and_asks_for_as_many_consents_as_is_safe() {
        for (text, consents) in [("2of3", 3), ("2of4", 3), ("3of5", 4), ("2of2", 2)] {
            let group: Group = text.parse().unwrap();
            assert_eq!(
                (group.to_string().as_str(), group.consents()),
                (text, consents)
            );
        }
        for wrong in ["", "2", "1of3", "4of3", "2of6", "of", "-1of2"] {
            assert!(wrong.parse::<Group>().is_err(), "{wrong}");
        }
    }
}
