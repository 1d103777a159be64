//! Other programs, run to their end.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;

/// Runs a command without input and returns what it prints. One that fails is an error with its last complaint.
pub(crate) async fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = output.await.context("cannot be started")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    bail!("{}", complaint(&text).unwrap_or(&output.status.to_string()));
}

/// Cargo in a folder of the project's sources.
pub(crate) fn cargo(folder: &str) -> Result<Command> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(folder);
    let manifest = folder.join("Cargo.toml");
    ensure!(
        manifest.is_file(),
        "no {}: this program was moved away from the project",
        manifest.display()
    );
    // `cargo run` names itself; the command is `cargo` otherwise.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(folder);
    Ok(command)
}

/// The line that says what is wrong: the last that begins with "error", or simply the last.
fn complaint(text: &str) -> Option<&str> {
    let lines = text.lines().rev().map(str::trim);
    let mut lines = lines.filter(|line| !line.is_empty());
    let mut errors = lines.clone();
    errors
        .find(|line| line.to_ascii_lowercase().starts_with("error"))
        .or_else(|| lines.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_error_and_not_the_advice_after_it() {
        let text = "ERROR: Could not find a version\nERROR: No matching distribution found for tenseal==0.3.18\n\nnotice: use pip 26\n";
        assert_eq!(
            complaint(text),
            Some("ERROR: No matching distribution found for tenseal==0.3.18")
        );
        assert_eq!(
            complaint("a\nModuleNotFoundError: ensurepip\n"),
            Some("ModuleNotFoundError: ensurepip")
        );
        assert_eq!(complaint("\n"), None);
    }
}
