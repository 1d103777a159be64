//! Noisy totals for those who publish them.
//!
//! # Layout
//! - `recipients`: who gets totals of what, from the settings · [`line`]: a noisy total, or why there is none · [`said`]: what its noise is · `published`: all of a sum
//! - `publisher`: paid for, drawn, stored, and only then written and sent

pub(crate) mod line;
pub(crate) mod published;
pub(crate) mod publisher;
pub(crate) mod recipients;
pub(crate) mod said;
