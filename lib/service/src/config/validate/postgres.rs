//! Rules about `[analytics.postgres]`.

use super::{Check, Wrong, positive, require};
use crate::config::Postgres;

pub(super) fn postgres(postgres: &Postgres) -> Check {
    postgres.endpoints().map_err(|problem| Wrong {
        key: "analytics.postgres.address",
        problem,
    })?;
    for (key, name) in [
        ("analytics.postgres.database", &postgres.database),
        ("analytics.postgres.user", &postgres.user),
    ] {
        require(key, !name.is_empty() && !name.contains('\0'), || {
            "expected a name".to_owned()
        })?;
    }
    for (key, duration) in [
        (
            "analytics.postgres.connect_timeout",
            postgres.connect_timeout,
        ),
        (
            "analytics.postgres.statement_timeout",
            postgres.statement_timeout,
        ),
        (
            "analytics.postgres.idle_in_transaction_timeout",
            postgres.idle_in_transaction_timeout,
        ),
    ] {
        positive(key, duration)?;
    }
    Ok(())
}
