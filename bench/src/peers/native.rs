//! The peers in Rust and C++, built on first use from `bench/peers`.
//!
//! They are no part of the workspace: `prio` is under another licence, and OpenFHE's serialisation takes half a minute to
//! compile. `cargo` keeps what it built beside the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::venv::complaint;

pub(crate) type Programs = BTreeMap<String, PathBuf>;

pub(crate) async fn build() -> Result<Programs> {
    let mut command = cargo(&Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml"))?;
    command
        .args(["build", "--release", "--locked", "--quiet", "--bins"])
        .arg("--message-format=json-render-diagnostics");
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        command
            .arg("--target-dir")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    }
    let output = command.output().await.context("cargo cannot be started")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("cargo build: {}", complaint(&text).unwrap_or("it failed"));
    }
    Ok(programs(&String::from_utf8_lossy(&output.stdout)))
}

/// Cargo on the workspace of this manifest, with the project's sources beside it; the rest of the command comes after it.
pub(crate) fn cargo(manifest: &Path) -> Result<Command> {
    ensure!(
        manifest.is_file(),
        "no {}: this program was moved away from the project",
        manifest.display()
    );
    // `cargo run` names itself; the command is `cargo` otherwise.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(manifest.parent().context("a folder")?);
    command.stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

fn programs(messages: &str) -> Programs {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok()?.executable)
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_what_cargo_names_as_executable() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","executable":"/t/release/prio3","fresh":true}
{"reason":"build-finished","success":true}
not json
"#;
        let programs = programs(messages);
        assert_eq!(programs.len(), 1);
        assert_eq!(programs["prio3"], Path::new("/t/release/prio3"));
    }
}
