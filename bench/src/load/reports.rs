//! The reports: each with its meter's own mask and signature, made before they are due and kept in a file.
//!
//! A row of the file is what is the report's own: what its meter signed, and the first polynomial of its ciphertext. The other is
//! taken from the pool when the report is sent. So the generator at work reads a row for a report, and encrypts, masks, signs and
//! copies nothing.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use service::trust::HeldPlan;
use wire::Topics;

use super::fleet::{Fleet, in_parallel};
use super::seal::{Sealed, Sealer};

/// Bytes of a row: two lengths in two bytes each, what was signed, the first polynomial, zeros.
const ROW: usize = 768;
/// Rows that are sealed at a time.
const CHUNK: u64 = 65_536;

/// A report as it is published.
pub(crate) struct Message {
    pub(crate) topic: String,
    /// Its own bytes: its envelope up to the second polynomial of the ciphertext.
    pub(crate) before: Vec<u8>,
    /// The second polynomial, which is where the pool has it.
    pub(crate) rest: Bytes,
}

impl Message {
    /// Bytes of the payload.
    pub(crate) fn len(&self) -> usize {
        self.before.len() + self.rest.len()
    }
}

/// Sealed reports by row.
#[derive(Debug)]
pub(crate) struct Reports {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) held: Arc<HeldPlan>,
    pub(crate) topics: Topics,
    sealer: Sealer,
    /// Of the rows that are prepared; it has no name, and goes with this.
    file: File,
    prepared: Range<u64>,
}

impl Reports {
    /// Reports of `fleet` under the plan, with their file in `folder`.
    pub(crate) fn new(
        fleet: Arc<Fleet>,
        sealer: Sealer,
        held: Arc<HeldPlan>,
        topics: Topics,
        folder: &Path,
    ) -> Result<Self> {
        Ok(Self {
            fleet,
            held,
            topics,
            sealer,
            file: tempfile::tempfile_in(folder).context("a file for sealed reports")?,
            prepared: 0..0,
        })
    }

    /// Seals the reports in these rows, which take the place of those that were prepared before.
    pub(crate) fn prepare(&mut self, rows: Range<u64>) -> Result<()> {
        let mut first = rows.start;
        while first < rows.end {
            let last = rows.end.min(first + CHUNK);
            let mut bytes = vec![0; usize::try_from(last - first)? * ROW];
            in_parallel(&mut bytes, ROW, |index, row| {
                write_row(&self.sealer.seal(first + index as u64)?, row)
            })?;
            let at = (first - rows.start) * ROW as u64;
            self.file
                .write_all_at(&bytes, at)
                .context("writing sealed reports")?;
            first = last;
        }
        self.prepared = rows;
        Ok(())
    }

    /// The report in a row.
    pub(crate) fn message(&self, row: u64) -> Result<Message> {
        ensure!(
            self.prepared.contains(&row),
            "a report that was not prepared"
        );
        let place = self.fleet.place(row);
        let meter = self.fleet.meter_id(place.meter)?;
        let feeder = self.fleet.feeder(place.feeder);
        let shard = self.held.plan.shard(feeder);
        let topic = self.topics.report(shard, feeder, &meter);
        let mut bytes = [0; ROW];
        let at = (row - self.prepared.start) * ROW as u64;
        let read = self.file.read_exact_at(&mut bytes, at);
        read.context("reading a prepared report")?;
        let (signed, first) = read_row(&bytes).context("a report longer than its row")?;
        let mut before = wire::envelope_before_limbs(signed, self.sealer.bytes());
        before.extend(first);
        Ok(Message {
            topic,
            before,
            rest: self.sealer.second(row),
        })
    }

    /// What the report in a row says, in Wh.
    pub(crate) fn reading_wh(&self, row: u64) -> i64 {
        self.sealer.reading_wh(row)
    }

    /// Bytes of a report, about.
    pub(crate) fn bytes(&self) -> usize {
        self.sealer.bytes() + SIGNED
    }
}

/// Bytes of what is signed, about.
const SIGNED: usize = 256;

fn write_row(sealed: &Sealed, row: &mut [u8]) -> Result<()> {
    let Sealed { signed, first } = sealed;
    let (lens, rest) = row.split_first_chunk_mut::<4>().context("a short row")?;
    let fits = signed.len() + first.len() <= rest.len();
    ensure!(fits, "a report of {} + {} bytes", signed.len(), first.len());
    lens[..2].copy_from_slice(&(signed.len() as u16).to_le_bytes());
    lens[2..].copy_from_slice(&(first.len() as u16).to_le_bytes());
    rest[..signed.len()].copy_from_slice(signed);
    rest[signed.len()..][..first.len()].copy_from_slice(first);
    Ok(())
}

/// What was signed, and the first polynomial.
fn read_row(row: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([a, b, c, d], rest) = row.split_first_chunk::<4>()?;
    let (signed, rest) = rest.split_at_checked(u16::from_le_bytes([*a, *b]).into())?;
    Some((
        signed,
        rest.get(..usize::from(u16::from_le_bytes([*c, *d])))?,
    ))
}
