//! A client's connection, from the slot it has to the slot it gives back.

use std::collections::BTreeMap;

use bytes::BytesMut;
use rumqttd::protocol::Packet;

use super::connect::{self, Client, UNAVAILABLE};
use super::encode;
use super::end::End;
use super::lane::Lane;
use super::reader::Reader;
use super::router::{Gone, Link};
use super::slots::{Claim, Denied};
use super::writer::Writer;
use super::{Guard, Stream, caps::lock, wills};

/// Serves a client until either side has enough.
pub(super) async fn run(
    guard: &Guard,
    client: Client,
    mut stream: Stream,
    buffer: BytesMut,
) -> End {
    let keeper = (!client.clean).then(|| client.identity.name());
    let mut claim = match guard.slots.claim(&client.client_id, keeper).await {
        Ok(claim) => claim,
        Err(Denied(reason)) => {
            let why = End::Refused(reason);
            let refused = connect::refuse::<()>(&mut stream, UNAVAILABLE, why).await;
            return refused.err().unwrap_or(End::Closed);
        }
    };
    let Ok(link) = link(guard, &client, &mut claim).await else {
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
        () = lane.given_up.notified() => End::Refused("required"),
        () = client.standing.lost() => End::Revoked(client.identity.name().to_owned()),
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

/// The client's link to the router, which goes on with the session that was kept only if it is this client's.
async fn link(guard: &Guard, client: &Client, claim: &mut Claim) -> Result<Link, Gone> {
    if client.clean || !claim.session.is_of(&client.identity) {
        if claim.session.owner.is_some() && !client.clean {
            guard.router.forget(claim.router_name()).await?;
        }
        guard.ledger.leave(&client.client_id, None);
        claim.session.clear();
    }
    if !client.clean {
        claim.session.owner = Some(client.identity.name().to_owned());
    }
    guard.router.link(claim.router_name(), client.clean).await
}

/// Messages of what a kept session subscribes to are required to reach it again.
fn resume(guard: &Guard, client: &Client, claim: &Claim, lane: &Lane) {
    let filters = claim.session.filters.iter();
    let required = filters.filter(|(filter, qos)| **qos > 0 && client.identity.is_required(filter));
    // Of those that overlap the same one counts as before.
    let required: BTreeMap<_, _> = required.collect();
    for filter in required.into_keys() {
        lane.require(&guard.ledger, filter);
    }
    guard.ledger.returned(&client.client_id);
}

/// Ends the router's side of a connection, with the last word of a client that left without one.
async fn leave(
    guard: &Guard,
    mut client: Client,
    mut claim: Claim,
    lane: Lane,
    (end, woke): (&End, bool),
) {
    let mut to = lane.to.into_inner();
    if end.publishes_will()
        && let Some(will) = client.will.take()
    {
        let mut batch: Vec<Packet> = wills::last_words(guard, &client, &will)
            .into_iter()
            .collect();
        // The router has ended, or the next packet fails too.
        let _ = to.push(&mut batch, 0).await;
    }
    if woke {
        let _ = guard.router.fence().await;
    }
    let _ = to.disconnect().await;
    let keep = !client.clean && !matches!(end, End::Revoked(_));
    if keep {
        guard.ledger.away(&client.client_id);
        claim.session.unacknowledged = lock(&lane.deliveries).unacknowledged();
    } else {
        guard.ledger.leave(&client.client_id, None);
        if !client.clean {
            // Nobody comes back to it. The router has ended, or forgets it.
            let _ = guard.router.forget(claim.router_name()).await;
        }
    }
    guard.slots.release(claim, keep);
}
