//! `broker passwd`: gives a user a password, or takes a user out.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use accounts::{Name, Passwords};
use anyhow::{Context as _, bail, ensure};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use service::{Settings, Stop};
use zeroize::Zeroizing;

/// Gives `user` in `file` the password that is typed, or that stands on the first line of standard input; or takes the
/// user out. The file is made if there is none.
///
/// # Errors
/// If the user is of no role, the password cannot be used, or the file cannot be read or written.
pub async fn run(
    settings: &Settings,
    file: &Path,
    user: &str,
    delete: bool,
    stop: Stop,
) -> anyhow::Result<()> {
    let name: Name = user.parse()?;
    let roles = &settings.broker.roles;
    let known: Vec<&str> = roles.keys().map(String::as_str).collect();
    ensure!(
        delete || roles.contains_key(name.role()),
        "there is no role {} in broker.roles: a user's name begins with one of {}",
        name.role(),
        known.join(", ")
    );
    if let Some(role) = roles.get(name.role()).filter(|_| !delete) {
        let allowed = settings.publish.check_client(role, name.id());
        allowed.context("publish.recipients has this reader: give the account another id, or the recipient another reader")?;
    }
    let users = Passwords::read_if_there(file)?;
    let is_new = users.is_none();
    let mut users = users.unwrap_or_default();
    if delete {
        let removed = users.remove(&name);
        ensure!(removed, "{name} is not in {}", file.display());
    } else {
        users.set(&name, typed(&name, stop).await?.as_bytes())?;
    }
    users.write(file)?;
    let shown = file.display();
    match (delete, is_new) {
        (true, _) => println!("{name} is no longer in {shown}"),
        (false, true) => {
            println!("{name} is in {shown}, which is new: name it in broker.password_file")
        }
        (false, false) => println!("{name} is in {shown}"),
    }
    println!("A running broker reads it on SIGHUP.");
    Ok(())
}

async fn typed(name: &Name, stop: Stop) -> anyhow::Result<Zeroizing<String>> {
    if !io::stdin().is_terminal() {
        return line(&stop).await;
    }
    let _quiet = Quiet::begin().context("cannot hide what is typed")?;
    let first = ask(&format!("Password for {name}: "), &stop).await?;
    let second = ask("The same again: ", &stop).await?;
    ensure!(
        first == second,
        "the two passwords differ: nothing is changed"
    );
    Ok(first)
}

async fn ask(prompt: &str, stop: &Stop) -> anyhow::Result<Zeroizing<String>> {
    eprint!("{prompt}");
    io::stderr().flush()?;
    let line = line(stop).await;
    eprintln!();
    line
}

/// The next line of standard input, without its end.
async fn line(stop: &Stop) -> anyhow::Result<Zeroizing<String>> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = Zeroizing::new(String::with_capacity(4_096));
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let mut line = tokio::select! {
        read = read => read?.context("cannot read the password")?,
        // The thread that reads ends with the process.
        () = stop.stopped() => bail!("interrupted: nothing is changed"),
    };
    let end = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(end);
    Ok(line)
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // There is nobody to tell if the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
