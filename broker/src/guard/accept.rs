//! The loop that accepts connections. It does nothing else: whoever is slow to say who it is waits in its own task.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::sockopt::set_socket_keepalive;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::caps::Connection;
use super::connect::{self, Client};
use super::end::End;
use super::{Guard, Stream, metrics, session};

/// Pause after a connection could not be accepted, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the guard stops.
pub(super) async fn run(guard: Arc<Guard>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = guard.stopped() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => match guard.caps.connect(peer.ip()) {
                Ok(permit) => {
                    tokio::spawn(serve(guard.clone(), socket, peer, permit));
                }
                Err(reason) => guard.ended(peer, &End::Refused(reason)),
            },
            // The client is gone already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                metrics::refused("descriptors");
                if guard.quiet.passes() {
                    tracing::error!(
                        "no connection can be accepted, trying again: {error}; raise the limit of open files (ulimit -n) \
                         or lower broker.max_connections"
                    );
                }
                sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(guard: Arc<Guard>, socket: TcpStream, peer: SocketAddr, permit: Connection) {
    metrics::connections(guard.caps.connected());
    let end = match begin(&guard, socket, peer).await {
        Ok((client, stream, buffer)) => session::run(&guard, client, stream, buffer).await,
        Err(end) => end,
    };
    guard.ended(peer, &end);
    drop(permit);
    metrics::connections(guard.caps.connected());
}

/// Everything up to a client that may have a session, within the time for it.
async fn begin(
    guard: &Guard,
    socket: TcpStream,
    peer: SocketAddr,
) -> Result<(Client, Stream, BytesMut), End> {
    let _handshake = guard.caps.handshake(peer.ip()).map_err(End::Refused)?;
    // Without it a packet waits for the acknowledgement of the one before, which the client's kernel delays by 40 ms.
    socket.set_nodelay(true)?;
    // A client with keep-alive 0 that was switched off is noticed by the kernel.
    set_socket_keepalive(&socket, true).map_err(io::Error::from)?;
    let admitted = timeout(guard.limits.handshake_timeout, async {
        let mut reached = connect::reach(guard, socket).await?;
        let mut buffer = BytesMut::with_capacity(1_024);
        let client = connect::admit(guard, &mut reached, &mut buffer, peer.ip()).await?;
        Ok((client, reached.stream, buffer))
    });
    let stopped = guard.stopped();
    tokio::select! {
        admitted = admitted => admitted.unwrap_or(Err(End::Refused("timeout"))),
        () = stopped => Err(End::Stopped),
    }
}
