//! A broker in a process of its own.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use accounts::Authority;
use anyhow::{Context as _, Result, bail, ensure};
use harness::process::own_binary;
use service::config::{Mqtt, Settings};
use tokio::process::{Child, Command};

/// Longest wait until a broker listens.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Without anything in front of it.
    Rumqttd,
    Ours {
        tls: bool,
    },
    Mosquitto {
        unlimited: bool,
    },
}

/// What a broker is started with.
pub(super) struct Start<'a> {
    pub(super) settings: &'a Settings,
    pub(super) rumqttd: Option<&'a Path>,
    pub(super) folder: &'a Path,
    pub(super) port: u16,
}

impl Start<'_> {
    /// How clients reach it.
    pub(super) fn clients(&self, kind: Kind) -> Mqtt {
        let mut mqtt = self.settings.mqtt.clone();
        mqtt.address = format!("127.0.0.1:{}", self.port);
        if kind == (Kind::Ours { tls: true }) {
            mqtt.address = format!("mqtts://localhost:{}", self.port);
            mqtt.ca_file = Some(self.folder.join("ca.crt"));
        }
        mqtt
    }

    pub(super) fn child(&self, kind: Kind) -> Result<Child> {
        let mut command = match kind {
            Kind::Rumqttd => {
                let binary = self.rumqttd.context("bench/peers did not build it")?;
                let mut command = Command::new(binary);
                command.arg(self.port.to_string());
                command
            }
            Kind::Ours { tls } => self.ours(tls)?,
            Kind::Mosquitto { unlimited } => {
                let binary = mosquitto().context("apt install mosquitto")?;
                let config = self.folder.join("mosquitto.conf");
                std::fs::write(&config, mosquitto_conf(self.port, unlimited))
                    .context("mosquitto.conf")?;
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

    fn ours(&self, tls: bool) -> Result<Command> {
        let mut settings = self.settings.clone();
        let broker = &mut settings.broker;
        broker.listen = (Ipv4Addr::LOCALHOST, self.port).into();
        broker.metrics_listen = None;
        // All come from one address here.
        broker.max_connections_per_address = broker.max_connections;
        if tls {
            let (certificate, key) = self.certificates()?;
            broker.certificate_file = Some(certificate);
            broker.key_file = Some(key);
        }
        let config = self.folder.join("broker.toml");
        std::fs::write(&config, toml::to_string(&settings)?).context("broker.toml")?;
        let mut command = Command::new(own_binary()?);
        command.args(["serve", "broker", "--config"]).arg(config);
        Ok(command)
    }

    /// The broker's certificate and key, and beside them that of their authority.
    fn certificates(&self) -> Result<(PathBuf, PathBuf)> {
        let (authority, ca) = Authority::generate("bench")?;
        let issued = authority.server(&["localhost".to_owned()], 1)?;
        let file = |name: &str| self.folder.join(name);
        std::fs::write(file("ca.crt"), &ca.certificate)?;
        std::fs::write(file("broker.crt"), &issued.certificate)?;
        let key = file("broker.key");
        service::files::write_atomic(&key, issued.key.as_bytes(), service::files::PRIVATE)?;
        Ok((file("broker.crt"), key))
    }
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
