//! `holder audit`.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use service::store::Fault;
use service::{Settings, cli};
use tokio::time::{Instant, sleep, timeout_at};
use wire::{Digest, FeederId, UnixSeconds, WindowStart};

use super::desk::LONGEST;
use super::drawn;
use super::records::{self, AuditResult, BEGINS, Named, Record, Verdict, Wanted, listed};
use crate::keys::path_of;
use crate::ledger::{Ledger, LedgerError};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// What to audit.
#[derive(Debug, Args)]
pub struct AuditCommand {
    /// Audit the sums of this feeder; without, one that the running holder draws among those that it consented to lately
    #[arg(long, value_name = "FEEDER", requires = "window")]
    feeder: Option<FeederId>,
    /// The start of their window
    #[arg(long, value_name = "TIME", value_parser = cli::parse_time, requires = "feeder")]
    window: Option<UnixSeconds>,
    /// Show what audits came to, and demand none
    #[arg(long, conflicts_with = "feeder")]
    results: bool,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

/// How audits are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// For programs: an array, an audit each
    Json,
}

/// Why nothing was audited, or why it is not right.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The command works through the running holder.
    #[error("no holder runs on {}: start it, since it is the running holder that audits", path.display())]
    NotRunning {
        /// The state folder.
        path: PathBuf,
    },
    /// The ledger cannot be looked at.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The holder does not take the demand.
    #[error("the holder that runs does not take the demand: see its log")]
    NotTaken,
    /// It knows no such sum.
    #[error(
        "there is nothing to audit: this holder consented to no such sum, has forgotten it (holder.keep_sums), or cannot audit it (see its log)"
    )]
    Nothing,
    /// It came to nothing in time.
    #[error(
        "the audit {name} is not over after {}: see the holder's log, and `holder audit --results` later",
        humantime::format_duration(*waited)
    )]
    NotOver {
        /// Its name.
        name: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Some are wrong, or incomplete.
    #[error("of {all} audits {wrong} are wrong and {incomplete} incomplete")]
    NotRight {
        /// How many there are.
        all: usize,
        /// Those whose sum is not of the reports.
        wrong: usize,
        /// Those some of whose reports did not come.
        incomplete: usize,
    },
}

impl AuditCommand {
    /// Demands an audit and waits for it, or looks at those that were; what to print, and whether all are right.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn run(
        self,
        settings: &Settings,
    ) -> Result<(String, Result<(), AuditError>), AuditError> {
        let holder = path_of(settings);
        let records = match self.results {
            true => records::read_all(&holder).map_err(at(&records::folder_in(&holder)))?,
            false => self.demand(&holder, settings.holder.audit_wait).await?,
        };
        let told = match self.output {
            Form::Text => shown(&records),
            Form::Json => {
                serde_json::to_string_pretty(&records).map_err(|error| at(&holder)(error.into()))?
                    + "\n"
            }
        };
        Ok((told, judged(&records)))
    }

    async fn demand(&self, holder: &Path, wait: Duration) -> Result<Vec<Record>, AuditError> {
        match Ledger::open(holder) {
            Ok(_) => {
                return Err(AuditError::NotRunning {
                    path: holder.to_owned(),
                });
            }
            Err(LedgerError::Store {
                source: Fault::InUse,
                ..
            }) => {}
            Err(error) => return Err(error.into()),
        }
        let folder = records::folder_in(holder);
        let of = self.feeder.clone().zip(self.window);
        let wanted = Wanted {
            of: of.map(|(feeder, window)| (feeder, WindowStart(window.0))),
        };
        let id = Digest::of(&drawn().to_le_bytes()).to_string()[..16].to_owned();
        let files = Files(["wanted", "taken"].map(|of| records::path_of(&folder.join(of), &id)));
        let [path, answer] = &files.0;
        records::write(path, &wanted).map_err(at(path))?;
        let names = taken(answer).await?;
        drop(files);
        if names.is_empty() {
            return Err(AuditError::Nothing);
        }
        // As long as one takes at most, and a while for its place.
        let waited = BEGINS + wait.saturating_mul(LONGEST + 1);
        let until = Instant::now() + waited;
        let mut ended = Vec::new();
        for name in names {
            let end = timeout_at(until, end_of(&records::path_of(&folder, &name))).await;
            ended.push(end.map_err(|_| AuditError::NotOver { name, waited })??);
        }
        Ok(ended)
    }
}

/// What one demand leaves in the holder's folder: nothing of it stays.
struct Files([PathBuf; 2]);

impl Drop for Files {
    fn drop(&mut self) {
        for path in &self.0 {
            // Where it is not there, nobody else will look for it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The names of the audits that the holder began.
async fn taken(path: &Path) -> Result<Vec<String>, AuditError> {
    let since = Instant::now();
    while !path.exists() {
        if since.elapsed() >= BEGINS {
            return Err(AuditError::NotTaken);
        }
        sleep(LOOK).await;
    }
    records::read(path).map_err(at(path))
}

/// Waits for what an audit comes to.
async fn end_of(path: &Path) -> Result<Record, AuditError> {
    loop {
        match records::read_record(path) {
            Ok(record) if record.verdict.is_some() => return Ok(record),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(path)(error)),
        }
        sleep(LOOK).await;
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> AuditError {
    move |source| AuditError::File {
        path: path.to_owned(),
        source,
    }
}

fn judged(records: &[Record]) -> Result<(), AuditError> {
    let count = |result| {
        let verdicts = records.iter().filter_map(|record| record.verdict.as_ref());
        verdicts.filter(|verdict| verdict.result == result).count()
    };
    let [wrong, incomplete] = [AuditResult::Wrong, AuditResult::Incomplete].map(count);
    match wrong + incomplete {
        0 => Ok(()),
        _ => Err(AuditError::NotRight {
            all: records.len(),
            wrong,
            incomplete,
        }),
    }
}

fn shown(records: &[Record]) -> String {
    if records.is_empty() {
        return "no audit yet\n".to_owned();
    }
    let mut text = String::new();
    for record in records {
        let result = record.verdict.as_ref().map(|verdict| verdict.result);
        let result = match result {
            None => "under way",
            Some(AuditResult::Right) => "right",
            Some(AuditResult::Wrong) => "WRONG",
            Some(AuditResult::Incomplete) => "incomplete",
        };
        let of = match &record.area {
            Some(area) => format!("the rest of {area}, under {}", record.feeder),
            None => record.feeder.to_string(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{result}: {of}, {}, part {}, {} reports, signed by {}",
            cli::time(record.window),
            record.part.0,
            record.contributors,
            record.analytics
        );
        let Some(verdict) = &record.verdict else {
            continue;
        };
        if *verdict == Verdict::never_begun() {
            let _ = writeln!(
                text,
                "  no report was demanded: too many others were audited"
            );
        }
        if verdict.differs {
            let analytics = &record.analytics;
            let _ = writeln!(
                text,
                "  all reports are there, and add up to something else than {analytics} signed"
            );
        }
        for (what, named) in [
            (
                "signed a report that is not the one in the sum",
                &verdict.other,
            ),
            ("signed a report that no sum can have", &verdict.unusable),
            ("not shown", &verdict.missing),
        ] {
            show_meters(&mut text, what, named);
        }
    }
    text
}

fn show_meters(text: &mut String, what: &str, named: &[Named]) {
    if !named.is_empty() {
        let _ = writeln!(text, "  {what}: {}", listed(named));
    }
}
