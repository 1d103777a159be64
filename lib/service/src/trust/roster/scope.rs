//! The roster as far as a process takes it: analytics all of it, a gateway its own meters.

use std::path::Path;
use std::{fs, io};

use wire::{GatewayId, RosterEntry, RosterPage, Topics};

use crate::trust::KeepError;

const WHOLE_CACHE: &str = "roster.pages";
const OWN_CACHE: &str = "own-roster.pages";

/// The files that a roster may be cached in.
pub(crate) const CACHES: [&str; 2] = [WHOLE_CACHE, OWN_CACHE];

/// How much of the roster a process takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RosterScope {
    /// All of it.
    Whole,
    /// The meters of this gateway, from topics of its own.
    Of(GatewayId),
}

impl RosterScope {
    /// The topic filter on which it comes.
    pub fn filter(&self, topics: &Topics) -> String {
        match self {
            Self::Whole => topics.roster_filter(),
            Self::Of(gateway) => topics.own_roster_filter(gateway),
        }
    }

    pub(super) fn topic(&self, topics: &Topics, page: u16) -> String {
        match self {
            Self::Whole => topics.roster(page),
            Self::Of(gateway) => topics.own_roster(gateway, page),
        }
    }

    /// The file that it is cached in.
    pub(super) fn file(&self) -> &'static str {
        match self {
            Self::Whole => WHOLE_CACHE,
            Self::Of(_) => OWN_CACHE,
        }
    }

    /// An entry of a page that is not within it.
    pub(super) fn foreign<'a>(&self, page: &'a RosterPage) -> Option<&'a RosterEntry> {
        match self {
            Self::Whole => None,
            Self::Of(gateway) => page.entries.iter().find(|entry| entry.gateway != *gateway),
        }
    }

    /// Removes from a gateway's folder the roster of everybody, which gateways of earlier versions took.
    pub(super) fn remove_other(&self, folder: &Path) -> Result<(), KeepError> {
        if *self == Self::Whole {
            return Ok(());
        }
        let path = folder.join(WHOLE_CACHE);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(KeepError::Io { path, source })
            }
            _ => Ok(()),
        }
    }
}
