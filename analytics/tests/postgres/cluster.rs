//! A PostgreSQL server of Debian's package, on loopback, in a folder that goes with it.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use service::Settings;
use tempfile::TempDir;

/// Where the programs are: `.ci/postgres` says so.
const BIN: &str = "CIPHERWATT_POSTGRES_BIN";

pub(crate) struct Cluster {
    folder: TempDir,
    pub(crate) port: u16,
}

impl Cluster {
    /// A new server that runs, with these settings besides.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let cluster = Self::folder();
        cluster.run("initdb", |command| {
            command.args([
                "--username=cipherwatt",
                "--auth=trust",
                "--data-checksums",
                "--no-sync",
            ]);
            command
                .args(["--locale=C", "--encoding=UTF8", "-D"])
                .arg(cluster.data());
        });
        cluster.configure(settings);
        cluster.begin();
        cluster
    }

    /// A standby that follows `primary`, which calls it `name`.
    pub(crate) fn follow(primary: &Self, name: &str) -> Self {
        let cluster = Self::folder();
        cluster.run("pg_basebackup", |command| {
            let from = format!(
                "host=127.0.0.1 port={} user=cipherwatt application_name={name}",
                primary.port
            );
            command.args([
                "--checkpoint=fast",
                "--write-recovery-conf",
                "--no-sync",
                "-d",
                &from,
                "-D",
            ]);
            command.arg(cluster.data());
        });
        cluster.configure(&[]);
        cluster.begin();
        cluster
    }

    fn folder() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("cipherwatt-postgres-")
            .tempdir_in("/tmp")
            .unwrap();
        if let Some((user, group)) = account() {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { folder, port }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn configure(&self, settings: &[&str]) {
        let path = self.data().join("postgresql.conf");
        let mut text = fs::read_to_string(&path).unwrap();
        text += &format!(
            "\nlisten_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nmax_wal_senders = 4\nshared_buffers = '64MB'\n",
            self.port
        );
        for setting in settings {
            text += setting;
            text.push('\n');
        }
        fs::write(&path, text).unwrap();
    }

    /// Writes a file that only the server may read, and returns its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.data().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = account() {
            chown(&path, Some(user), Some(group)).unwrap();
        }
        path
    }

    /// Adds a setting, which the server takes up at once.
    pub(crate) fn set(&self, setting: &str) {
        self.configure(&[setting]);
        self.run("pg_ctl", |command| {
            command.arg("reload").arg("-D").arg(self.data());
        });
    }

    /// Starts what was killed.
    pub(crate) fn begin(&self) {
        self.run("pg_ctl", |command| {
            command.args(["start", "-w", "-t", "60", "-l"]);
            command
                .arg(self.folder.path().join("log"))
                .arg("-D")
                .arg(self.data());
        });
    }

    /// As a loss of power is to the processes: SIGKILL, to all of them.
    pub(crate) fn kill(&self) {
        let pid = self.pid();
        for pid in [pid].into_iter().chain(children(pid)) {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        while runs(pid) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        // Nobody may have reaped it, and the next would take it for alive.
        fs::remove_file(self.data().join("postmaster.pid")).unwrap();
    }

    pub(crate) fn promote(&self) {
        self.run("pg_ctl", |command| {
            command.args(["promote", "-w", "-D"]).arg(self.data());
        });
    }

    fn pid(&self) -> i32 {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    /// Runs SQL, and returns what psql prints of it.
    pub(crate) fn sql(&self, database: &str, text: &str) -> String {
        self.run("psql", |command| {
            command.args([
                "-qAtX",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
                "-U",
                "cipherwatt",
            ]);
            command.args(["-p", &self.port.to_string(), "-d", database, "-c", text]);
        })
    }

    /// Settings that lead to a new database.
    pub(crate) fn database(&self, name: &str) -> Settings {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        let mut settings = Settings::defaults();
        settings.analytics.postgres.address = format!("127.0.0.1:{}", self.port);
        settings.analytics.postgres.database = name.to_owned();
        settings
    }

    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command)) -> String {
        let path = match std::env::var_os(BIN) {
            Some(folder) => Path::new(&folder).join(program),
            None => panic!("{BIN} is not set: run .ci/postgres"),
        };
        // Servers do not run as root.
        let mut command = match account() {
            None => Command::new(path),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}"));
                command.arg(format!("--regid={group}"));
                command.arg("--clear-groups").arg(path);
                command
            }
        };
        arguments(&mut command);
        let output = self.folder.path().join(format!("{program}.out"));
        let file = fs::File::create(&output).unwrap();
        fs::set_permissions(&output, fs::Permissions::from_mode(0o644)).unwrap();
        let status = command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .status()
            .unwrap();
        let text = fs::read_to_string(&output).unwrap();
        assert!(status.success(), "{program}: {text}");
        text.trim_end().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            self.kill();
        }
    }
}

/// The account that servers run under, where this process may choose.
fn account() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let account = accounts.lines().find(|line| line.starts_with("postgres:"));
    let account = account.expect("the account postgres, which Debian's package makes");
    let mut numbers = account.split(':').skip(2).map(|text| text.parse().unwrap());
    Some((numbers.next().unwrap(), numbers.next().unwrap()))
}

fn children(parent: i32) -> Vec<i32> {
    let read = || -> io::Result<Vec<i32>> {
        let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        Ok(text
            .split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect())
    };
    read().unwrap_or_default()
}

fn runs(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}
