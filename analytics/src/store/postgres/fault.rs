//! What the database's errors mean.

use std::io;
use std::path::Path;

use tokio_postgres::Error;

use crate::store::StoreError;

/// Classes of errors that pass: of the connection, transactions that met, no room, an object in use, an operator's hand, the system.
const PASSING: [&str; 6] = ["08", "40", "53", "55", "57", "58"];

/// Errors of other classes that pass: a standby that takes no writes, a day's table that another process dropped or just made.
const PASSING_TOO: [&str; 5] = ["25006", "23514", "23505", "42P07", "25P03"];

/// What an error of the database means to whoever runs this.
pub(super) fn fault(place: &Path, operation: &'static str, error: Error) -> StoreError {
    let path = place.to_owned();
    let Some(refused) = error.as_db_error() else {
        return StoreError::Io {
            operation,
            path,
            source: io::Error::other(error),
        };
    };
    let code = refused.code().code();
    let passes = PASSING.iter().any(|class| code.starts_with(class)) || PASSING_TOO.contains(&code);
    match passes {
        true => StoreError::Io {
            operation,
            path,
            source: io::Error::other(error),
        },
        false => StoreError::Refused {
            path,
            problem: format!("{} (SQLSTATE {code})", refused.message()),
        },
    }
}

/// What was read is not what a store holds.
pub(super) fn corrupt(place: &Path, problem: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        path: place.to_owned(),
        problem: problem.into(),
    }
}
