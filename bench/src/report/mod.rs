//! `report.html`: a run as one file that needs no network.
//!
//! The document of the run is embedded as it is; a script in the file draws it with the chart library the live page has.
//! `bench report` makes the file again, and joins what several commands measured.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use harness::output::write_json;
use serde_json::Value;

use crate::results::schema::Run;

const PAGE: &str = include_str!("assets/report.html");
const STYLE: &str = include_str!("assets/report.css");
const CHARTS: &str = include_str!("assets/charts.js");
const SCRIPT: &str = include_str!("assets/report.js");

/// The file's name in a results folder.
pub(crate) const FILE: &str = "report.html";

/// What other commands write into their folders, and its place in the document.
type Part = (&'static str, fn(&mut Run) -> &mut Option<Value>);

const PARTS: [Part; 3] = [
    ("load.json", |run| &mut run.load),
    ("peers.json", |run| &mut run.peers),
    ("budget.json", |run| &mut run.budget),
];

/// Which results to report.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Results folders; the first has `run.json` and gets the report, the others give `load.json`, `peers.json` or
    /// `budget.json`
    #[arg(required = true, value_name = "DIR")]
    pub(crate) folders: Vec<PathBuf>,
}

/// Joins the results in the folders, and writes `run.json` and `report.html` into the first.
pub(crate) fn join(options: &Options) -> Result<PathBuf> {
    let first = options.folders.first().context("no results folder")?;
    let mut run = run_in(first)?;
    for folder in &options.folders {
        for (name, place) in PARTS {
            let path = folder.join(name);
            // The load of a budget's row is a part of that budget, and no measurement of the greatest load.
            let of_a_row = name == "load.json" && folder.join("budget.json").exists();
            if path.exists() && !of_a_row {
                *place(&mut run) = Some(read(&path)?);
            }
        }
    }
    write_json(first, "run.json", &run)?;
    write(&run, first)
}

/// Writes `report.html` into `folder` and returns its path.
pub(crate) fn write(run: &Run, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(FILE);
    std::fs::write(&path, page(run)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The `run.json` in a results folder.
pub(crate) fn run_in(folder: &Path) -> Result<Run> {
    let path = folder.join("run.json");
    serde_json::from_value(read(&path)?).with_context(|| {
        format!(
            "{} is not a results document of this version",
            path.display()
        )
    })
}

fn read(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

fn page(run: &Run) -> Result<String> {
    // In a script element only a `<` could end the data.
    let data = serde_json::to_string(run)?.replace('<', "\\u003c");
    let parts = [
        ("{{uplot_licence}}", live::CHART_LICENCE),
        ("{{uplot_css}}", live::CHART_STYLE),
        ("{{css}}", STYLE),
        ("{{uplot_js}}", live::CHART_SCRIPT),
        ("{{charts_js}}", CHARTS),
        ("{{js}}", SCRIPT),
        ("{{data}}", data.as_str()),
    ];
    // The data come last, so that nothing in them is taken for a placeholder.
    let fill = |page: String, (mark, text): (&str, &str)| page.replace(mark, text);
    Ok(parts.into_iter().fold(PAGE.to_owned(), fill))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Run {
        serde_json::from_str(include_str!("../results/example.json")).unwrap()
    }

    #[test]
    fn the_page_holds_the_whole_document_and_asks_for_nothing() {
        let run = example();
        let page = page(&run).unwrap();
        assert!(!page.contains("{{"));
        assert!(
            !page.contains("src=") && !page.contains("<link"),
            "something is fetched"
        );
        let data = page.split_once("type=\"application/json\">").unwrap().1;
        let data = data.split_once("</script>").unwrap().0;
        assert_eq!(serde_json::from_str::<Run>(data).unwrap(), run);
    }

    #[test]
    fn text_of_a_run_cannot_end_the_script_it_is_in() {
        let mut run = example();
        run.failures = vec!["</script><b>".to_owned()];
        let page = page(&run).unwrap();
        assert!(!page.contains("</script><b>"));
    }

    #[test]
    fn what_other_commands_measured_is_joined() {
        let folder = tempfile::tempdir().unwrap();
        let first = folder.path().join("a");
        let second = folder.path().join("b");
        let third = folder.path().join("c");
        for path in [&first, &second, &third] {
            std::fs::create_dir(path).unwrap();
        }
        let text = serde_json::to_string(&example()).unwrap();
        std::fs::write(first.join("run.json"), text).unwrap();
        std::fs::write(second.join("load.json"), r#"{"steps": []}"#).unwrap();
        std::fs::write(third.join("budget.json"), r#"{"rows": []}"#).unwrap();
        std::fs::write(third.join("load.json"), r#"{"steps": ["of a row"]}"#).unwrap();
        let folders = vec![first.clone(), second, third];
        let written = join(&Options { folders }).unwrap();
        assert_eq!(written, first.join(FILE));
        let run = run_in(&first).unwrap();
        assert_eq!(run.load, Some(serde_json::json!({"steps": []})));
        assert_eq!(run.budget, Some(serde_json::json!({"rows": []})));
    }

    #[test]
    fn a_document_of_an_earlier_format_is_read_and_keeps_its_bound() {
        let mut old = serde_json::to_value(example()).unwrap();
        old["format"] = serde_json::json!(2);
        let point = &mut old["sweeps"][0]["points"][0];
        point["settings"] = {
            let mut settings = point["settings"].take();
            let fields = settings.as_object_mut().unwrap();
            fields.remove("coefficients");
            fields.insert("slots_used".to_owned(), serde_json::json!(48));
            settings
        };
        point["repeats"][0]["error"] = serde_json::json!({"max_abs_wh": 3.0, "bound_wh": 41.0, "max_relative": 4e-6,
            "bound_relative": 6e-5, "intervals": 1920});
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("run.json"), old.to_string()).unwrap();
        let run = run_in(folder.path()).unwrap();
        let error = run.sweeps[0].points[0].repeats[0].error.unwrap();
        assert_eq!(
            (error.exact, error.bound_wh, run.format),
            (None, Some(41.0), 2)
        );
    }

    #[test]
    fn a_folder_without_a_run_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let folders = vec![folder.path().to_owned()];
        let error = join(&Options { folders }).unwrap_err().to_string();
        assert!(error.contains("run.json"), "{error}");
    }
}
