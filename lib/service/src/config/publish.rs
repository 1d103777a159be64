//! `[publish]`: noisy totals for those who publish them.

use std::time::Duration;

use ::release::readers::{ReaderRefused, Reading, may_read};
use serde::{Deserialize, Serialize};
use wire::{FeederId, PrivacyUnit, RecipientId};

use super::access::{Role, TopicPattern};

/// `[publish]`: who gets noisy totals, and how much they may say together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Who gets them.
    pub recipients: Vec<Recipient>,
    /// The most ε of a feeder in a period, over all recipients.
    pub budget_epsilon: f64,
    /// How long a period is, in event time.
    #[serde(with = "humantime_serde")]
    pub budget_period: Duration,
    /// The least meters of a sum of which household-days are published.
    pub household_day_min_meters: u32,
}

/// One of `publish.recipients`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// Its name, in topics and files.
    pub name: RecipientId,
    /// Who it is, if one person or organisation is several recipients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<RecipientId>,
    /// The feeders of which it gets totals; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feeders: Vec<FeederId>,
    /// What ε is about.
    pub unit: PrivacyUnit,
    /// How noise is distributed.
    pub mechanism: PublishMechanism,
    /// The most that a unit gives away.
    pub epsilon: f64,
    /// The chance that it is more. Only with Gaussian noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
}

/// How noise is distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PublishMechanism {
    /// Discrete Laplace.
    Laplace,
    /// Discrete Gaussian.
    Gaussian,
}

impl Recipient {
    /// Who reads it.
    pub fn reader(&self) -> &RecipientId {
        self.reader.as_ref().unwrap_or(&self.name)
    }

    fn reading(&self) -> Reading<'_, FeederId> {
        Reading {
            reader: self.reader().as_str(),
            recipient: Some(self.name.as_str()),
            feeders: &self.feeders,
        }
    }
}

impl Publish {
    /// Whether no reader gets two noises of one interval.
    pub(super) fn check_readers(&self) -> Result<(), ReaderRefused> {
        let readings: Vec<_> = self.recipients.iter().map(Recipient::reading).collect();
        let mut asked = readings.iter().enumerate();
        asked.try_for_each(|(at, reading)| may_read(reading, &readings[..at]))
    }

    /// Whether the client of a broker with this role and id may have what the role can read: not exact totals, if it is a reader
    /// of noisy ones.
    ///
    /// # Errors
    /// It would have both of one feeder.
    pub fn check_client(&self, role: &Role, id: Option<&str>) -> Result<(), ReaderRefused> {
        let Some(reader) = id.filter(|_| reads_exact(role)) else {
            return Ok(());
        };
        let held: Vec<_> = self.recipients.iter().map(Recipient::reading).collect();
        let asked = Reading {
            reader,
            recipient: None,
            feeders: &[],
        };
        may_read(&asked, &held)
    }
}

/// Whether clients of a role can read exact totals.
pub(super) fn reads_exact(role: &Role) -> bool {
    reads(role, "shard/+/feeder/+/total") || reads(role, "shard/+/area/+/total")
}

/// Whether they can read noisy totals.
pub(super) fn reads_noisy(role: &Role) -> bool {
    reads(role, "recipient/+/feeder/+/total")
}

/// Whether one of them can read the noisy totals of another recipient than itself.
pub(super) fn reads_others(role: &Role) -> bool {
    let others = |pattern: &&TopicPattern| !pattern.levels().contains(&super::PatternLevel::Id);
    let mut noisy = role.subscribe.iter().filter(others);
    noisy.any(|pattern| pattern.meets("recipient/+/feeder/+/total"))
}

fn reads(role: &Role, topics: &str) -> bool {
    role.subscribe.iter().any(|pattern| pattern.meets(topics))
}
