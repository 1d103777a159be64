//! What `bench --peers` says to a peer: a line of JSON for each request, a line for each answer. Both sides have this file;
//! `bench/peers/peers.py` says the same in Python.
//!
//! A peer gets all readings first and sets up its keys, untimed. Then come rounds; in each it does the client's and the
//! server's work for the reports named, and answers with the processor time of every stage. At the end it opens the
//! sum of everything it has added.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Request<'a> {
    /// Make the keys. Readings are in watt-hours, and below the reference, a power of two.
    Prepare {
        readings: Cow<'a, [Vec<i64>]>,
        reference_wh: u64,
    },
    /// Do client's and server's work for these reports, by index, and add them to the sum.
    Round { reports: Cow<'a, [usize]> },
    /// Open the sum.
    Finish,
}

/// The answer to [`Request::Prepare`]: version and parameters.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prepared {
    pub describe: String,
    /// Bytes of the keys that the server multiplies and rotates with.
    #[serde(default)]
    pub keys_bytes: usize,
}

/// The answer to [`Request::Round`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// How many reports' worth of work it was: fewer than asked for where a few stand for the rest.
    pub reports: f64,
    /// Processor time of each stage on the client, in seconds.
    pub client: BTreeMap<String, f64>,
    /// The same on the server.
    pub server: BTreeMap<String, f64>,
    /// Bytes that left the clients.
    pub bytes: usize,
}

/// The answer to [`Request::Finish`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// Sum of each interval, in watt-hours; fewer than a report has where a few stand for the rest.
    pub totals_wh: Vec<f64>,
    /// The reports in it, as often as they were added.
    pub included: Vec<usize>,
}
