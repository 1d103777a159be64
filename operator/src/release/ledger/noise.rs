//! Noisy totals in `releases.redb`: what they gave away, and the totals themselves.
//!
//! What a total gives away is spent before its noise is drawn, and the total is stored before it leaves, each in a commit: so no noise
//! is drawn that was not paid for, and a total that has left is the one that is stored, whatever is killed in between. Spending
//! is kept by window, so that it counts whatever a period is set to.

mod refused;

use std::collections::BTreeMap;
use std::ops::Range;

use privacy::{Delta, Spent};
use redb::{Error, ReadableDatabase as _, ReadableTable, Table, TableDefinition, WriteTransaction};
use wire::{FeederId, Part, RecipientId, WindowStart};

use super::rows::{SUMS, TOTAL, feeder_id};
use super::{Ledger, LedgerError};
use crate::release::opening::Stage;

/// Start of the window, feeder, part, recipient.
type Key = (u64, &'static str, u16, &'static str);

/// How far a total is, and its line in the recipient's file.
const TOTALS: TableDefinition<Key, (u8, &str)> = TableDefinition::new("noisy_totals");

/// Those whose line may not be in the recipient's file yet.
const UNWRITTEN: TableDefinition<Key, ()> = TableDefinition::new("noisy_totals_unwritten");

/// What was given away of a feeder's window, in billionths of ε and 10⁻¹² of ρ.
const GIVEN: TableDefinition<(&str, u64), (u64, u64)> = TableDefinition::new("given_away");

/// It is paid for; nothing of it is stored.
const SPENT: u8 = 0;
/// It is stored, or that there is none and why.
const DECIDED: u8 = 1;
/// Of a sum that was refused before it was opened: why there is none.
const REFUSED: u8 = 2;

/// Floating point and rounding up may be this much of a budget.
const ROUNDING: f64 = 1e-6;

/// Which noisy total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NoiseKey {
    pub window: WindowStart,
    pub feeder: FeederId,
    pub part: Part,
    pub recipient: RecipientId,
}

impl NoiseKey {
    fn row(&self) -> (u64, &str, u16, &str) {
        (
            self.window.0,
            self.feeder.as_str(),
            self.part.0,
            self.recipient.as_str(),
        )
    }
}

/// What a feeder may give away.
#[derive(Clone, Debug)]
pub(crate) struct NoiseBudget {
    /// Window starts of the period.
    pub period: Range<u64>,
    pub epsilon: f64,
    /// At which ρ is counted as ε.
    pub delta: Option<Delta>,
}

impl NoiseBudget {
    pub(crate) fn left(&self, spent: &Spent) -> f64 {
        self.epsilon * (1.0 + ROUNDING) - spent.epsilon(self.delta)
    }
}

/// A noisy total that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct NoiseAsked {
    pub key: NoiseKey,
    /// What it gives away; none: it is refused, for another reason than the budget.
    pub cost: Option<Spent>,
    /// Holders have added the noise, and paid for it with their consents: it is recorded, and refused no more.
    pub is_consented: bool,
    pub budget: NoiseBudget,
    /// The line that says that there is none.
    pub refusal: String,
}

/// The line of a noisy total.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NoiseLine {
    /// It is paid for, and the noise is to be drawn.
    ToDraw,
    Stored(String),
    /// The recipient was told that there is none, of another sum in its place: it stays so.
    Told,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NoiseGranted {
    pub line: NoiseLine,
    /// What the feeder may still give away in the period.
    pub left: f64,
}

pub(super) fn create(changes: &WriteTransaction) -> Result<(), Error> {
    changes.open_table(TOTALS)?;
    changes.open_table(UNWRITTEN)?;
    changes.open_table(GIVEN)?;
    Ok(())
}

impl Ledger {
    /// Pays for noisy totals, or refuses them, and forgets of those in `written` that they may not be in their files. What was
    /// decided before stays so, and what was paid for is not paid for again.
    ///
    /// # Errors
    /// The ledger could not be written: no noise may be drawn.
    pub(crate) fn pay_for_noise(
        &mut self,
        asked: &[NoiseAsked],
        written: &[NoiseKey],
    ) -> Result<Vec<NoiseGranted>, LedgerError> {
        self.store.with(|database| {
            let mut changes = database.begin_write()?;
            changes.set_quick_repair(true);
            let granted = {
                let mut totals = changes.open_table(TOTALS)?;
                let mut unwritten = changes.open_table(UNWRITTEN)?;
                let mut given = changes.open_table(GIVEN)?;
                for key in written {
                    unwritten.remove(key.row())?;
                }
                let asked = asked.iter().map(|asked| {
                    let line = decide(asked, &mut totals, &mut given)?;
                    let row = asked.key.row();
                    if matches!(line, NoiseLine::Stored(_)) && !written.contains(&asked.key) {
                        unwritten.insert(row, ())?;
                    }
                    let spent = given_away(&given, &asked.key.feeder, &asked.budget.period)?;
                    let left = asked.budget.left(&spent).max(0.0);
                    Ok(NoiseGranted { line, left })
                });
                asked.collect::<Result<Vec<_>, Error>>()?
            };
            changes.commit()?;
            Ok(granted)
        })
    }

