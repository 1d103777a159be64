//! A PostgreSQL server of Debian's package, on loopback, in a folder that is removed with it.
//!
//! It is for tests and for `bench chaos`: its account needs no password.

mod process;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// The folder with `initdb` and the other programs, where it is not Debian's.
const BIN: &str = "CIPHERWATT_POSTGRES_BIN";

/// The account of whoever connects.
pub const USER: &str = "cipherwatt";

/// Where Debian has the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A server. It is killed when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    port: u16,
}

impl Cluster {
    /// A new server that runs, with these settings besides, on any free port.
    ///
    /// # Errors
    /// PostgreSQL is not there, or does not start.
    pub fn start(settings: &[&str]) -> Result<Self> {
        Self::start_at(any_port()?, settings)
    }

    /// The same, on this port.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_at(port: u16, settings: &[&str]) -> Result<Self> {
        let cluster = Self::folder(port)?;
        let user = format!("--username={USER}");
        cluster.run("initdb", |command| {
            command.args([&user, "--auth=trust", "--data-checksums", "--no-sync"]);
            command
                .args(["--locale=C", "--encoding=UTF8", "-D"])
                .arg(cluster.data());
        })?;
        cluster.configure(settings)?;
        cluster.begin()?;
        Ok(cluster)
    }

    /// A standby that follows `primary`, which calls it `name`, on any free port.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn follow(primary: &Self, name: &str) -> Result<Self> {
        Self::follow_at(any_port()?, primary, name)
    }

    /// The same, on this port.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn follow_at(port: u16, primary: &Self, name: &str) -> Result<Self> {
        let cluster = Self::folder(port)?;
        let from = format!(
            "host=127.0.0.1 port={} user={USER} application_name={name}",
            primary.port
        );
        cluster.run("pg_basebackup", |command| {
            command.args(["--checkpoint=fast", "--write-recovery-conf", "--no-sync"]);
            command.args(["-d", &from, "-D"]).arg(cluster.data());
        })?;
        cluster.configure(&[])?;
        cluster.begin()?;
        Ok(cluster)
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn folder(port: u16) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("cipherwatt-postgres-")
            .tempdir_in("/tmp")
            .context("a folder for the database")?;
        process::give(folder.path())?;
        Ok(Self { folder, port })
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn configure(&self, settings: &[&str]) -> Result<()> {
        let path = self.data().join("postgresql.conf");
        let mut text = fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
        text += &format!(
            "\nlisten_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nmax_wal_senders = 4\nshared_buffers = '64MB'\n\
             wal_retrieve_retry_interval = '200ms'\nwal_keep_size = '256MB'\n",
            self.port
        );
        for setting in settings {
            text += setting;
            text.push('\n');
        }
        fs::write(&path, text).with_context(|| format!("writing {path:?}"))
    }

    /// Writes a file that only the server may read, and returns its path.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.data().join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        process::give(&path)?;
        Ok(path)
    }

    /// Adds a setting, which the server takes up at once.
    ///
    /// # Errors
    /// The server does not run.
    pub fn set(&self, setting: &str) -> Result<()> {
        self.configure(&[setting])?;
        self.run("pg_ctl", |command| {
            command.arg("reload").arg("-D").arg(self.data());
        })?;
        Ok(())
    }

    /// Starts what was killed.
    ///
    /// # Errors
    /// It does not start within a minute.
    pub fn begin(&self) -> Result<()> {
        self.run("pg_ctl", |command| {
            command.args(["start", "-w", "-t", "60", "-l"]);
            command
                .arg(self.folder.path().join("log"))
                .arg("-D")
                .arg(self.data());
        })?;
        Ok(())
    }

    /// As a loss of power is to the processes: SIGKILL, to all of them.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self) -> Result<()> {
        process::kill_all(self.postmaster()?, &self.data());
        // Nobody may have reaped it, and the next would take it for alive.
        Ok(fs::remove_file(self.pid_file())?)
    }

    /// The ids of its processes, that of the first of them first.
    ///
    /// # Errors
    /// It does not run.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let ids = process::with_children(self.postmaster()?).into_iter();
        Ok(ids.map(i32::unsigned_abs).collect())
    }

    fn pid_file(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }

    fn postmaster(&self) -> Result<i32> {
        let text = fs::read_to_string(self.pid_file()).context("the server does not run")?;
        let pid = text.lines().next().unwrap_or_default().parse();
        pid.context("postmaster.pid names no process")
    }

    /// Makes a primary of a standby.
    ///
    /// # Errors
    /// It is none, or does not run.
    pub fn promote(&self) -> Result<()> {
        self.run("pg_ctl", |command| {
            command.args(["promote", "-w", "-D"]).arg(self.data());
        })?;
        Ok(())
    }

    /// Runs SQL, and returns what psql prints of it.
    ///
    /// # Errors
    /// With what psql says.
    pub fn sql(&self, database: &str, text: &str) -> Result<String> {
        self.run("psql", |command| {
            command.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]);
            command.args(["-U", USER, "-p", &self.port.to_string(), "-d", database]);
            command.args(["-c", text]);
        })
    }

    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command)) -> Result<String> {
        let mut command = process::as_server(&bin()?.join(program))?;
        arguments(&mut command);
        // Not a pipe: a server that goes on would keep it open.
        let mut output = tempfile::tempfile_in(self.folder.path())?;
        let status = command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .status()
            .with_context(|| format!("starting {program} of PostgreSQL"))?;
        let text = process::read_from_start(&mut output)?;
        ensure!(status.success(), "{program} of PostgreSQL failed: {text}");
        Ok(text.trim_end().to_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.pid_file().exists() {
            // One that ended by itself leaves nothing to kill.
            let _ = self.kill();
        }
    }
}

/// Where the programs are: the newest version of Debian's unless the environment says otherwise.
fn bin() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os(BIN) {
        return Ok(folder.into());
    }
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let has_programs = |folder: &PathBuf| folder.join("initdb").exists();
    let version = |folder: &PathBuf| -> Option<u32> {
        folder
            .parent()
            .and_then(Path::file_name)?
            .to_str()?
            .parse()
            .ok()
    };
    let folders = versions.map(|entry| entry.path().join("bin"));
    folders.filter(has_programs).max_by_key(version).with_context(|| {
        format!(
            "PostgreSQL is not in {DEBIAN}: install it (Debian, Ubuntu: apt install postgresql), or set {BIN} to the folder with initdb"
        )
    })
}

fn any_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("a port for the database")?;
    Ok(listener.local_addr()?.port())
}
