//! Logs: fields first, then a sentence. INFO is life cycle; ERROR means that data was lost or that a
//! person must act.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat};

/// `log.level` cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "`log.level = {level}`: {detail}; expected error, warn, info, debug, trace, off, or directives such as \
     info,service=debug"
)]
pub struct LogError {
    level: String,
    detail: String,
}

/// What is quiet unless asked for: rumqttd logs every disconnect of a client as an error, and
/// rumqttc what [`crate::mqtt`] reports in its own words.
const QUIET: &str = "rumqttd=off,rumqttc=off,";

/// Sends logs to standard error, as text or JSON. Only the first call in a process has an effect.
///
/// Colour is used on a terminal unless `NO_COLOR` is set.
///
/// # Errors
/// If `log.level` cannot be understood.
pub fn init_logging(settings: &Log) -> Result<(), LogError> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colour = !no_color && std::io::stderr().is_terminal();
    log_to(settings, std::io::stderr, colour)
}

/// Sends logs to `file` instead. Only the first call of this and [`init_logging`] has an effect.
///
/// # Errors
/// If `log.level` cannot be understood.
pub fn log_to_file(settings: &Log, file: std::fs::File) -> Result<(), LogError> {
    log_to(settings, std::sync::Mutex::new(file), false)
}

/// Whether [`init_logging`] would take this level.
///
/// # Errors
/// If it cannot be understood.
pub(crate) fn check_level(level: &str) -> Result<(), LogError> {
    filter(level).map(drop)
}

fn log_to<W>(settings: &Log, writer: W, colour: bool) -> Result<(), LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&settings.level)?)
        .with_writer(writer)
        // A line that cannot be written would be told to standard error, and that panics where it is the same full disk.
        .log_internal_errors(false)
        .with_ansi(colour);
    // An error means that logging is set up already, as it is when several services share a process.
    let _ = match settings.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let error = |detail: String| LogError {
        level: level.to_owned(),
        detail,
    };
    if level.trim().is_empty() {
        return Err(error("it is empty".to_owned()));
    }
    // Alone, a word that is not a level would be a target: only that one is logged then, and "loud" silences everything.
    let words = level.split(',').map(str::trim);
    let mut words =
        words.filter(|word| !word.is_empty() && !word.contains(['=', '[', ']', '{', '}']));
    if let Some(word) = words.find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(error(format!("\"{word}\" is not a level")));
    }
    EnvFilter::builder()
        .parse(format!("{QUIET}{level}"))
        .map_err(|problem| error(problem.to_string()))
}