    /// Makes noisy totals durable that were paid for, each with its line. One that is there already stays as it is.
    ///
    /// # Errors
    /// The ledger could not be written: none of them may leave.
    pub(crate) fn store_noise(&mut self, lines: &[(NoiseKey, String)]) -> Result<(), LedgerError> {
        self.store.with(|database| {
            let mut changes = database.begin_write()?;
            changes.set_quick_repair(true);
            {
                let mut totals = changes.open_table(TOTALS)?;
                let mut unwritten = changes.open_table(UNWRITTEN)?;
                for (key, line) in lines {
                    let stage = totals.get(key.row())?.map(|row| row.value().0);
                    if stage != Some(SPENT) {
                        let problem = "noise that was not paid for, or is stored already";
                        return Err(Error::Corrupted(problem.to_owned()));
                    }
                    totals.insert(key.row(), (DECIDED, line.as_str()))?;
                    unwritten.insert(key.row(), ())?;
                }
            }
            changes.commit()?;
            Ok(())
        })
    }

    /// The lines that may not be in their files yet, of sums whose exact totals are durable, or that were refused.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn unwritten_noise(&mut self) -> Result<Vec<(NoiseKey, String)>, LedgerError> {
        self.store.with(|database| {
            let view = database.begin_read()?;
            let (totals, sums) = (view.open_table(TOTALS)?, view.open_table(SUMS)?);
            let mut lines = Vec::new();
            for row in view.open_table(UNWRITTEN)?.iter()? {
                let (key, _) = row?;
                let (window, feeder, part, recipient) = key.value();
                let stage = sums.get((window, feeder, TOTAL, part))?;
                let stage = stage.map(|row| row.value().4);
                let Some(line) = totals.get(key.value())? else {
                    continue;
                };
                if stage == Some(Stage::Released as u8) || line.value().0 == REFUSED {
                    let recipient = RecipientId::try_from(recipient);
                    let key = NoiseKey {
                        window: WindowStart(window),
                        feeder: feeder_id(feeder)?,
                        part: Part(part),
                        recipient: recipient
                            .map_err(|error| Error::Corrupted(error.to_string()))?,
                    };
                    lines.push((key, line.value().1.to_owned()));
                }
            }
            Ok(lines)
        })
    }
}

/// The line that is stored, or that the noise is to be drawn.
fn decide(
    asked: &NoiseAsked,
    totals: &mut Table<'_, Key, (u8, &'static str)>,
    given: &mut Table<'_, (&'static str, u64), (u64, u64)>,
) -> Result<NoiseLine, Error> {
    let key = &asked.key;
    if let Some(known) = totals.get(key.row())? {
        let (stage, line) = known.value();
        return Ok(match stage {
            SPENT => NoiseLine::ToDraw,
            REFUSED => NoiseLine::Told,
            _ => NoiseLine::Stored(line.to_owned()),
        });
    }
    let before = given_away(given, &key.feeder, &asked.budget.period)?;
    let cost = asked
        .cost
        .filter(|cost| asked.is_consented || asked.budget.left(&(before + *cost)) >= 0.0);
    let Some(cost) = cost else {
        totals.insert(key.row(), (DECIDED, asked.refusal.as_str()))?;
        return Ok(NoiseLine::Stored(asked.refusal.clone()));
    };
    totals.insert(key.row(), (SPENT, ""))?;
    let place = (key.feeder.as_str(), key.window.0);
    let of_window = given
        .get(place)?
        .map_or_else(Spent::default, |row| spent(row.value()));
    let now = match asked.is_consented {
        // One draw for all recipients, and no household is in two sums of a window.
        true => of_window.or_more(cost),
        false => of_window + cost,
    };
    given.insert(place, (now.epsilon, now.rho))?;
    Ok(NoiseLine::ToDraw)
}

fn given_away(
    given: &impl ReadableTable<(&'static str, u64), (u64, u64)>,
    feeder: &FeederId,
    period: &Range<u64>,
) -> Result<Spent, Error> {
    let feeder = feeder.as_str();
    let rows = given.range((feeder, period.start)..(feeder, period.end))?;
    rows.map(|row| Ok(spent(row?.1.value())))
        .try_fold(Spent::default(), |sum, row: Result<Spent, Error>| {
            Ok(sum + row?)
        })
}

fn spent((epsilon, rho): (u64, u64)) -> Spent {
    Spent { epsilon, rho }
}

/// What was given away of each feeder, window by window.
pub(super) fn given_windows(
    view: &redb::ReadTransaction,
) -> Result<BTreeMap<FeederId, Vec<(u64, Spent)>>, Error> {
    let mut feeders = BTreeMap::<FeederId, Vec<_>>::new();
    for row in view.open_table(GIVEN)?.iter()? {
        let (place, columns) = row?;
        let (feeder, window) = place.value();
        let windows = feeders.entry(feeder_id(feeder)?).or_default();
        windows.push((window, spent(columns.value())));
    }
    Ok(feeders)
}
