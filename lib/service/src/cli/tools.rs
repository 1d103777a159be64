//! Commands that every binary has beside its own: `doctor`, `completions`, `man`.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, Command, FromArgMatches as _, Subcommand};
use clap_complete::Shell;

use super::{Arguments, Common};
use crate::doctor;
use crate::exit::{FAILED, OK};

/// Commands that every binary has: `#[command(flatten)]` in the enum of its own commands, or its only ones.
#[derive(Debug, Clone, Subcommand)]
pub enum Tool {
    /// Check the set-up and say what to fix; changes nothing
    ///
    /// Exits with 1 if a check failed, with 0 if all are well or only warned.
    Doctor {
        /// What goes to stdout
        #[arg(long, value_enum, default_value_t = doctor::Form::Table)]
        output: doctor::Form,
    },
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write one for each command
    Man {
        /// The folder to write to, which is made if it is missing
        dir: Option<PathBuf>,
    },
}

/// The command line of `A`, with examples for the commands of [`Tool`] under the binary's own name.
fn command<A: Arguments>() -> Command {
    let command = with_common(A::command());
    let name = command.get_name().to_owned();
    let folder = "~/.local/share/bash-completion/completions";
    let examples = [
        (
            "doctor",
            format!(
                "  {name} doctor\n  {name} doctor --config my.toml\n  {name} doctor --output json"
            ),
        ),
        (
            "completions",
            format!(
                "  {name} completions bash > {folder}/{name}\n  {name} completions zsh > ~/.zfunc/_{name}\n  \
                 {name} completions fish > ~/.config/fish/completions/{name}.fish"
            ),
        ),
        (
            "man",
            format!("  {name} man | man -l -\n  {name} man ~/.local/share/man/man1"),
        ),
    ];
    let known = |command: &Command, tool| command.find_subcommand(tool).is_some();
    examples.into_iter().fold(command, |command, (tool, text)| {
        if !known(&command, tool) {
            return command;
        }
        command.mut_subcommand(tool, |tool| tool.after_help(format!("Examples:\n{text}")))
    })
}

/// Adds the flags of [`Common`] to every command below this one.
fn with_common(command: Command) -> Command {
    let flags = Common::augment_args(Command::new("common"));
    let flags: Vec<_> = flags.get_arguments().cloned().collect();
    command.mut_subcommands(|command| with_common(command.args(&flags)))
}

/// Parses the command line; ends the process on a usage error, or once `--help` is printed.
pub(crate) fn parse<A: Arguments>() -> A {
    parse_from(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

pub(super) fn parse_from<A: Arguments>(
    line: impl Iterator<Item = OsString>,
) -> Result<A, clap::Error> {
    let mut command = command::<A>();
    let matches = command.try_get_matches_from_mut(line)?;
    let mut parsed = A::from_arg_matches(&matches)?;
    let mut level = &matches;
    while let Some((name, below)) = level.subcommand() {
        refuse_misplaced(&mut command, level, name, below)?;
        parsed.common_mut().extend(Common::from_arg_matches(below)?);
        level = below;
    }
    Ok(parsed)
}

/// Refuses a flag before the command `name` where that command has a flag of the same name: the value before it would not
/// be used.
fn refuse_misplaced(
    command: &mut Command,
    before: &ArgMatches,
    name: &str,
    after: &ArgMatches,
) -> Result<(), clap::Error> {
    let common = Common::augment_args(Command::new("common"));
    let is_common = |id: &clap::Id| common.get_arguments().any(|flag| flag.get_id() == id);
    let flag = command.get_arguments().find(|flag| {
        let id = flag.get_id();
        !is_common(id)
            && before.try_contains_id(id.as_str()).is_ok()
            && before.value_source(id.as_str()) == Some(ValueSource::CommandLine)
            && after.try_contains_id(id.as_str()).is_ok()
    });
    match flag.and_then(clap::Arg::get_long).map(str::to_owned) {
        Some(flag) => Err(command.error(
            ErrorKind::ArgumentConflict,
            format!("`--{flag}` before `{name}` would not be used: write it after `{name}`"),
        )),
        None => Ok(()),
    }
}

/// Prints completions for a shell; the exit code.
pub(crate) fn completions<A: Arguments>(shell: Shell) -> u8 {
    let mut command = command::<A>();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    code(print(&text))
}

/// Prints the manual page, or writes one for each command to `dir`; the exit code.
pub(crate) fn manual<A: Arguments>(dir: Option<&Path>) -> u8 {
    let command = command::<A>();
    code(match dir {
        None => page(command),
        Some(dir) => pages(command, dir),
    })
}

fn code(done: anyhow::Result<()>) -> u8 {
    match done {
        Ok(()) => OK,
        Err(error) => {
            eprintln!("error: {error:#}");
            FAILED
        }
    }
}

fn page(mut command: Command) -> anyhow::Result<()> {
    command.build();
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    print(&text)
}

fn pages(command: Command, dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    clap_mangen::generate_to(command, dir)
        .with_context(|| format!("cannot write to {}", dir.display()))
}

/// The reader of a pipe may close it early.
fn print(text: &[u8]) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
