//! Flags and commands that every binary takes.

mod tools;

use std::path::PathBuf;

use clap::Args;

use crate::config::{Overrides, Settings};
use crate::doctor::Subject;

pub use tools::{Tool, command, parse, run};

/// Flags that every binary takes: `#[command(flatten)] common: Common`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct Common {
    /// Read settings from this TOML file; may be repeated, the last one wins
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Vec<PathBuf>,

    /// Set any setting, such as `--set mqtt.address=10.0.0.5:1883`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value, global = true)]
    pub set: Vec<(String, String)>,

    /// Print every setting with its value and origin, and end
    #[arg(long, global = true)]
    pub print_config: bool,

    /// Log level: error, warn, info, debug, trace, or directives
    #[arg(long, value_name = "LEVEL", global = true)]
    pub log_level: Option<String>,

    /// Log format: text or json
    #[arg(long, value_name = "FORMAT", global = true)]
    pub log_format: Option<String>,
}

impl Common {
    /// What these flags override.
    pub fn overrides(&self) -> Overrides {
        let set = Overrides::from(self.set.clone());
        set.option("log.level", self.log_level.as_ref())
            .option("log.format", self.log_format.as_ref())
    }
}

/// The command line of a binary: implement it beside the `clap::Parser`.
pub trait Arguments: clap::Parser {
    /// The common flags.
    fn common(&self) -> &Common;

    /// What the command's own flags override; they win over `--set`.
    fn overrides(&self) -> Overrides {
        Overrides::new()
    }

    /// Which of the commands that every binary has was given, if one was.
    fn tool(&self) -> Option<&Tool>;

    /// The processes whose set-up `doctor` checks.
    fn subjects(settings: &Settings) -> Vec<Subject>;
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("expected KEY=VALUE, such as mqtt.address=127.0.0.1:1883")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        common: Common,
    }

    #[test]
    fn flags_become_overrides_in_order() {
        let command = Command::try_parse_from([
            "x",
            "--set",
            "meter.meters=7",
            "--log-level",
            "debug",
            "--config",
            "a",
            "--config",
            "b",
        ]);
        let common = command.map(|command| command.common).unwrap();
        assert_eq!(common.config, [PathBuf::from("a"), PathBuf::from("b")]);
        let expected = Overrides::new()
            .set("meter.meters", 7)
            .set("log.level", "debug");
        assert_eq!(common.overrides(), expected);
    }

    #[test]
    fn a_set_without_a_value_is_a_usage_error() {
        let error = Command::try_parse_from(["x", "--set", "meter.meters"]).err();
        let text = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains("expected KEY=VALUE"), "{text}");
    }
}
