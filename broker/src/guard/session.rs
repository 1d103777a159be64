//! A client's connection, from the slot it has to the slot it gives back.

use bytes::{Bytes, BytesMut};
use rumqttd::protocol::{Packet, Publish};

use super::connect::{self, Client, UNAVAILABLE};
use super::encode;
use super::end::End;
use super::lane::Lane;
use super::packet::Will;
use super::reader::Reader;
use super::slots::{Claim, Denied};
use super::writer::Writer;
use super::{Guard, Stream, caps::lock, ledger};

/// Serves a client until either side has enough.
pub(super) async fn run(
    guard: &Guard,
    client: Client,
    mut stream: Stream,
    buffer: BytesMut,
) -> End {
    let mut claim = match guard.slots.claim(&client.client_id).await {
        Ok(claim) => claim,
        Err(Denied(reason)) => {
            let why = End::Refused(reason);
            let refused = connect::refuse::<()>(&mut stream, UNAVAILABLE, why).await;
            return refused.err().unwrap_or(End::Closed);
        }
    };
    if client.clean {
        claim.session.filters.clear();
        claim.session.unacknowledged.clear();
    }
    let link = guard.router.link(claim.router_name(), client.clean).await;
    let Ok(link) = link else {
        guard.slots.release(claim, false);
        return End::RouterGone;
    };
    let lane = Lane::new(client.client_id.clone(), link.to);
    resume(guard, &client, &claim, &lane);
    let wanted = claim.wanted();
    let (read, write) = tokio::io::split(stream);
    let mut writer = Writer::new(guard, &lane, link.from, write);
    writer.greet(&encode::connack(link.present, 0));
    writer.repeat(std::mem::take(&mut claim.session.unacknowledged));
    let filters = &mut claim.session.filters;
    let mut reader = Reader::new(guard, &lane, &client, filters, (read, buffer));
    let end = tokio::select! {
        biased;
        () = wanted => End::TakenOver,
        () = guard.stopped() => End::Stopped,
        end = reader.run() => end.err().unwrap_or(End::Closed),
        end = writer.run() => end.err().unwrap_or(End::Closed),
    };
    drop(reader);
    writer.finish().await;
    let woke = writer.woke;
    drop(writer);
    leave(guard, client, claim, lane, (&end, woke)).await;
    end
}

/// Messages of what a kept session subscribes to are required to reach it again.
fn resume(guard: &Guard, client: &Client, claim: &Claim, lane: &Lane) {
    let filters = claim.session.filters.iter();
    let required = filters.filter(|(filter, qos)| **qos > 0 && client.identity.is_required(filter));
    for (filter, _) in required {
        lane.require(&guard.ledger, filter);
    }
    guard.ledger.returned(&client.client_id);
}

/// Ends the router's side of a connection, with the last word of a client that left without one.
async fn leave(
    guard: &Guard,
    client: Client,
    mut claim: Claim,
    lane: Lane,
    (end, woke): (&End, bool),
) {
    let mut to = lane.to.into_inner();
    if !end.is_polite()
        && let Some(will) = client.will
    {
        let mut batch = vec![last_words(guard, will)];
        // The router has ended, or the next packet fails too.
        let _ = to.push(&mut batch, 0).await;
    }
    if woke {
        let _ = guard.router.fence().await;
    }
    let _ = to.disconnect().await;
    if client.clean {
        guard.ledger.leave(&client.client_id, None);
    } else {
        guard.ledger.away(&client.client_id);
        claim.session.unacknowledged = lock(&lane.deliveries).unacknowledged();
    }
    guard.slots.release(claim, !client.clean);
}

/// A will as the router takes it.
fn last_words(guard: &Guard, will: Will) -> Packet {
    let topic = String::from_utf8_lossy(&will.topic);
    if will.retain && !guard.retained.keep(&topic, &will.payload, will.qos.min(1)) {
        super::metrics::refused("retained");
    }
    // It does not wait: nobody is left who could.
    let _ = guard
        .ledger
        .append(&topic, ledger::size(&will.topic, &will.payload));
    let payload = Bytes::copy_from_slice(&will.payload);
    Packet::Publish(Publish::new(will.topic.clone(), payload, false), None)
}
