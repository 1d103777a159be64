//! Time zones.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::SourceError;

/// A time zone by its IANA name, from the database that is built in: the same on every machine.
pub(crate) fn zone(name: &str) -> Result<TimeZone, SourceError> {
    TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| SourceError::TimeZone {
            name: name.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_zones_are_built_in() {
        assert!(zone("Europe/Berlin").is_ok());
        assert!(zone("UTC").is_ok());
        let error = zone("Mars/Olympus").unwrap_err().to_string();
        assert!(error.contains("Mars/Olympus"), "{error}");
    }
}
