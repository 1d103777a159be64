//! A whole group of holders in one process, for tests and demonstrations.

use service::Settings;
use wire::{Agreement, MAX_HOLDERS, NoiseTerms, Terms, WindowStart, WireError};

use super::agree::{accept, assemble, close};
use super::deal::deal;
use super::error::SetupError;
use super::proposal::{Numbers, Wanted, card, propose};
use crate::keys::Folder;

/// Sets up holders, each in the folder of its own settings, as their commands would: makes keys, exchanges them, and makes the
/// agreement. Where it follows one, `after` has its terms and the settings of those of its holders that close it.
///
/// # Errors
/// [`SetupError`].
pub fn together(
    holders: &[Settings],
    numbers: Numbers,
    (from, noise): (WindowStart, Option<NoiseTerms>),
    after: Option<(&Terms, &[Settings])>,
) -> Result<Agreement, SetupError> {
    let made = holders.iter().map(Folder::make);
    let folders: Vec<_> = made.collect::<Result<_, _>>()?;
    let Some(first) = folders.first() else {
        return Err(SetupError::Unreadable {
            what: "a group of nobody",
            cause: WireError::OutOfRange {
                field: "terms.holders",
                value: 0,
                min: 2,
                max: MAX_HOLDERS as i128,
            },
        });
    };
    let cards = folders.iter().map(card).collect();
    let previous = after.map(|(terms, _)| terms.clone());
    let wanted = Wanted {
        numbers,
        from: Some(from),
        noise,
    };
    let proposed = propose(&first.deployment, wanted, previous, cards)?;
    let deals = folders.iter().map(|folder| deal(&proposed, folder));
    let deals: Vec<_> = deals.collect::<Result<_, _>>()?;
    let dealt = proposed.collect(&deals)?;
    let acceptances = folders
        .iter()
        .map(|folder| accept(&proposed, &dealt, folder));
    let acceptances: Vec<_> = acceptances.collect::<Result<_, _>>()?;
    let before = after.map_or(&[][..], |(_, settings)| settings);
    let closing = |settings| close(&dealt, &acceptances, &Folder::open(settings)?);
    let closings: Vec<_> = before.iter().map(closing).collect::<Result<_, _>>()?;
    assemble(&proposed, &dealt, &acceptances, &closings)
}
