//! What it takes to run processes under test: this binary, free ports, signals.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result, bail, ensure};

/// Ports to choose from: below those the system gives to outgoing connections, so that none takes a port while the
/// process that listens there is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// This binary. On Linux even one that has been rebuilt meanwhile, so that all lives are of one build.
///
/// # Errors
/// Where its path is unknown.
pub fn own_binary() -> Result<PathBuf> {
    let own = PathBuf::from("/proc/self/exe");
    if File::open(&own).is_ok() {
        return Ok(own);
    }
    std::env::current_exe().context("this binary's path")
}

/// An address of the loopback interface that nobody listens at, and that this process is given once.
///
/// # Errors
/// Where there is none.
pub fn free_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = PORTS.start + (std::process::id() % 1_000) as u16 * 11;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if !PORTS.contains(&port) {
            bail!("no free port from {first} to {}", PORTS.end);
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
}

/// Sends a process the signal of this name, such as `TERM`.
///
/// # Errors
/// Where there is no such process.
pub fn signal(process: u32, name: &str) -> Result<()> {
    let mut kill = std::process::Command::new("kill");
    let sent = kill
        .args([&format!("-{name}"), &process.to_string()])
        .status();
    ensure!(
        sent.context("kill cannot be started")?.success(),
        "no process {process} takes SIG{name}"
    );
    Ok(())
}
