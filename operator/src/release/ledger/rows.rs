//! The rows of `releases.redb`.

use redb::{Error, TableDefinition};
use wire::{AnalyticsId, ContributorSet, Digest, FeederId, KeyEpoch, Part, WindowStart};

use crate::release::opening::{Opening, Role, Stage};

/// The sums that were opened. The window comes first, so that those of the same time lie together: a commit touches few pages,
/// whatever the number of feeders.
pub(super) const SUMS: TableDefinition<Key, Row> = TableDefinition::new("sums");

/// Start of the window in Unix seconds, feeder, kind of answer, part.
pub(super) type Key = (u64, &'static str, u8, u16);

/// Key epoch, meters, digest of the limbs, analytics service (empty: not known), stage, the part it replaces, digest of the
/// content, bitmap of the contributors (none: not known).
pub(super) type Row = (
    u32,
    u32,
    &'static [u8; 32],
    &'static str,
    u8,
    Option<u16>,
    &'static [u8; 32],
    Option<&'static [u8]>,
);

/// As [`Row`], of a row that is looked at.
pub(super) type Columns<'a> = (
    u32,
    u32,
    &'a [u8; 32],
    &'a str,
    u8,
    Option<u16>,
    &'a [u8; 32],
    Option<&'a [u8]>,
);

/// Totals. Another kind of answer would spend contributors of its own.
pub(super) const TOTAL: u8 = 0;

/// The rest of an area, which stands in the place of the feeder; those who are in it are in rows of [`TOTAL`].
pub(super) const REST: u8 = 1;

pub(super) fn key(opening: &Opening) -> (u64, &str, u8, u16) {
    let window = opening.window_start.0;
    let kind = match opening.role {
        Role::Whole | Role::Share => TOTAL,
        Role::Rest => REST,
    };
    (window, opening.feeder.as_str(), kind, opening.part.0)
}

pub(super) fn row(opening: &Opening) -> Columns<'_> {
    (
        opening.epoch.0,
        opening.meters,
        &opening.digest.0,
        opening.analytics.as_ref().map_or("", AnalyticsId::as_str),
        opening.stage as u8,
        opening.replaces.map(|part| part.0),
        &opening.content.0,
        opening.set.as_ref().map(ContributorSet::as_bytes),
    )
}

pub(super) fn opening(
    (window, feeder, kind, part): &(u64, &str, u8, u16),
    columns: &Columns<'_>,
) -> Result<Opening, Error> {
    let (epoch, meters, digest, analytics, stage, replaces, content, set) = *columns;
    let set = set.map(ContributorSet::from_bytes).transpose();
    Ok(Opening {
        feeder: feeder_id(feeder)?,
        window_start: WindowStart(*window),
        part: Part(*part),
        epoch: KeyEpoch(epoch),
        meters,
        digest: Digest(*digest),
        analytics: service_id(analytics)?,
        replaces: replaces.map(Part),
        content: Digest(*content),
        set: set.map_err(|error| Error::Corrupted(error.to_string()))?,
        stage: stage_of(stage)?,
        role: match *kind {
            REST => Role::Rest,
            _ => Role::Whole,
        },
    })
}

fn stage_of(number: u8) -> Result<Stage, Error> {
    const STAGES: [Stage; 4] = [Stage::Spent, Stage::Released, Stage::Divided, Stage::Burnt];
    let stage = STAGES.into_iter().find(|stage| *stage as u8 == number);
    stage.ok_or_else(|| Error::Corrupted(format!("{number} is not a stage of an opening")))
}

pub(super) fn service_id(text: &str) -> Result<Option<AnalyticsId>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let id = AnalyticsId::try_from(text);
    id.map(Some)
        .map_err(|error| Error::Corrupted(error.to_string()))
}

pub(super) fn feeder_id(text: &str) -> Result<FeederId, Error> {
    FeederId::try_from(text).map_err(|error| Error::Corrupted(error.to_string()))
}
