//! Commands that every binary has beside its own: `doctor`, `completions`, `man`.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Command, Subcommand};
use clap_complete::Shell;

use super::Arguments;
use crate::doctor;
use crate::process::{FAILED, OK};

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
pub fn command<A: Arguments>() -> Command {
    let command = A::command();
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

/// Parses the command line; ends the process on a usage error, or once `--help` is printed.
pub fn parse<A: Arguments>() -> A {
    let matches = command::<A>().get_matches();
    A::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Runs one of the commands of [`Tool`] to its exit code.
pub fn run<A: Arguments>(args: &A, tool: &Tool) -> u8 {
    let done = match tool {
        Tool::Doctor { output } => return doctor::main(args, *output),
        Tool::Completions { shell } => completions(command::<A>(), *shell),
        Tool::Man { dir: None } => page(command::<A>()),
        Tool::Man { dir: Some(dir) } => pages(command::<A>(), dir),
    };
    match done {
        Ok(()) => OK,
        Err(error) => {
            eprintln!("error: {error:#}");
            FAILED
        }
    }
}

fn completions(mut command: Command, shell: Shell) -> anyhow::Result<()> {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    print(&text)
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

/// Whoever reads may stop when they have seen enough.
fn print(text: &[u8]) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
