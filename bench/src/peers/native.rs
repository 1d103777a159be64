//! The peers in Rust and C++, built on first use from `bench/peers`.
//!
//! They are no part of the workspace: `prio` is under another licence, and OpenFHE's serialisation takes half a minute to
//! compile. `cargo` keeps what it built beside the rest.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::command::{cargo, run};

/// The executables by name.
pub(super) type Programs = BTreeMap<String, PathBuf>;

pub(super) async fn build() -> Result<Programs> {
    let mut command = cargo("bench/peers")?;
    command
        .args(["build", "--release", "--locked", "--quiet", "--bins"])
        .arg("--message-format=json-render-diagnostics");
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        command.args(["--target-dir", "../../target"]);
    }
    let messages = run(&mut command).await.context("cargo build")?;
    Ok(programs(&messages))
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
        let prio3 = ("prio3".to_owned(), PathBuf::from("/t/release/prio3"));
        assert_eq!(programs(messages), Programs::from([prio3]));
    }
}
