//! Reading all of a file at the start, and seeing that its rows fit each other.

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata as _};
use service::failpoint;
use wire::Digest;

use super::format::{self, Reader};
use super::read::{self, corrupted};
use crate::store::{Loaded, Stage, SumKey, SumRow};

/// Gives every sum's row to `each`, in order, and returns the rest. Rows fit each other, as those of every committed
/// transaction do, or the file is damaged: contributors are counted, not kept.
pub(super) fn load(
    view: &ReadTransaction,
    each: &mut dyn FnMut(SumRow),
) -> Result<Loaded, redb::Error> {
    let sums = view.open_table(format::SUMS)?;
    let contributors = view.open_table(format::CONTRIBUTORS)?;
    let mut check = Check::new(view)?;
    let mut reader = Reader::default();
    let mut meters = 0;
    let mut window: Vec<SumRow> = Vec::new();
    for row in sums.iter()? {
        let (key, columns) = row?;
        let row = reader.row(key.value(), columns.value());
        let row = row.map_err(corrupted)?;
        let last = window.last().map(|last| &last.key);
        if last.is_some_and(|last| (&last.feeder, last.window) != (&row.key.feeder, row.key.window))
        {
            meters += count(&contributors, &window)?;
            window.drain(..).for_each(&mut *each);
        }
        check.sum(&row, window.len())?;
        window.push(row);
    }
    meters += count(&contributors, &window)?;
    window.drain(..).for_each(&mut *each);
    let mut loaded = Loaded {
        releases: check.end()?,
        ..Loaded::default()
    };
    if contributors.len()? != meters {
        return Err(without_a_sum());
    }
    for row in view.open_table(format::TIMES)?.iter()? {
        let (feeder, time) = row?;
        let feeder = reader.feeder(feeder.value()).map_err(corrupted)?;
        loaded.times.push((feeder, time.value()));
    }
    loaded.periods = read::periods(view)?;
    Ok(loaded)
}

/// What belongs to the sums seen so far; there must be no more of it in the end.
struct Check {
    limbs: redb::ReadOnlyTable<format::SumColumns, &'static [u8]>,
    releases: redb::ReadOnlyTable<format::SumColumns, format::ReleaseColumns>,
    ciphertexts: u64,
    released: Vec<(SumKey, Digest)>,
}

impl Check {
    fn new(view: &ReadTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            limbs: view.open_table(format::LIMBS)?,
            releases: view.open_table(format::RELEASES)?,
            ciphertexts: 0,
            released: Vec::new(),
        })
    }

    /// A sum after `parts` others of its window.
    fn sum(&mut self, row: &SumRow, parts: usize) -> Result<(), redb::Error> {
        if usize::from(row.key.part.0) != parts {
            return Err(corrupted(format!("{} is not part {parts}", name(&row.key))));
        }
        let columns = format::key_columns(&row.key);
        let has_limbs = self.limbs.get(columns)?.is_some();
        if matches!(row.stage, Stage::Open | Stage::Held) != has_limbs {
            let problem = format!("{} has no ciphertext, or one too many", name(&row.key));
            return Err(corrupted(problem));
        }
        self.ciphertexts += u64::from(has_limbs);
        let release = self.releases.get(columns)?;
        let release = release.map(|row| Digest(*row.value().0));
        if (row.stage == Stage::Released) != release.is_some() {
            let problem = format!("{} has no release, or one too many", name(&row.key));
            return Err(corrupted(problem));
        }
        let release = release.map(|digest| (row.key.clone(), digest));
        self.released.extend(release);
        Ok(())
    }

    /// The releases, once all sums were seen.
    fn end(self) -> Result<Vec<(SumKey, Digest)>, redb::Error> {
        let there = (self.limbs.len()?, self.releases.len()?);
        match there == (self.ciphertexts, self.released.len() as u64) {
            true => Ok(self.released),
            false => Err(without_a_sum()),
        }
    }
}

/// Counts the contributors of a window, which must be as many as its sums say.
fn count(
    contributors: &impl ReadableTable<format::MeterColumns, format::ContributorColumns>,
    window: &[SumRow],
) -> Result<u64, redb::Error> {
    let Some(first) = window.first() else {
        return Ok(0);
    };
    let mut left: Vec<u32> = window.iter().map(|row| row.contributors).collect();
    let mut meters = 0;
    for row in contributors.range(format::meters_of(&first.key.feeder, first.key.window))? {
        let (_, columns) = row?;
        let part = left.get_mut(usize::from(columns.value().0));
        match part.and_then(|left| left.checked_sub(1).map(|less| (left, less))) {
            Some((left, less)) => *left = less,
            None => {
                return Err(corrupted(format!(
                    "{} has a meter too many",
                    name(&first.key)
                )));
            }
        }
        meters += 1;
    }
    // The contributors of a divided part leave it when they come again. And where contributors are not told apart, as in the
    // self-test of `bench chaos`, some are counted that have no row.
    let lacks = |(left, row): (&u32, &SumRow)| *left > 0 && row.stage != Stage::Divided;
    if left.iter().zip(window).any(lacks) && !failpoint::sabotaged("dedup") {
        return Err(corrupted(format!("{} lacks a meter", name(&first.key))));
    }
    Ok(meters)
}

fn name(key: &SumKey) -> String {
    format!(
        "part {} of window {} of feeder {}",
        key.part, key.window, key.feeder
    )
}

fn without_a_sum() -> redb::Error {
    corrupted("there are rows without a sum".to_owned())
}
