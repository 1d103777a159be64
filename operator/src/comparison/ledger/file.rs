//! The file of the ledger: made, opened, and told from one of an earlier version.

use std::path::Path;

use redb::{Database, Error, ReadableDatabase as _, ReadableTable as _, WriteTransaction};
use service::store::{self, Fault};
use wire::DeploymentId;

use super::{
    ASKED, CACHE, COMPARISONS, ComparisonLedger, ComparisonLedgerError, FILE, FORMAT, META,
    REFUSALS, REFUSED, SUMS, WAITING,
};

impl ComparisonLedger {
    /// Opens the ledger, or makes it.
    pub(in crate::comparison) fn open(
        dir: &Path,
        deployment: &DeploymentId,
    ) -> Result<Self, ComparisonLedgerError> {
        let path = dir.join(FILE);
        let unusable = |source| ComparisonLedgerError::Unusable {
            path: path.clone(),
            source,
        };
        let expected = format!("{deployment}, format {FORMAT}");
        if !path.exists() {
            create(&path, &expected).map_err(unusable)?;
        }
        let mut database = store::open(&path, &store::builder(CACHE)).map_err(unusable)?;
        let mut found = whose(&database).map_err(|error| unusable(error.into()))?;
        if found == format!("{deployment}, format 1") {
            let is_empty = is_empty(&database).map_err(|error| unusable(error.into()))?;
            if is_empty {
                drop(database);
                let removed = std::fs::remove_file(&path);
                removed.map_err(|error| unusable(Error::Io(error).into()))?;
                create(&path, &expected).map_err(unusable)?;
                database = store::open(&path, &store::builder(CACHE)).map_err(unusable)?;
                found.clone_from(&expected);
            }
        }
        match found == expected {
            true => Ok(Self { path, database }),
            false => Err(ComparisonLedgerError::Other {
                path,
                found,
                expected,
            }),
        }
    }
}

fn create(path: &Path, whose: &str) -> Result<(), Fault> {
    let fill = |changes: &WriteTransaction| {
        changes.open_table(META)?.insert("whose", whose)?;
        changes.open_table(SUMS)?;
        changes.open_table(ASKED)?;
        changes.open_table(COMPARISONS)?;
        changes.open_table(WAITING)?;
        changes.open_table(REFUSED)?;
        changes.open_table(REFUSALS)?;
        Ok(())
    };
    store::create(path, &store::builder(CACHE), fill)
}

/// Deployment and format.
fn whose(database: &Database) -> Result<String, Error> {
    let meta = database.begin_read()?.open_table(META)?;
    let whose = meta.get("whose")?;
    Ok(whose.map_or_else(String::new, |whose| whose.value().to_owned()))
}

/// Whether nothing was ever asked.
fn is_empty(database: &Database) -> Result<bool, Error> {
    let sums = database.begin_read()?.open_table(SUMS)?;
    Ok(sums.first()?.is_none())
}

#[cfg(test)]
mod tests {
    use super::super::SumKey;
    use super::*;

    fn with_format_1(path: &Path, sums: &[SumKey]) {
        let database = store::builder(CACHE).create(path).unwrap();
        let changes = database.begin_write().unwrap();
        let mut meta = changes.open_table(META).unwrap();
        meta.insert("whose", "grid-1, format 1").unwrap();
        drop(meta);
        let mut table = changes.open_table(SUMS).unwrap();
        for key in sums {
            table.insert(key, (&[0; 32], &[][..])).unwrap();
        }
        drop(table);
        changes.commit().unwrap();
    }

    #[test]
    fn a_record_of_format_1_is_made_anew_if_nothing_was_ever_asked_and_refused_else() {
        let folder = tempfile::tempdir().unwrap();
        let deployment = "grid-1".parse().unwrap();
        let path = folder.path().join(FILE);
        with_format_1(&path, &[]);
        for _ in 0..2 {
            ComparisonLedger::open(folder.path(), &deployment).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
        with_format_1(&path, &[(900, "feeder-1", 0)]);
        let error = ComparisonLedger::open(folder.path(), &deployment).err();
        let error = error.unwrap().to_string();
        assert!(error.contains("is of grid-1, format 1, not of"), "{error}");
    }
}
