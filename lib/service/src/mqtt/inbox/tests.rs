use super::*;

fn message(connection: u64, sequence: u64) -> Event {
    Event::Message(Incoming {
        topic: "t".to_owned(),
        payload: Bytes::new(),
        retain: false,
        ticket: Ticket {
            bulk: false,
            connection,
            sequence,
        },
    })
}

fn inbox() -> (Inbox, Arc<Shared>) {
    Inbox::new(mpsc::unbounded_channel().0)
}

#[tokio::test]
async fn events_come_out_in_order_and_end_when_told() {
    let (mut inbox, shared) = inbox();
    shared.push(Event::Connected);
    shared.push(message(1, 1));
    assert!(matches!(inbox.recv().await, Some(Event::Connected)));
    assert!(matches!(inbox.recv().await, Some(Event::Message(_))));
    shared.push(message(1, 2));
    shared.end();
    assert!(inbox.recv().await.is_none());
    shared.push(message(1, 3));
    assert!(inbox.recv().await.is_none());
}

#[tokio::test]
async fn bulk_comes_last_and_is_acknowledged_where_it_came_from() {
    let (acks, mut acknowledged) = mpsc::unbounded_channel();
    let (mut inbox, control) = Inbox::new(acks);
    let (acks, mut acknowledged_bulk) = mpsc::unbounded_channel();
    let bulk = inbox.with_bulk(acks);
    for sequence in 1..=3 {
        let Event::Message(mut report) = message(1, sequence) else {
            unreachable!()
        };
        report.ticket.bulk = true;
        bulk.push(Event::Message(report));
    }
    control.push(message(1, 7));
    let mut order = Vec::new();
    for _ in 0..4 {
        let Some(Event::Message(incoming)) = inbox.recv().await else {
            unreachable!()
        };
        order.push(incoming.ticket.sequence);
        inbox.ack(&incoming);
    }
    assert_eq!(order, [7, 1, 2, 3]);
    assert_eq!(acknowledged.try_recv().map(|ticket| ticket.sequence), Ok(7));
    assert!(acknowledged.try_recv().is_err());
    assert_eq!(acknowledged_bulk.len(), 3);
    assert!(acknowledged_bulk.try_recv().is_ok_and(|ticket| ticket.bulk));
    control.end();
    assert!(inbox.recv().await.is_none());
}

#[tokio::test]
async fn two_connections_are_connected_once_both_are() {
    let (mut inbox, control) = inbox();
    let bulk = inbox.with_bulk(mpsc::unbounded_channel().0);
    let lost = || Event::Disconnected {
        error: LinkError::SubscriptionRefused {
            filter: "f".to_owned(),
        },
    };
    bulk.push(Event::Connected);
    control.push(lost());
    control.push(Event::Connected);
    assert!(matches!(
        inbox.recv().await,
        Some(Event::Disconnected { .. })
    ));
    // The first one of bulk is still to come.
    assert!(matches!(inbox.recv().await, Some(Event::Connected)));
    bulk.push(lost());
    assert!(matches!(
        inbox.recv().await,
        Some(Event::Disconnected { .. })
    ));
    control.push(Event::Connected);
    control.push(message(1, 1));
    assert!(matches!(inbox.recv().await, Some(Event::Message(_))));
    bulk.push(Event::Connected);
    assert!(matches!(inbox.recv().await, Some(Event::Connected)));
}

#[test]
fn a_full_inbox_drops_what_will_be_delivered_again() {
    let (inbox, shared) = inbox();
    for sequence in 1..=LIMIT as u64 - 1 {
        assert_eq!(shared.push(message(1, sequence)), 0);
    }
    assert_eq!(shared.push(message(2, 1)), 0);
    assert_eq!(shared.push(message(2, 2)), LIMIT - 1);
    assert_eq!(inbox.len(), 2);
}

#[test]
fn a_full_inbox_keeps_what_only_this_connection_has() {
    let (inbox, shared) = inbox();
    for sequence in 1..=LIMIT as u64 {
        shared.push(message(1, sequence));
    }
    // QoS 0 may be lost, QoS 1 of this connection may not.
    assert_eq!(shared.push(message(1, 0)), 1);
    assert_eq!(inbox.len(), LIMIT);
    assert_eq!(shared.push(message(1, 1_000)), 0);
    assert_eq!(inbox.len(), LIMIT + 1);
}
