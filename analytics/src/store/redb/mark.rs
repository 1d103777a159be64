//! The marks of a migration in a file.

use std::path::{Path, PathBuf};

use redb::{Database, WriteTransaction};

use super::fault::fault;
use super::overlay::Overlay;
use super::{FileStore, builder, create, format, guarded, meta};
use crate::store::{Mark, Marked, StoreError};

impl FileStore {
    /// The mark of a file that is not to be used, if it is that. Asking changes nothing.
    pub(crate) fn unused(path: &Path) -> Option<Mark> {
        let read = || meta(&builder().create_with_backend(Overlay::open(path)?)?);
        let mark = guarded(read).ok()?.mark;
        mark.filter(|mark| Mark::check(Some(mark), path).is_err())
    }
}

impl Marked for FileStore {
    fn mark(&self) -> Option<&Mark> {
        self.mark.as_ref()
    }

    fn set_mark(&mut self, mark: Option<Mark>, emptied: bool) -> Result<(), StoreError> {
        let database = self.ready()?;
        let path = self.medium.path();
        let is_marked = Mark::check(mark.as_ref(), path).is_err();
        guarded(|| write(&database, mark.as_ref(), is_marked, emptied))
            .map_err(|error| fault(path, "write to", error))?;
        self.database = Some(database);
        self.mark = mark;
        Ok(())
    }

    fn place(&self) -> PathBuf {
        let path = self.medium.path();
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }
}

fn write(
    database: &Database,
    mark: Option<&Mark>,
    is_marked: bool,
    emptied: bool,
) -> Result<(), redb::Error> {
    let mut changes = database.begin_write()?;
    changes.set_quick_repair(true);
    if emptied {
        empty(&changes)?;
    }
    {
        let mut meta = changes.open_table(format::META)?;
        let format = match is_marked {
            true => format::MARKED,
            false => format::FORMAT,
        };
        meta.insert(format::FORMAT_KEY, format)?;
        match mark {
            Some(mark) => drop(meta.insert(format::MARK_KEY, mark.to_string().as_str())?),
            None => drop(meta.remove(format::MARK_KEY)?),
        }
    }
    changes.commit()?;
    Ok(())
}

fn empty(changes: &WriteTransaction) -> Result<(), redb::Error> {
    changes.delete_table(format::SUMS)?;
    changes.delete_table(format::LIMBS)?;
    changes.delete_table(format::CONTRIBUTORS)?;
    changes.delete_table(format::MEMBERS)?;
    changes.delete_table(format::PIECES)?;
    changes.delete_table(format::SEATS)?;
    changes.delete_table(format::RELEASES)?;
    changes.delete_table(format::TIMES)?;
    changes.delete_table(format::BILLS)?;
    create::tables(changes)
}
