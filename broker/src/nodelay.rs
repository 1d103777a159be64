//! TCP_NODELAY for the connections of rumqttd, which neither sets it nor lets its sockets be had.
//!
//! Without it a packet waits until the one before it is acknowledged, and a client that has nothing to send acknowledges
//! after 40 ms: a timer in the path of every receipt. On Linux an accepted socket takes the option from the socket that
//! listens, and a process can have a second descriptor of a socket it knows by number.

use std::io;
use std::net::SocketAddr;

use procfs::net::{TcpNetEntry, TcpState, tcp, tcp6};
use procfs::process::{FDTarget, Process};
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Sets it for every connection accepted at `address` from now on.
///
/// # Errors
/// If this process does not listen there, or the kernel is older than Linux 5.6.
pub(crate) fn set(address: SocketAddr) -> io::Result<()> {
    let listens =
        |entry: &TcpNetEntry| entry.local_address == address && entry.state == TcpState::Listen;
    // Without IPv6 there is no second table.
    let mut entries = [tcp(), tcp6()].into_iter().flatten().flatten();
    let inode = entries.find(listens).map(|entry| entry.inode);
    let inode = inode.ok_or_else(|| io::Error::other("nobody listens"))?;
    let mut descriptors = Process::myself()
        .and_then(|process| process.fd())
        .map_err(io::Error::other)?;
    let ours = descriptors.find_map(|descriptor| {
        let descriptor = descriptor.ok()?;
        matches!(descriptor.target, FDTarget::Socket(of) if of == inode).then_some(descriptor.fd)
    });
    let ours = ours.ok_or_else(|| io::Error::other("another process listens"))?;
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    let socket = pidfd_getfd(process, ours, PidfdGetfdFlags::empty())?;
    Ok(set_tcp_nodelay(socket, true)?)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_accepted_afterwards_send_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = || {
            let _client = TcpStream::connect(address).unwrap();
            listener.accept().unwrap().0.nodelay().unwrap()
        };
        assert!(!accepted(), "nothing would be shown");
        set(address).unwrap();
        assert!(accepted());
    }

    #[test]
    fn an_address_nobody_listens_at_is_an_error() {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert!(set(address).is_err());
    }
}
