//! The server's processes, and the account that they run under.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, geteuid, kill_process};

/// The account that servers run under, where this process may choose: they do not run as root.
fn account() -> Result<Option<(u32, u32)>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd")?;
    let account = accounts.lines().find(|line| line.starts_with("postgres:"));
    let account = account.context("there is no account postgres, which Debian's package makes")?;
    let mut numbers = account.split(':').skip(2).map(str::parse);
    let mut number = || {
        numbers
            .next()
            .context("an account has numbers")?
            .context("of an account")
    };
    Ok(Some((number()?, number()?)))
}

/// Gives a file or folder to the server.
pub(crate) fn give(path: &Path) -> Result<()> {
    if let Some((user, group)) = account()? {
        chown(path, Some(user), Some(group))?;
    }
    Ok(())
}

/// The command that runs a program under the server's account.
pub(crate) fn as_server(program: &Path) -> Result<Command> {
    let Some((user, group)) = account()? else {
        return Ok(Command::new(program));
    };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}"));
    command.arg(format!("--regid={group}"));
    command.arg("--clear-groups").arg(program);
    Ok(command)
}

/// Kills a server that works in `data` and its children, and waits until they are gone. Does nothing if it ended by itself, and its
/// number is another process's by now.
pub(crate) fn kill_all(server: i32, data: &Path) {
    let works_in = fs::read_link(format!("/proc/{server}/cwd"));
    let data = fs::canonicalize(data);
    if works_in.is_ok_and(|works_in| data.is_ok_and(|data| data != works_in)) {
        return;
    }
    // It starts no more.
    send(server, Signal::STOP);
    let all = with_children(server);
    all.iter().for_each(|pid| send(*pid, Signal::KILL));
    while all.iter().any(|pid| runs(*pid)) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn send(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

/// All that was written to a file.
pub(crate) fn read_from_start(file: &mut File) -> Result<String> {
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// A process and its children.
pub(crate) fn with_children(parent: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let text = text.unwrap_or_default();
    let children = text.split_whitespace().filter_map(|pid| pid.parse().ok());
    [parent].into_iter().chain(children).collect()
}

fn runs(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}
