//! `analytics inspect`: what a store holds, for people and for programs.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use service::Settings;
use service::config::StoreKind;
use wire::{FeederId, KeyEpoch, MeterId, Part, PlanVersion, Salt, WindowStart};

use crate::pipeline::store_path;
use crate::store::{ContributorRow, Inspection, KeptMember, StoreError, SumKey, SumRow, TableUse};

mod text;
use text::{stage, table, utc};

/// What goes to the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A table, for people.
    Table,
    /// One JSON object.
    Json,
}

/// Why nothing, or not all, was shown.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is no file.
    #[error(
        "the sums are in a database (`analytics.store` = \"postgres\"), which is read with its own tools; of a file, give its name"
    )]
    NoFile,
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// The output cannot be written as JSON.
    #[error("cannot write the output")]
    Json(#[from] serde_json::Error),
}

/// The file to be shown: the one that is named, or that of the settings.
///
/// # Errors
/// [`InspectError::NoFile`] where the sums are in a database.
pub fn file(named: Option<&Path>, settings: &Settings) -> Result<PathBuf, InspectError> {
    match (named, settings.analytics.store) {
        (Some(file), _) => Ok(file.to_owned()),
        (None, StoreKind::File) => Ok(store_path(settings)),
        (None, StoreKind::Postgres) => Err(InspectError::NoFile),
    }
}

/// Lists every sum that is committed to the store in `path`, and with `contributors` the meters in each with the digests of their
/// reports. The file is not changed.
///
/// # Errors
/// [`InspectError`] where the store cannot be read or `out` cannot be written.
pub fn inspect(
    path: &Path,
    form: Form,
    contributors: bool,
    out: &mut impl Write,
) -> Result<(), InspectError> {
    let inspection = Inspection::of(path, contributors)?;
    let listing = Listing::of(&inspection, contributors);
    match form {
        Form::Json => {
            serde_json::to_writer_pretty(&mut *out, &listing)?;
            writeln!(out)?;
        }
        Form::Table => listing.tables(out)?,
    }
    Ok(out.flush()?)
}

/// The whole store.
#[derive(Debug, Serialize)]
struct Listing<'a> {
    format: &'a str,
    deployment: &'a str,
    layout: Option<&'a str>,
    grid: Option<&'a str>,
    commits: u64,
    tables: &'a [TableUse],
    feeders: Vec<FeederLine<'a>>,
    sums: Vec<SumLine<'a>>,
}

/// A feeder and how far its meters have come.
#[derive(Debug, Serialize)]
struct FeederLine<'a> {
    feeder: &'a FeederId,
    /// Unix seconds.
    time: u64,
}

/// A sum.
#[derive(Debug, Serialize)]
struct SumLine<'a> {
    feeder: &'a FeederId,
    window_start: WindowStart,
    part: Part,
    stage: &'static str,
    contributors: u32,
    epoch: KeyEpoch,
    plan_version: PlanVersion,
    profile: &'static str,
    /// The part it is one of the replacements of.
    replaces: Option<Part>,
    /// Digest of the release that awaits the operator's receipt.
    release: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meters: Option<Vec<MeterLine<'a>>>,
}

/// A contributor.
#[derive(Debug, Serialize)]
struct MeterLine<'a> {
    meter: &'a MeterId,
    /// Forgotten once the sum keeps members only.
    number: Option<u32>,
    /// Forgotten with it.
    salt: Option<Salt>,
    /// Of such sums, its start.
    digest: String,
}

