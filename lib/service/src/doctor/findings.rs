//! What was found, and how it is printed.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use procfs::process::{MMapPath, Process};
use serde::Serialize;

use super::Trusted;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// It works, but somebody should look at it.
    Warn,
    /// It will not work, or is not safe, until it is fixed.
    Fail,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    fn style(self) -> Style {
        let colour = match self {
            Self::Ok => AnsiColor::Green,
            Self::Warn => AnsiColor::Yellow,
            Self::Fail => AnsiColor::Red,
        };
        Style::new().fg_color(Some(colour.into())).bold()
    }
}

/// The noise of one encryption is above this, in standard deviations, once in 10⁸ times.
const LARGEST_NOISE: f64 = 7.0;

const REBUILD: &str = "build again, with OPENFHE_ROOT unset or at an installed OpenFHE 1.4.2";

/// The file of OpenFHE that this process has loaded.
fn library() -> Option<PathBuf> {
    let maps = Process::myself().and_then(|process| process.maps()).ok()?;
    maps.into_iter().find_map(|map| match map.pathname {
        MMapPath::Path(path) => {
            let name = path.file_name()?.to_str()?;
            name.starts_with("libOPENFHEcore").then_some(path)
        }
        _ => None,
    })
}

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The process it is about; `None`: the machine or the configuration.
    pub process: Option<&'static str>,
    /// What was checked.
    pub check: &'static str,
    /// How it stands.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do about it; `None` if nothing.
    pub remedy: Option<String>,
}

/// How the findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// One line a check, for people
    Table,
    /// One JSON object
    Json,
}

/// All that was found, in the order in which it was looked at.
#[derive(Debug, Default)]
pub struct Findings {
    process: Option<&'static str>,
    pub(super) all: Vec<Finding>,
}

impl Findings {
    /// What follows is about this process.
    pub fn about(&mut self, process: Option<&'static str>) {
        self.process = process;
    }

    /// All is well.
    pub fn ok(&mut self, check: &'static str, detail: impl Into<String>) {
        self.add(Status::Ok, check, detail.into(), None);
    }

    /// Somebody should look at it.
    pub fn warn(
        &mut self,
        check: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Status::Warn, check, detail.into(), Some(remedy.into()));
    }

    /// It must be fixed.
    pub fn fail(
        &mut self,
        check: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Status::Fail, check, detail.into(), Some(remedy.into()));
    }

    /// Whether OpenFHE was found and a round trip came back, with its largest noise in standard deviations of what is
    /// expected.
    pub fn encryption(&mut self, tested: Result<f64, String>) {
        const CHECK: &str = "openfhe";
        let at = library().map_or_else(String::new, |path| format!(" ({})", path.display()));
        match tested {
            Ok(noise) if noise < LARGEST_NOISE => self.ok(
                CHECK,
                format!("encrypts and decrypts, with noise up to {noise:.1} standard deviations{at}"),
            ),
            Ok(noise) => self.fail(
                CHECK,
                format!(
                    "the noise of an encryption is {noise:.1} times its standard deviation, expected below {LARGEST_NOISE}{at}"
                ),
                REBUILD,
            ),
            Err(error) => self.fail(CHECK, format!("{error}{at}"), REBUILD),
        }
    }

    /// Whether the cached plan has a minimum group that this process goes by: no less than its `floor`, of the setting `key`.
    pub fn min_meters(&mut self, trusted: &Trusted, key: &str, floor: u32) {
        const CHECK: &str = "minimum group";
        let Some(held) = &trusted.plan else {
            return;
        };
        let planned = held.plan.min_meters;
        match planned < floor {
            true => self.fail(
                CHECK,
                format!("plan.min_meters is {planned}, below {key} = {floor}: this process does not go by that plan"),
                "ask the operator why, and have it raised; lower the floor only if you may",
            ),
            false => self.ok(CHECK, format!("{planned} meters, and {key} is {floor}")),
        }
    }

    fn add(&mut self, status: Status, check: &'static str, detail: String, fix: Option<String>) {
        self.all.push(Finding {
            process: self.process,
            check,
            status,
            detail,
            remedy: fix,
        });
    }

    /// The worst of it.
    pub(crate) fn worst(&self) -> Status {
        let all = self.all.iter().map(|finding| finding.status);
        all.max().unwrap_or(Status::Ok)
    }

    fn count(&self, status: Status) -> usize {
        let all = self.all.iter();
        all.filter(|finding| finding.status == status).count()
    }

    /// Prints everything on standard output, with colour on a terminal unless `NO_COLOR` is set.
    pub(super) fn print(&self, form: Form) -> io::Result<()> {
        let mut out = anstream::stdout().lock();
        let printed = match form {
            Form::Table => self.all.iter().try_for_each(|finding| {
                let style = finding.status.style();
                let word = finding.status.word();
                let process = finding.process.unwrap_or("-");
                write!(
                    out,
                    "{style}{word:<4}{style:#}  {process:<9}  {:<13}  {}",
                    finding.check, finding.detail
                )?;
                match &finding.remedy {
                    Some(remedy) => writeln!(out, "; to fix: {remedy}"),
                    None => writeln!(out),
                }
            }),
            Form::Json => {
                let object = serde_json::json!({
                    "status": self.worst(),
                    "ok": self.count(Status::Ok),
                    "warnings": self.count(Status::Warn),
                    "failures": self.count(Status::Fail),
                    "checks": self.all,
                });
                writeln!(out, "{object}")
            }
        };
        match printed.and_then(|()| out.flush()) {
            // The reader of a pipe may close it early.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides() {
        let mut findings = Findings::default();
        assert_eq!(findings.worst(), Status::Ok);
        findings.ok("clock", "fine");
        findings.about(Some("meter"));
        findings.fail("secret", "open", "close it");
        findings.warn("memory", "little", "buy some");
        assert_eq!(findings.worst(), Status::Fail);
        assert_eq!(
            (findings.count(Status::Ok), findings.count(Status::Warn)),
            (1, 1)
        );
        assert_eq!(findings.all[1].process, Some("meter"));
        assert_eq!(findings.all[1].remedy.as_deref(), Some("close it"));
    }
}
