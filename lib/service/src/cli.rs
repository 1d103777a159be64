//! Flags and commands that every binary takes.

mod time;
mod tools;

use std::path::PathBuf;

use clap::Args;

use crate::config::{ConfigError, Loaded, Overrides, Settings, load_layers};
use crate::doctor::Subject;

pub use time::{parse_time, time};
pub use tools::Tool;
pub(crate) use tools::{completions, manual, parse};

/// Flags that every binary takes, before a command and after it: `#[command(flatten)] common: Common`.
///
/// Not clap's `global`: that forgets what stands before a command as soon as the same flag stands after it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct Common {
    /// Read settings from this TOML file; may be repeated, the last one wins
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,

    /// Set any setting, such as `--set mqtt.address=10.0.0.5:1883`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,

    /// Print every setting with its value and origin, and exit
    #[arg(long)]
    pub(crate) print_config: bool,

    /// Log level: error, warn, info, debug, trace, or directives
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,

    /// Log format: text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl Common {
    /// What these flags override.
    fn overrides(&self) -> Overrides {
        let set = Overrides::from(self.set.clone());
        set.option("log.level", self.log_level.as_ref())
            .option("log.format", self.log_format.as_ref())
    }

    /// The files and settings given, each behind a space, as a shell reads them: for another command of the same deployment.
    #[must_use]
    pub fn repeated(&self) -> String {
        let words = self.arguments();
        let flags = words.chunks(2);
        flags
            .map(|flag| format!(" {} {}", flag[0], quoted(&flag[1])))
            .collect()
    }

    /// The files and settings given, a flag and its value in turn: for another process of the same deployment.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let files = self
            .config
            .iter()
            .map(|file| ("--config", file.display().to_string()));
        let set = self
            .set
            .iter()
            .map(|(key, value)| ("--set", format!("{key}={value}")));
        let flags = files.chain(set);
        flags
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect()
    }

    /// Adds the flags given after a command, which win over those before it.
    fn extend(&mut self, after: Self) {
        self.config.extend(after.config);
        self.set.extend(after.set);
        self.print_config |= after.print_config;
        self.log_level = after.log_level.or(self.log_level.take());
        self.log_format = after.log_format.or(self.log_format.take());
    }
}

/// The command line of a binary: implement it beside the `clap::Parser`.
pub trait Arguments: clap::Parser {
    /// The common flags.
    fn common(&self) -> &Common;

    /// The same, for those that are given after a command.
    fn common_mut(&mut self) -> &mut Common;

    /// What the command's own flags override; they win over `--set`.
    fn overrides(&self) -> Overrides {
        Overrides::new()
    }

    /// Whether this is a command that asks or looks and ends, perhaps beside a running process of the same settings: it
    /// serves no metrics, and logs warnings only unless `log.level` is given.
    fn is_short(&self) -> bool {
        false
    }

    /// Which of the commands that every binary has was given, if one was.
    fn tool(&self) -> Option<&Tool>;

    /// A setting that this build cannot follow: its key, and what to do. It is an error of the configuration.
    fn unsupported(_settings: &Settings) -> Option<(&'static str, String)> {
        None
    }

    /// The processes whose set-up `doctor` checks.
    fn subjects(settings: &Settings) -> Vec<Subject>;
}

/// Loads what the command line and the environment say. `overrides` are the flags of the command
/// itself; the common flags are taken from `common`.
///
/// # Errors
/// The first problem found, naming key, value and origin.
pub(crate) fn load(common: &Common, overrides: &Overrides) -> Result<Loaded, ConfigError> {
    let mut all = common.overrides();
    all.extend(overrides);
    load_layers(&common.config, std::env::vars_os(), &all)
}

/// A word of a shell's command line.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("expected KEY=VALUE, such as mqtt.address=127.0.0.1:1883")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::{Parser, Subcommand};

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        common: Common,
        #[arg(long)]
        output: Option<String>,
        #[command(subcommand)]
        tool: Option<Action>,
    }

    #[derive(Subcommand)]
    enum Action {
        Look {
            #[arg(long)]
            output: Option<String>,
            #[command(subcommand)]
            deeper: Option<Deeper>,
        },
        #[command(flatten)]
        Tool(Tool),
    }

    #[derive(Subcommand)]
    enum Deeper {
        Down,
    }

    impl Arguments for Command {
        fn common(&self) -> &Common {
            &self.common
        }

        fn common_mut(&mut self) -> &mut Common {
            &mut self.common
        }

        fn tool(&self) -> Option<&Tool> {
            None
        }

        fn subjects(_: &Settings) -> Vec<Subject> {
            Vec::new()
        }
    }

    fn parse(line: &str) -> Result<Common, String> {
        let parsed = tools::parse_from::<Command>(line.split_whitespace().map(Into::into));
        parsed
            .map(|command| command.common)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn flags_become_overrides_in_order() {
        let line = "x --set meter.meters=7 --log-level debug --config a --config b";
        let common = parse(line).unwrap();
        assert_eq!(common.config, [PathBuf::from("a"), PathBuf::from("b")]);
        let expected = Overrides::new()
            .set("meter.meters", 7)
            .set("log.level", "debug");
        assert_eq!(common.overrides(), expected);
    }

    #[test]
    fn flags_before_a_command_and_after_it_count_in_order() {
        let line = "x --config a --set a=1 --log-level warn --log-format json \
                    look --config b --set a=2 --set b=3 --log-level debug down --set c=4 --print-config";
        let common = parse(line).unwrap();
        assert_eq!(common.config, [PathBuf::from("a"), PathBuf::from("b")]);
        let expected = [("a", "1"), ("a", "2"), ("b", "3"), ("c", "4")];
        assert_eq!(
            common.set,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        assert_eq!(common.log_level.as_deref(), Some("debug"));
        assert_eq!(common.log_format.as_deref(), Some("json"));
        assert!(common.print_config);
    }

    #[test]
    fn files_and_settings_are_repeated_as_a_shell_reads_them() {
        let line = [
            "x",
            "--config",
            "my files/a.toml",
            "--set",
            "a=it's",
            "--set",
            "b=1",
        ];
        let parsed = tools::parse_from::<Command>(line.map(Into::into).into_iter());
        let repeated = parsed.unwrap().common.repeated();
        assert_eq!(
            repeated,
            r" --config 'my files/a.toml' --set 'a=it'\''s' --set b=1"
        );
        assert_eq!(parse("x --log-level debug").unwrap().repeated(), "");
    }

    #[test]
    fn a_flag_before_a_command_that_has_its_own_is_refused() {
        assert!(parse("x look --output json").is_ok());
        assert!(parse("x --output json").is_ok());
        assert!(parse("x --output json man").is_ok());
        let refused = parse("x --output json look").unwrap_err();
        assert!(
            refused.contains("--output") && refused.contains("after `look`"),
            "{refused}"
        );
    }

    #[test]
    fn a_set_without_a_value_is_a_usage_error() {
        let text = parse("x --set meter.meters").unwrap_err();
        assert!(text.contains("expected KEY=VALUE"), "{text}");
    }
}