impl<'a> Listing<'a> {
    fn of(inspection: &'a Inspection, contributors: bool) -> Self {
        let mut meters: HashMap<&SumKey, Vec<MeterLine<'_>>> = HashMap::new();
        let contributed = inspection.contributors.iter();
        let contributed = contributed.map(|row| (&row.key, MeterLine::contributor(row)));
        let kept = inspection.members.iter();
        let kept = kept.map(|row| (&row.key, MeterLine::member(row)));
        for (key, line) in contributed.chain(kept) {
            meters.entry(key).or_default().push(line);
        }
        let releases: HashMap<_, _> = inspection
            .loaded
            .releases
            .iter()
            .map(|(key, digest)| (key, digest.to_string()))
            .collect();
        let line = |row: &'a SumRow| {
            let of_sum = meters.remove(&row.key).unwrap_or_default();
            SumLine {
                feeder: &row.key.feeder,
                window_start: row.key.window,
                part: row.key.part,
                stage: stage(row.stage),
                contributors: row.contributors,
                epoch: row.epoch,
                plan_version: row.plan_version,
                profile: row.profile.name,
                replaces: row.replaces.map(|replaces| replaces.part),
                release: releases.get(&row.key).cloned(),
                meters: contributors.then_some(of_sum),
            }
        };
        Self {
            format: &inspection.format,
            deployment: &inspection.deployment,
            layout: inspection.layout.as_deref(),
            grid: inspection.grid.as_deref(),
            commits: inspection.commits,
            tables: &inspection.tables,
            feeders: inspection
                .loaded
                .times
                .iter()
                .map(|(feeder, time)| FeederLine {
                    feeder,
                    time: *time,
                })
                .collect(),
            sums: inspection.sums.iter().map(line).collect(),
        }
    }

    fn tables(&self, out: &mut impl Write) -> io::Result<()> {
        let unknown = "not known yet";
        writeln!(out, "deployment  {}", self.deployment)?;
        writeln!(out, "layout      {}", self.layout.unwrap_or(unknown))?;
        writeln!(out, "grid        {}", self.grid.unwrap_or(unknown))?;
        writeln!(out, "format      {}", self.format)?;
        writeln!(out, "commits     {}", self.commits)?;
        let mut feeders = table(&["feeder", "time (UTC)"], 2);
        for line in &self.feeders {
            feeders.add_row([line.feeder.to_string(), utc(line.time)]);
        }
        writeln!(out, "\n{feeders}")?;
        self.sums_table(out)?;
        match self.sums.iter().all(|line| line.meters.is_none()) {
            true => Ok(()),
            false => self.meters_table(out),
        }
    }

    fn sums_table(&self, out: &mut impl Write) -> io::Result<()> {
        let header = [
            "feeder",
            "window (UTC)",
            "stage",
            "profile",
            "part",
            "replaces",
            "contributors",
            "epoch",
            "plan",
        ];
        let mut sums = table(&header, 4);
        for line in &self.sums {
            sums.add_row([
                line.feeder.to_string(),
                utc(line.window_start.0),
                line.stage.to_owned(),
                line.profile.to_owned(),
                line.part.to_string(),
                (line.replaces).map_or_else(String::new, |part| part.to_string()),
                line.contributors.to_string(),
                line.epoch.to_string(),
                line.plan_version.to_string(),
            ]);
        }
        writeln!(out, "\n{sums}")
    }

    fn meters_table(&self, out: &mut impl Write) -> io::Result<()> {
        let mut meters = table(
            &[
                "feeder",
                "window (UTC)",
                "meter",
                "digest",
                "part",
                "number",
                "salt",
            ],
            4,
        );
        for line in &self.sums {
            for meter in line.meters.iter().flatten() {
                meters.add_row([
                    line.feeder.to_string(),
                    utc(line.window_start.0),
                    meter.meter.to_string(),
                    meter.digest.clone(),
                    line.part.to_string(),
                    meter
                        .number
                        .map_or_else(String::new, |number| number.to_string()),
                    meter.salt.map_or_else(String::new, |salt| salt.to_string()),
                ]);
            }
        }
        writeln!(out, "\n{meters}")
    }
}

impl<'a> MeterLine<'a> {
    fn contributor(row: &'a ContributorRow) -> Self {
        Self {
            meter: &row.meter,
            number: Some(row.number),
            salt: Some(row.salt),
            digest: row.digest.to_string(),
        }
    }

    fn member(row: &'a KeptMember) -> Self {
        Self {
            meter: &row.meter,
            number: None,
            salt: None,
            digest: row.digest.clone(),
        }
    }
}
