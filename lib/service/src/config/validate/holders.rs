//! Holders of mask keys.

use std::collections::BTreeSet;

use super::super::Settings;
use super::{Check, positive, range, require};

pub(super) fn holders(settings: &Settings) -> Check {
    let holders = &settings.holders;
    let names: BTreeSet<_> = holders.pinned.iter().map(|pinned| &pinned.id).collect();
    let keys: BTreeSet<_> = holders.pinned.iter().map(|pinned| pinned.key).collect();
    let n = holders.pinned.len();
    require("holders.pinned", n != 1 && n <= wire::MAX_HOLDERS, || {
        format!(
            "expected none, or 2 to {} holders, and there are {n}",
            wire::MAX_HOLDERS
        )
    })?;
    require(
        "holders.pinned",
        names.len() == n && keys.len() == n,
        || "each holder has a name and a key of its own, and one is there twice".to_owned(),
    )?;
    let most = match n {
        0 => wire::MAX_HOLDERS,
        n => n,
    };
    range("holders.threshold", usize::from(holders.threshold), 2, most)?;
    let least = usize::from(holders.threshold);
    range(
        "holders.consents",
        usize::from(holders.consents),
        least,
        most,
    )?;
    positive("holders.ask_again", holders.ask_again)?;
    range("holders.max_waiting", holders.max_waiting, 1, 1_000_000)?;
    let shown = settings.meter.audit_reports_per_minute;
    range("meter.audit_reports_per_minute", shown, 1, 1_000_000)?;
    let holder = &settings.holder;
    range(
        "holder.min_meters_floor",
        holder.min_meters_floor as usize,
        1,
        u32::MAX as usize,
    )?;
    positive("holder.keep", holder.keep)?;
    let share = holder.audit_share;
    require("holder.audit_share", (0.0..=1.0).contains(&share), || {
        "expected a share from 0, which is none, to 1, which is all".to_owned()
    })?;
    positive("holder.audit_again", holder.audit_again)?;
    positive("holder.audit_wait", holder.audit_wait)
}
