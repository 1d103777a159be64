//! The reports: each with its meter's own signature, made before they are due and kept in a file.
//!
//! A row of the file is what a meter signed, without the ciphertext: that is taken from the pool when the report is sent.
//! So the generator at work reads 256 bytes and copies a ciphertext for a report, and encrypts and signs nothing.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use service::trust::HeldPlan;
use wire::{DeploymentId, Report, Sequence, Topics, UnixMillis};

use super::fleet::{Fleet, INTERVAL_S, in_parallel};
use super::pool::Pool;

/// Bytes of a row: the length in two bytes, what was signed, zeros.
const ROW: usize = 256;
/// Rows that are signed at a time.
const CHUNK: u64 = 65_536;

/// Signed reports by row.
#[derive(Debug)]
pub(crate) struct Reports {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) held: Arc<HeldPlan>,
    pub(crate) topics: Topics,
    pool: Pool,
    deployment: DeploymentId,
    /// Of the rows that are prepared; it has no name, and goes with this.
    file: File,
    prepared: Range<u64>,
}

impl Reports {
    /// Reports of `fleet` under the plan, with their file in `folder`.
    pub(crate) fn new(
        fleet: Arc<Fleet>,
        pool: Pool,
        held: Arc<HeldPlan>,
        topics: Topics,
        folder: &Path,
    ) -> Result<Self> {
        Ok(Self {
            fleet,
            deployment: held.plan.deployment.clone(),
            held,
            topics,
            pool,
            file: tempfile::tempfile_in(folder).context("a file for signed reports")?,
            prepared: 0..0,
        })
    }

    /// Signs the reports in these rows, which take the place of those that were prepared before.
    pub(crate) fn prepare(&mut self, rows: Range<u64>) -> Result<()> {
        let mut first = rows.start;
        while first < rows.end {
            let last = rows.end.min(first + CHUNK);
            let mut bytes = vec![0; usize::try_from(last - first)? * ROW];
            in_parallel(&mut bytes, ROW, |index, row| {
                let signed = self.sign(first + index as u64)?;
                let (len, rest) = row.split_first_chunk_mut::<2>().context("a short row")?;
                let fits = signed.len() <= rest.len();
                ensure!(fits, "a report of {} bytes", signed.len());
                *len = (signed.len() as u16).to_le_bytes();
                rest[..signed.len()].copy_from_slice(&signed);
                Ok(())
            })?;
            let at = (first - rows.start) * ROW as u64;
            self.file
                .write_all_at(&bytes, at)
                .context("writing signed reports")?;
            first = last;
        }
        self.prepared = rows;
        Ok(())
    }

    fn sign(&self, row: u64) -> Result<Vec<u8>> {
        let place = self.fleet.place(row);
        let feeder = self.fleet.feeder(place.feeder).clone();
        let meter = self.fleet.meter_id(place.meter)?;
        let plan = &self.held.plan;
        let (Some(setting), Some(epoch)) = (
            plan.feeder(&feeder, place.window),
            plan.epoch_for(place.window),
        ) else {
            bail!("the plan has no {feeder} in window {}", place.window);
        };
        let topic = self.topics.report(&feeder, &meter);
        let report = Report {
            plan_version: setting.since,
            epoch: epoch.epoch,
            feeder,
            meter,
            gateway: self.fleet.gateways[place.gateway as usize].clone(),
            window: place.window,
            sequence: Sequence(row),
            sealed_at: UnixMillis((place.window.0 + u64::from(INTERVAL_S)) * 1000),
            clamped: 0,
            missing: 0,
        };
        let key = self.fleet.meter_key(place.meter);
        let digest = self.pool.of(row).digest;
        let (signed, _) = wire::sign(&report, Some(digest), &self.deployment, &topic, &key);
        Ok(signed)
    }

    /// The topic and the bytes of the report in a row.
    pub(crate) fn message(&self, row: u64) -> Result<(String, Bytes)> {
        ensure!(
            self.prepared.contains(&row),
            "a report that was not prepared"
        );
        let place = self.fleet.place(row);
        let meter = self.fleet.meter_id(place.meter)?;
        let topic = self.topics.report(self.fleet.feeder(place.feeder), &meter);
        let mut bytes = [0; ROW];
        let at = (row - self.prepared.start) * ROW as u64;
        let read = self.file.read_exact_at(&mut bytes, at);
        read.context("reading a prepared report")?;
        let (len, signed) = bytes.split_first_chunk::<2>().context("a short row")?;
        let signed = signed
            .get(..usize::from(u16::from_le_bytes(*len)))
            .context("a report longer than its row")?;
        let limbs = &self.pool.of(row).limbs;
        Ok((topic, wire::envelope(signed, Some(limbs)).into()))
    }

    /// What the report in a row says, in Wh.
    pub(crate) fn reading_wh(&self, row: u64) -> i64 {
        self.pool.of(row).wh
    }

    /// Bytes of a report, about.
    pub(crate) fn bytes(&self) -> usize {
        self.pool.of(0).limbs.len() + ROW
    }
}
