//! What every command shows and leaves behind: its results folder, tables, JSON and CSV.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;
use serde_json::Value;
use service::config::Settings;
use service::telemetry;

/// Where the result of a command goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Output {
    /// What goes to stdout.
    #[arg(long, value_enum, default_value_t = Form::Table)]
    output: Form,
    /// Folder for the results of runs.
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A table and figures, for people.
    Table,
    /// One JSON object.
    Json,
}

impl Output {
    pub(crate) fn folder(&self, settings: &Settings) -> Result<PathBuf> {
        let results = results_folder(&self.results)?;
        let log = std::fs::File::create(results.join("log.txt"))?;
        telemetry::log_to_file(&settings.log, log)?;
        Ok(results)
    }

    pub(crate) fn print(
        &self,
        result: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<()> {
        match self.output {
            Form::Table => print!("{}", text()),
            Form::Json => println!("{}", serde_json::to_string(result)?),
        }
        Ok(())
    }
}

/// A new folder for a run's results under `parent`, named by the time.
fn results_folder(parent: &Path) -> Result<PathBuf> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S").to_string();
    std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    for attempt in 0_u32.. {
        let folder = match attempt {
            0 => parent.join(&now),
            again => parent.join(format!("{now}-{again}")),
        };
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot make {}", folder.display()));
            }
        }
    }
    bail!("no free name under {}", parent.display())
}

/// An empty table in the project's style, its heads with `|` in between: the first `names` columns to the left, figures to
/// the right.
pub(crate) fn table(names: usize, heads: &str) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(heads.split('|'));
    for column in table.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The options of a command as these arguments give them.
pub(crate) fn parsed<O: clap::Args>(arguments: &[&str]) -> clap::error::Result<O> {
    let command = O::augment_args(clap::Command::new("bench").no_binary_name(true));
    O::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// `Some` as text, "-" where there is none.
pub(crate) fn or_dash<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

/// Writes the file `name` in `folder`: a line for each document, with the values at `columns`. A column is the name of a
/// field, or `name=path.to.field`; what is not there, or null, is empty.
pub(crate) fn write_csv(
    folder: &Path,
    name: &str,
    columns: &str,
    documents: impl IntoIterator<Item = Value>,
) -> Result<()> {
    let path = folder.join(name);
    let context = || format!("cannot write {}", path.display());
    let columns: Vec<(&str, &str)> = columns
        .split_whitespace()
        .map(|column| column.split_once('=').unwrap_or((column, column)))
        .collect();
    let mut writer = csv::Writer::from_path(&path).with_context(context)?;
    let heads = columns.iter().map(|(head, _)| head);
    writer.write_record(heads).with_context(context)?;
    for document in documents {
        let cells = columns.iter().map(|(_, path)| cell(&document, path));
        writer.write_record(cells).with_context(context)?;
    }
    writer.flush().with_context(context)
}

fn cell(document: &Value, path: &str) -> String {
    match path.split('.').fold(document, |at, field| &at[field]) {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_values_at_the_columns_and_nothing_where_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let document =
            serde_json::json!({"rate": 2.0, "latency": {"p50": 1.5}, "name": "a, b", "none": null});
        let columns = "rate p50_ms=latency.p50 name none nowhere=x.y";
        write_csv(folder.path(), "x.csv", columns, [document]).unwrap();
        let text = std::fs::read_to_string(folder.path().join("x.csv")).unwrap();
        assert_eq!(text, "rate,p50_ms,name,none,nowhere\n2.0,1.5,\"a, b\",,\n");
    }

    #[test]
    fn two_runs_of_one_second_have_folders_of_their_own() {
        let parent = tempfile::tempdir().unwrap();
        let first = results_folder(parent.path()).unwrap();
        assert_ne!(first, results_folder(parent.path()).unwrap());
    }
}
