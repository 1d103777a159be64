//! The reports: each with its meter's own signature, made before they are due and kept in files.
//!
//! A row of a file is what a meter signed, without the ciphertext: that is taken from the pool when the report is sent.
//! So a run of the generator reads 256 bytes and copies a ciphertext for a report, and encrypts and signs nothing.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use service::plan::HeldPlan;
use std::sync::Arc;
use wire::{DeploymentId, Report, Sequence, Topics, UnixMillis};

use super::cache::Cache;
use super::fleet::{Fleet, INTERVAL_S, in_parallel};
use super::pool::Pool;

/// Bytes of a row: the length in two bytes, what was signed, zeros.
const ROW: usize = 256;
/// Rows of a file, about.
const FILE_ROWS: u64 = 65_536;

/// Signed reports by row.
#[derive(Debug)]
pub(crate) struct Reports {
    fleet: Arc<Fleet>,
    pool: Pool,
    cache: Cache,
    held: Arc<HeldPlan>,
    topics: Topics,
    deployment: DeploymentId,
    file_rows: u64,
    files: Vec<File>,
}

impl Reports {
    /// Reports of `fleet` under the plan.
    pub(crate) fn new(
        fleet: Arc<Fleet>,
        pool: Pool,
        cache: Cache,
        held: Arc<HeldPlan>,
        topics: Topics,
        deployment: DeploymentId,
    ) -> Self {
        let a_feeder = u64::from(fleet.meters_a_feeder());
        Self {
            fleet,
            pool,
            cache,
            held,
            topics,
            deployment,
            file_rows: (FILE_ROWS / a_feeder).max(1) * a_feeder,
            files: Vec::new(),
        }
    }

    /// Sees to it that the rows below `rows` can be read: from the cache, or signed now.
    pub(crate) fn prepare(&mut self, rows: u64) -> Result<()> {
        while (self.files.len() as u64) * self.file_rows < rows {
            let name = format!("reports-{:05}.bin", self.files.len());
            let len = ROW as u64 * self.file_rows;
            if self
                .cache
                .read(&name)?
                .is_none_or(|bytes| bytes.len() as u64 != len)
            {
                tracing::info!(file = name, "signing reports");
                self.cache.write(&name, self.sign_file()?)?;
            }
            let path = self.cache.path(&name);
            let file =
                File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
            self.files.push(file);
        }
        Ok(())
    }

    fn sign_file(&self) -> Result<Vec<u8>> {
        let first = self.files.len() as u64 * self.file_rows;
        let len = usize::try_from(self.file_rows)? * ROW;
        let mut bytes = vec![0; len];
        in_parallel(&mut bytes, ROW, |index, row| {
            let signed = self.sign(first + index as u64)?;
            let (len, rest) = row.split_first_chunk_mut::<2>().context("a short row")?;
            ensure!(
                signed.len() <= rest.len(),
                "a report of {} bytes",
                signed.len()
            );
            *len = (signed.len() as u16).to_le_bytes();
            rest[..signed.len()].copy_from_slice(&signed);
            Ok(())
        })?;
        Ok(bytes)
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
            gateway: self.fleet.gateways()[place.gateway as usize].clone(),
            window: place.window,
            sequence: Sequence(row),
            sealed_at: UnixMillis((place.window.0 + u64::from(INTERVAL_S)) * 1000),
            clamped: 0,
            missing: 0,
        };
        let key = self.fleet.meter_key(place.meter);
        let digest = self.pool.entry(row).digest;
        let (signed, _) = wire::sign(&report, Some(digest), &self.deployment, &topic, &key);
        Ok(signed)
    }

    /// The topic and the bytes of the report in a row.
    pub(crate) fn message(&self, row: u64) -> Result<(String, Bytes)> {
        let place = self.fleet.place(row);
        let meter = self.fleet.meter_id(place.meter)?;
        let topic = self.topics.report(self.fleet.feeder(place.feeder), &meter);
        let file = self.files.get((row / self.file_rows) as usize);
        let mut bytes = [0; ROW];
        file.context("a report that was not prepared")?
            .read_exact_at(&mut bytes, row % self.file_rows * ROW as u64)
            .context("reading a prepared report")?;
        let (len, signed) = bytes.split_first_chunk::<2>().context("a short row")?;
        let signed = signed
            .get(..usize::from(u16::from_le_bytes(*len)))
            .context("a report longer than its row")?;
        let limbs = &self.pool.entry(row).limbs;
        Ok((topic, wire::envelope(signed, Some(limbs)).into()))
    }

    /// What the report in a row says, in Wh.
    pub(crate) fn reading_wh(&self, row: u64) -> i64 {
        self.pool.entry(row).wh
    }

    /// Bytes of a report, about.
    pub(crate) fn bytes(&self) -> usize {
        self.pool.entry(0).limbs.len() + ROW
    }

    /// The fleet.
    pub(crate) fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// The plan.
    pub(crate) fn held(&self) -> &HeldPlan {
        &self.held
    }

    /// The topics.
    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }
}
