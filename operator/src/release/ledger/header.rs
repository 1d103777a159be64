//! What `releases.redb` says of itself: its format, and whose it is.

use std::path::Path;

use redb::{Error, ReadTransaction, TableDefinition};
use wire::DeploymentId;

use super::Place;
use super::error::{LedgerError, faulty};

/// Version of the tables. Format 1 was a file of text; `migrate` and its numbered siblings read the earlier ones.
const FORMAT: &str = "4";

/// What the rows mean, as text by name.
pub(super) const META: TableDefinition<&str, &str> = TableDefinition::new("meta");

pub(super) const FORMAT_KEY: &str = "format version";
const DEPLOYMENT_KEY: &str = "deployment";
const OPERATOR_KEY: &str = "operator";

pub(super) fn header_of(deployment: &DeploymentId) -> [(&'static str, &str); 2] {
    [(FORMAT_KEY, FORMAT), (DEPLOYMENT_KEY, deployment.as_str())]
}

pub(super) fn header<'a>(place: &Place<'a>) -> [(&'static str, &'a str); 3] {
    let [format, deployment] = header_of(place.deployment);
    [format, deployment, (OPERATOR_KEY, place.operator)]
}

/// Whether a ledger says that it is of this format.
pub(super) fn is_of_format(view: &ReadTransaction, format: &str) -> Result<bool, Error> {
    let meta = view.open_table(META)?;
    let found = meta.get(FORMAT_KEY)?;
    Ok(found.is_some_and(|found| found.value() == format))
}

pub(super) fn check_header(
    path: &Path,
    view: &ReadTransaction,
    expected: &[(&'static str, &str)],
) -> Result<(), LedgerError> {
    let meta = view.open_table(META).map_err(|error| faulty(path, error))?;
    for &(what, expected) in expected {
        let found = meta.get(what).map_err(|error| faulty(path, error))?;
        let found = found.map_or_else(String::new, |value| value.value().to_owned());
        if found != expected {
            return Err(LedgerError::Header {
                path: path.to_owned(),
                what,
                found,
                expected: expected.to_owned(),
            });
        }
    }
    Ok(())
}
