//! A plan and a roster of format 1, which this version cannot go on with: they are set aside, and the first plan of this format
//! goes on from their numbers.
//!
//! Keys, gateways, ledger and totals stay. The new plan has a key epoch of its own, because the old epochs' keys are of another
//! ring, and a higher version than any that was published; everybody enrols again.

use std::io;
use std::path::{Path, PathBuf};

use ciborium::Value;
use wire::{KeyEpoch, Plan, PlanVersion, WireError, Zone};

use super::error::PlanError;
use super::settings::{PlanSettings, agree};
use super::{MAX_PLAN_BYTES, path};
use crate::disk::{self, DiskError};

const PLAN: &str = "plan-1.bin";
const ROSTER: &str = "roster-1";

/// What a plan of format 1 says about where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub version: PlanVersion,
    /// Its newest.
    pub epoch: KeyEpoch,
    /// Length of a window in seconds.
    window_s: u64,
}

impl Earlier {
    /// The ledger stays, and knows a window by its start: one of another length would overlap several that it has.
    ///
    /// # Errors
    /// The windows of `settings` have another length.
    pub(crate) fn check_windows(
        &self,
        settings: &PlanSettings,
        dir: &Path,
    ) -> Result<(), PlanError> {
        let configured = u64::from(settings.interval_s) * u64::from(settings.batch);
        let seconds = |length: u64| format!("{length}s");
        let path = dir.join(PLAN);
        let zone = settings.time_zone.map_or("\"\"", Zone::name);
        agree("plan.time_zone", &zone, &"\"\"", &path)?;
        agree(
            "plan.interval × plan.batch",
            &seconds(configured),
            &seconds(self.window_s),
            &path,
        )
    }
}

/// Renames a plan of format 1 in `dir`, and the roster that belongs to it. The roster first: with the plan in its place
/// the next start does again what a kill left undone.
///
/// # Errors
/// They cannot be read or renamed.
pub(crate) fn set_aside(dir: &Path) -> Result<(), PlanError> {
    let plan = path(dir);
    if !plan.exists() || !is_earlier(&disk::read(&plan, MAX_PLAN_BYTES)?) {
        return Ok(());
    }
    rename(&dir.join("roster"), &dir.join(ROSTER))?;
    rename(&plan, &dir.join(PLAN))?;
    tracing::warn!(
        plan = PLAN, roster = ROSTER, folder = %dir.display(),
        "the stored plan and roster are of format 1 and were set aside under these names: a new plan begins, with new keys. \
         Signing key, ledger, totals and gateways are kept; gateways and analytics services of this version enrol again"
    );
    Ok(())
}

/// Where the plan that was set aside in `dir` ends; `None` if there is none.
///
/// # Errors
/// It cannot be read, or is damaged.
pub(crate) fn set_aside_plan(dir: &Path) -> Result<Option<Earlier>, PlanError> {
    let path = dir.join(PLAN);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = disk::read(&path, MAX_PLAN_BYTES)?;
    let earlier = parse(&bytes).ok_or(PlanError::SetAside { path })?;
    Ok(Some(earlier))
}

/// Whether there is a plan of format 1 in `dir`, set aside or not.
pub(crate) fn is_set_aside(dir: &Path) -> bool {
    dir.join(PLAN).exists()
}

/// Whether bytes are a plan of an earlier format.
pub(super) fn is_earlier(bytes: &[u8]) -> bool {
    let decoded = wire::decode::<Plan>(bytes, bytes.len());
    matches!(decoded, Err(WireError::EarlierVersion { .. }))
}

/// Reads `[[header, {}, payload, signature], keys]` with the payload
/// `[1, deployment, version, interval, batch, layout, profile, min_meters, feeders, epochs, …]`.
fn parse(bytes: &[u8]) -> Option<Earlier> {
    let envelope = ciborium::from_reader::<Value, _>(bytes).ok()?;
    let signed = envelope.as_array()?.first()?.as_array()?;
    let payload = signed.get(2)?.as_bytes()?;
    let plan = ciborium::from_reader::<Value, _>(payload.as_slice()).ok()?;
    let plan = plan.as_array()?;
    let newest = plan.get(9)?.as_array()?.last()?.as_array()?;
    let window_s = number::<u64>(plan.get(3)?)?.checked_mul(number(plan.get(4)?)?)?;
    Some(Earlier {
        window_s,
        version: PlanVersion(number(plan.get(2)?)?),
        epoch: KeyEpoch(number(newest.first()?)?),
    })
}

fn number<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    T::try_from(i128::from(value.as_integer()?)).ok()
}

fn rename(from: &Path, to: &PathBuf) -> Result<(), DiskError> {
    let renamed = std::fs::rename(from, to).and_then(|()| service::files::sync_folder(from));
    match renamed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed.map_err(DiskError::at("rename", from)),
    }
}
