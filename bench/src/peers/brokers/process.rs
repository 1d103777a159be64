//! A broker in a process of its own.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use harness::process::own_binary;
use service::config::Settings;
use tokio::process::{Child, Command};

/// Longest wait until a broker listens.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Rumqttd,
    Mosquitto { unlimited: bool },
}

pub(super) fn start(kind: Kind, settings: &Settings, port: u16, folder: &Path) -> Result<Child> {
    let mut command = match kind {
        Kind::Rumqttd => {
            let mut settings = settings.clone();
            settings.broker.listen = (Ipv4Addr::LOCALHOST, port).into();
            settings.broker.metrics_listen = None;
            let config = folder.join("broker.toml");
            std::fs::write(&config, toml::to_string(&settings)?).context("broker.toml")?;
            let mut command = Command::new(own_binary()?);
            command.args(["serve", "broker", "--config"]).arg(config);
            command
        }
        Kind::Mosquitto { unlimited } => {
            let binary = mosquitto().context("apt install mosquitto")?;
            let config = folder.join("mosquitto.conf");
            std::fs::write(&config, mosquitto_conf(port, unlimited)).context("mosquitto.conf")?;
            let mut command = Command::new(binary);
            command.arg("-c").arg(config);
            command
        }
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("the broker cannot be started")
}

fn mosquitto_conf(port: u16, unlimited: bool) -> String {
    let queue = if unlimited {
        "max_queued_messages 0\n"
    } else {
        ""
    };
    format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\n{queue}"
    )
}

/// Debian has it in `/usr/sbin`, which is not in everybody's path.
fn mosquitto() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join("mosquitto"))
        .find(|binary| binary.is_file())
}

pub(super) async fn listening(child: &mut Child, port: u16) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if let Some(status) = child.try_wait()? {
            bail!("the broker ended: {status}");
        }
        ensure!(Instant::now() < until, "the broker does not listen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mosquitto_listens_on_loopback_alone() {
        let conf = mosquitto_conf(4_711, true);
        assert!(conf.contains("listener 4711 127.0.0.1\n"));
        assert!(conf.contains("max_queued_messages 0\n"));
        assert!(!mosquitto_conf(4_711, false).contains("max_queued"));
    }
}
