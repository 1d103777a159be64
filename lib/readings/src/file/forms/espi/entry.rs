//! One entry of a feed.

use super::address::{path, through};
use super::reading_type::ReadingType;

/// One entry of the feed, with what is looked at.
#[derive(Default)]
pub(super) struct Entry {
    myself: Option<String>,
    up: Option<String>,
    pub(super) related: Vec<String>,
    pub(super) reading_type: Option<ReadingType>,
    /// Line of its first `IntervalBlock`.
    pub(super) line: Option<u64>,
    pub(super) readings: Vec<Reading>,
}

pub(super) struct Reading {
    pub(super) line: u64,
    pub(super) start: u64,
    pub(super) duration: u32,
    pub(super) value: Option<String>,
}

impl Entry {
    pub(super) fn link(&mut self, rel: &str, href: &str) {
        let href = path(href);
        match rel {
            "self" => self.myself = Some(href),
            "up" => self.up = Some(href),
            "related" => self.related.push(href),
            _ => {}
        }
    }

    /// The part of its address that ends with the id of a resource.
    pub(super) fn address(&self, resource: &str) -> Option<&str> {
        let addresses = self.myself.iter().chain(&self.up);
        addresses
            .into_iter()
            .find_map(|href| through(href, resource))
    }
}
