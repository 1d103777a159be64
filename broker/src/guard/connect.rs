//! What comes before a session: TLS, CONNECT, and who the client is.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::caps::Share;
use super::encode;
use super::end::End;
use super::identity::{Identity, Shown};
use super::packet::{self, Connect, Limits, Next, Packet, PacketError, Will};
use super::standing::Standing;
use super::{Guard, Stream, metrics};

/// Largest CONNECT: a will's message has up to 65,535 bytes, and the rest is names.
const MAX_CONNECT: Limits = Limits {
    bytes: 80 << 10,
    filters: 1,
};

/// Longest client id, in bytes.
const MAX_CLIENT_ID: usize = 256;

/// Return codes of CONNACK.
const BAD_VERSION: u8 = 1;
const BAD_CLIENT_ID: u8 = 2;
pub(super) const UNAVAILABLE: u8 = 3;

/// A client that may have a session.
pub(super) struct Client {
    pub(super) client_id: String,
    pub(super) identity: Identity,
    pub(super) share: Share,
    pub(super) standing: Standing,
    pub(super) clean: bool,
    /// How long it may be silent; nothing: for ever.
    pub(super) keep_alive: Option<Duration>,
    pub(super) will: Option<Will>,
}

/// A stream over which a client may be, and what its certificates are.
pub(super) struct Reached {
    pub(super) stream: Stream,
    /// That of the client first.
    certificates: Vec<CertificateDer<'static>>,
}

/// The TLS handshake, if there is TLS.
pub(super) async fn reach(guard: &Guard, socket: TcpStream) -> Result<Reached, End> {
    let Some(acceptor) = guard.access.tls() else {
        return Ok(Reached {
            stream: Box::new(socket),
            certificates: Vec::new(),
        });
    };
    let stream = acceptor.accept(socket).await;
    let stream = stream.map_err(|_| End::Refused("tls"))?;
    metrics::handshake();
    let certificates = stream.get_ref().1.peer_certificates();
    let certificates = certificates.unwrap_or_default().iter();
    let certificates = certificates.map(|der| der.clone().into_owned()).collect();
    Ok(Reached {
        stream: Box::new(stream),
        certificates,
    })
}

/// Reads CONNECT and identifies the client. Whoever is refused is told by CONNACK.
pub(super) async fn admit(
    guard: &Guard,
    reached: &mut Reached,
    buffer: &mut BytesMut,
    peer: IpAddr,
) -> Result<Client, End> {
    let stream = &mut reached.stream;
    let mut connect = loop {
        match packet::next(buffer, MAX_CONNECT) {
            Ok(Next::Packet(Packet::Connect(connect))) => break connect,
            Ok(Next::Packet(_)) => return Err(PacketError::Malformed("first packet").into()),
            Ok(Next::Missing(_)) => {
                if stream.read_buf(buffer).await? == 0 {
                    return Err(End::Closed);
                }
            }
            Err(PacketError::Version) => {
                return refuse(stream, BAD_VERSION, PacketError::Version.into()).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    let id = &connect.client_id;
    let wrong = id.len() > MAX_CLIENT_ID || id.chars().any(char::is_control);
    if wrong || (id.is_empty() && !connect.clean) {
        return refuse(stream, BAD_CLIENT_ID, End::Refused("client_id")).await;
    }
    let shown = Shown {
        client_id: id,
        user: connect.user.as_deref(),
        password: connect.password.as_deref(),
        certificate: reached.certificates.first(),
        peer,
    };
    let reloads = guard.access.reloads();
    let identity = match guard.access.identify(shown).await {
        Ok(identity) => identity,
        Err(refused) => return refuse(stream, refused.code, End::Denied(refused)).await,
    };
    if connect.client_id.is_empty() {
        connect.client_id = assigned();
    }
    let share = match guard.caps.identify(identity.name()) {
        Ok(share) => share,
        Err(reason) => return refuse(stream, UNAVAILABLE, End::Refused(reason)).await,
    };
    let chain = std::mem::take(&mut reached.certificates);
    let proof = guard.access.proof(connect.user.take(), chain);
    let standing = Standing::new(&guard.access, proof, reloads, &guard.ends);
    Ok(client(guard, connect, (identity, share, standing)))
}

fn client(
    guard: &Guard,
    connect: Connect,
    (identity, share, standing): (Identity, Share, Standing),
) -> Client {
    let allowed = |will: &Will| {
        let topic = std::str::from_utf8(&will.topic).unwrap_or_default();
        let allowed = packet::is_routable(topic) && identity.may_publish(topic, will.retain);
        if !allowed {
            metrics::refused("not_allowed");
            if guard.quiet.passes() {
                let identity = identity.name();
                tracing::warn!(identity, topic, "a will may not be published to its topic");
            }
        }
        allowed
    };
    let will = connect.will.filter(allowed);
    let silence = Duration::from_secs(connect.keep_alive.into()) * 3 / 2;
    Client {
        client_id: connect.client_id,
        clean: connect.clean || identity.is_doctor(),
        identity,
        share,
        standing,
        keep_alive: (!silence.is_zero()).then_some(silence),
        will,
    }
}

/// An id for a client that leaves it to the broker. No client can have chosen it: it has a control character.
fn assigned() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("assigned\u{1}{number}")
}

/// Tells a client why it is refused.
pub(super) async fn refuse<T>(stream: &mut Stream, code: u8, why: End) -> Result<T, End> {
    stream.write_all(&encode::connack(false, code)).await?;
    stream.shutdown().await?;
    Err(why)
}
