//! The ports that a process would open.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use procfs::net::{TcpNetEntry, TcpState};
use procfs::process::FDTarget;

use super::{Findings, Subject};

/// Whether each listener has its port, or can have it.
pub(super) fn listeners(subject: &Subject, findings: &mut Findings) {
    const CHECK: &str = "port";
    for &(key, address) in &subject.listens {
        if address.port() == 0 {
            findings.ok(CHECK, format!("{key} takes a free one"));
            continue;
        }
        match TcpListener::bind(address) {
            Ok(_) => findings.ok(CHECK, format!("{key}: {address} is free")),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                in_use(subject.process, key, address, findings);
            }
            Err(error) => findings.fail(
                CHECK,
                format!("{key}: {address}: {error}"),
                format!("choose another address with `--set {key}=HOST:PORT`"),
            ),
        }
    }
}

fn in_use(process: &str, key: &'static str, address: SocketAddr, findings: &mut Findings) {
    const CHECK: &str = "port";
    match holder(address.port()) {
        Some((pid, name)) if name == process => findings.ok(
            CHECK,
            format!("{key}: {address} is held by a running {name}, process {pid}"),
        ),
        Some((pid, name)) => findings.fail(
            CHECK,
            format!("{key}: {address} is held by {name}, process {pid}"),
            format!("stop that, or choose another address with `--set {key}=HOST:PORT`"),
        ),
        None => findings.warn(
            CHECK,
            format!("{key}: {address} is in use by a process that cannot be seen from here"),
            format!(
                "nothing if the {process} runs; else find it with `ss -ltnp`, or choose another address with \
                 `--set {key}=HOST:PORT`"
            ),
        ),
    }
}

/// The process that listens on a port, if it is one whose files may be seen.
fn holder(port: u16) -> Option<(i32, String)> {
    let of = |entries: Vec<TcpNetEntry>| {
        entries
            .into_iter()
            .filter(|entry| entry.state == TcpState::Listen && entry.local_address.port() == port)
            .map(|entry| entry.inode)
            .collect::<Vec<_>>()
    };
    let mut inodes = procfs::net::tcp().map(of).unwrap_or_default();
    inodes.extend(procfs::net::tcp6().map(of).unwrap_or_default());
    procfs::process::all_processes()
        .ok()?
        .flatten()
        .find(|process| {
            let files = process.fd().into_iter().flatten().flatten();
            files.into_iter().any(
                |file| matches!(file.target, FDTarget::Socket(inode) if inodes.contains(&inode)),
            )
        })
        .and_then(|process| Some((process.pid, process.stat().ok()?.comm)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    fn subject(process: &'static str, address: SocketAddr) -> Subject {
        let mut subject = Subject::client_of_a_test(process);
        subject.listens = vec![("broker.listen", address)];
        subject
    }

    #[test]
    fn a_port_of_another_process_fails_and_names_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let mut findings = Findings::default();
        listeners(&subject("broker", address), &mut findings);
        assert_eq!(findings.worst(), Status::Fail, "{findings:?}");
        let id = std::process::id().to_string();
        assert!(findings.all[0].detail.contains(&id), "{findings:?}");
        assert!(
            findings.all[0]
                .remedy
                .as_ref()
                .unwrap()
                .contains("broker.listen")
        );

        // The same process may hold it.
        let (_, own) = holder(address.port()).unwrap();
        let mut findings = Findings::default();
        listeners(&subject(String::leak(own), address), &mut findings);
        assert_eq!(findings.worst(), Status::Ok, "{findings:?}");

        drop(taken);
        // Another test may take a port as soon as it is free.
        let is_free = |_| {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
            let mut findings = Findings::default();
            listeners(&subject("broker", address.unwrap()), &mut findings);
            findings.all[0].detail.contains("free")
        };
        assert!((0..20).any(is_free));
    }
}
