//! Reading a file at the start, and seeing that its rows fit each other.

use redb::{ReadTransaction, ReadableTable as _, ReadableTableMetadata as _};
use service::failpoint;
use wire::Digest;

use super::fault::corrupted;
use super::format::{self, ContributorColumns, MeterColumns, Reader};
use super::members::Lookup;
use super::read;
use super::row::columns;
use crate::store::fit::{Fit, has_ciphertext, name};
use crate::store::{Loaded, Stage, SumRow};

/// Gives every sum's row to `each`, in order, and returns the rest. Rows fit each other, as those of every committed
/// transaction do, or the file is damaged. Contributors are only counted as a whole: who is in which sum is seen when that is read.
pub(super) fn load(
    view: &ReadTransaction,
    each: &mut dyn FnMut(SumRow),
) -> Result<Loaded, redb::Error> {
    let sums = view.open_table(format::SUMS)?;
    let limbs = view.open_table(format::LIMBS)?;
    let mut reader = Reader::default();
    let mut fit = Fit::default();
    let mut counts = Counts::default();
    for row in sums.iter()? {
        let (key, row) = row?;
        let row = reader.checked_row(key.value(), row.value())?;
        let has_record = has_ciphertext(&row) && limbs.get(key.value())?.is_some();
        fit.sum(&row, has_record).map_err(corrupted)?;
        counts.sum(&row);
        each(row);
    }
    let mut loaded = Loaded::default();
    for row in view.open_table(format::RELEASES)?.iter()? {
        let (key, row) = row?;
        let key = reader.key(key.value()).map_err(corrupted)?;
        loaded.releases.push((key, Digest(*row.value().0)));
    }
    fit.end(&loaded.releases).map_err(corrupted)?;
    counts.check(view)?;
    for row in view.open_table(format::TIMES)?.iter()? {
        let (feeder, row) = row?;
        let time = columns::<&str, u64>(&feeder.value(), row.value())?;
        let feeder = reader.feeder(feeder.value()).map_err(corrupted)?;
        loaded.times.push((feeder, time));
    }
    loaded.periods = read::periods(view)?;
    Ok(loaded)
}

/// What belongs to the sums seen so far; there must be no more of it in the end.
#[derive(Default)]
struct Counts {
    ciphertexts: u64,
    /// The contributors of these sums: those that must be there, and those that may be, too.
    contributors: (u64, u64),
    /// The sums that have members.
    with_members: u64,
}

impl Counts {
    fn sum(&mut self, row: &SumRow) {
        let contributors = u64::from(row.contributors);
        match row.stage {
            stage if stage.keeps_members() => self.with_members += u64::from(contributors > 0),
            // They leave it when they come again.
            Stage::Divided => self.contributors.1 += contributors,
            _ => self.contributors.0 += contributors,
        }
        self.ciphertexts += u64::from(has_ciphertext(row));
    }

    /// Compares them with what is there, once all sums were seen.
    fn check(&self, view: &ReadTransaction) -> Result<(), redb::Error> {
        if view.open_table(format::LIMBS)?.len()? != self.ciphertexts {
            return Err(corrupted("there are ciphertexts without a sum".to_owned()));
        }
        let contributors = view.open_table(format::CONTRIBUTORS)?.len()?;
        let members = view.open_table(format::MEMBERS)?.len()?;
        let (least, more) = self.contributors;
        let is_whole =
            (least..=least + more).contains(&contributors) && members == self.with_members;
        // Where contributors are not told apart, as in the self-test of `bench chaos`, some are counted that have no row.
        match is_whole || failpoint::sabotaged("dedup") {
            true => Ok(()),
            false => Err(corrupted(format!(
                "{contributors} contributors and the members of {members} sums are there, not {least} and those of {}",
                self.with_members
            ))),
        }
    }
}

/// Counts the contributors of every sum, which must be as many as its row says: `sums` are all, in order.
pub(super) fn count_all(view: &ReadTransaction, sums: &[SumRow]) -> Result<(), redb::Error> {
    let contributors = view.open_table(format::CONTRIBUTORS)?;
    let members = Lookup::in_view(view)?;
    let of_one = |one: &SumRow, other: &SumRow| {
        (&one.key.feeder, one.key.window) == (&other.key.feeder, other.key.window)
    };
    for window in sums.chunk_by(of_one) {
        let mut counts: Vec<u32> = Vec::with_capacity(window.len());
        for row in window {
            counts.push(members.members(&row.key)?.len() as u32);
        }
        let first = &window[0].key;
        for row in contributors.range(format::meters_of(&first.feeder, first.window))? {
            let (key, row) = row?;
            let (part, _, _, _) =
                columns::<MeterColumns, ContributorColumns>(&key.value(), row.value())?;
            match counts.get_mut(usize::from(part)) {
                Some(count) => *count += 1,
                None => return Err(corrupted(format!("{} has a meter too many", name(first)))),
            }
        }
        for (row, count) in window.iter().zip(counts) {
            let lacks = count < row.contributors && row.stage != Stage::Divided;
            if count > row.contributors || (lacks && !failpoint::sabotaged("dedup")) {
                let problem = format!(
                    "{} has {count} meters, not {}",
                    name(&row.key),
                    row.contributors
                );
                return Err(corrupted(problem));
            }
        }
    }
    Ok(())
}
