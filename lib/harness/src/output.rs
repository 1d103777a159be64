//! What every run shows and leaves behind alike: a progress bar, a JSON file.

use std::path::Path;

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Writes `value` to the file `name` in `folder`, for people to read too.
///
/// # Errors
/// Where it cannot be written.
pub fn write_json(folder: &Path, name: &str, value: &impl Serialize) -> Result<()> {
    let path = folder.join(name);
    let text = serde_json::to_string_pretty(value)? + "\n";
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A bar of so many of `what`, on standard error and only on a terminal.
#[must_use]
pub fn progress_bar(len: u64, what: &str) -> ProgressBar {
    let template =
        format!("{{elapsed_precise}} {{prefix}}{{bar:30}} {{pos}}/{{len}} {what} {{msg}}");
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new(len).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
