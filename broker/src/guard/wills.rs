//! What is published for a client that is gone without a word. It is held to the limits of its client's other messages, but it
//! cannot wait: nobody is left who could.

use bytes::{BufMut as _, BytesMut};
use rumqttd::protocol::Packet as Routed;

use super::connect::Client;
use super::encode::{self, QOS1, RETAIN};
use super::packet::{self, Limits, Next, Packet, Publish, Will};
use super::{Guard, ledger, metrics};

/// A will as the router takes it, unless it is refused.
pub(super) fn last_words(guard: &Guard, client: &Client, will: &Will) -> Option<Routed> {
    let topic = std::str::from_utf8(&will.topic).ok()?;
    let publish = published(will)?;
    if let Err(reason) = admit(guard, client, topic, &publish) {
        metrics::refused(reason);
        if guard.quiet.passes() {
            tracing::warn!(
                client = client.client_id,
                identity = client.identity.name(),
                reason,
                topic,
                "a will is not published"
            );
        }
        return None;
    }
    let payload = &publish.message.payload;
    guard.traffic.received.increment(1);
    guard.traffic.received_bytes.increment(payload.len() as u64);
    guard.learn(topic, payload);
    Some(Routed::Publish(publish.message, None))
}

/// As if the client had published it.
fn published(will: &Will) -> Option<Publish> {
    let id = (will.qos > 0).then_some(1);
    let mut flags = if id.is_some() { QOS1 } else { 0 };
    if will.retain {
        flags |= RETAIN;
    }
    let mut frame = BytesMut::new();
    encode::publish(&mut frame, flags, &will.topic, id, will.payload.len());
    frame.put_slice(&will.payload);
    let limits = Limits {
        bytes: frame.len(),
        filters: 0,
    };
    match packet::next(&mut frame, limits) {
        Ok(Next::Packet(Packet::Publish(publish))) => Some(publish),
        // Its topic was checked with CONNECT.
        _ => None,
    }
}

fn admit(
    guard: &Guard,
    client: &Client,
    topic: &str,
    publish: &Publish,
) -> Result<(), &'static str> {
    let identity = &client.identity;
    if !identity.may_publish(topic, publish.retain) {
        return Err("not_allowed");
    }
    if !client.share.published(1).is_zero() {
        return Err("rate");
    }
    let names = &guard.names;
    if !names.admit_topic(names.key(topic.as_bytes()), identity.name()) {
        return Err("topics");
    }
    let payload = &publish.message.payload;
    if !guard
        .ledger
        .append(topic, ledger::size(topic.as_bytes(), payload))
    {
        return Err("will");
    }
    let qos = u8::from(publish.id.is_some());
    if publish.retain && !guard.retained.keep(topic, payload, qos) {
        return Err("retained");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_will_goes_to_the_router_as_its_client_would_have_published_it() {
        for (qos, retain) in [(0, true), (1, false), (2, true)] {
            let will = Will {
                topic: "gone".into(),
                payload: "x".into(),
                qos,
                retain,
            };
            let publish = published(&will).unwrap();
            assert_eq!((publish.id.is_some(), publish.retain), (qos > 0, retain));
            assert_eq!(&publish.message.payload[..], b"x");
        }
    }
}
