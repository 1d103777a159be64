use super::*;

const LIMITS: Limits = Limits {
    bytes: 1_000,
    filters: 3,
};

fn read(bytes: &[u8]) -> Result<Next, PacketError> {
    next(&mut BytesMut::from(bytes), LIMITS)
}

fn packet(bytes: &[u8]) -> Packet {
    match read(bytes) {
        Ok(Next::Packet(packet)) => packet,
        other => panic!("{bytes:02x?}: {other:?}"),
    }
}

/// A packet with its length in front.
fn framed(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u8::try_from(body.len()).unwrap();
    assert!(length < 128);
    [&[first, length][..], &body].concat()
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

#[test]
fn a_message_comes_without_a_copy_of_its_id_and_says_its_qos() {
    let Packet::Publish(publish) = packet(b"\x33\x08\x00\x02ab\x00\x07hi") else {
        panic!();
    };
    assert_eq!((publish.id, publish.retain), (Some(7), true));
    assert_eq!(&publish.message.topic[..], b"ab");
    assert_eq!(&publish.message.payload[..], b"hi");
    let Packet::Publish(publish) = packet(b"\x30\x06\x00\x02abhi") else {
        panic!();
    };
    assert_eq!((publish.id, publish.retain), (None, false));
    assert_eq!(&publish.message.payload[..], b"hi");
}

#[test]
fn a_large_message_is_read_too() {
    let mut bytes = BytesMut::from(&b"\x32\x86\x80\x02\x00\x01t\x00\x09"[..]);
    let size = 2 * 128 * 128 + 6;
    bytes.resize(4 + size, 7);
    bytes.extend_from_slice(b"\xc0\x00");
    let Ok(Next::Packet(Packet::Publish(publish))) = next(
        &mut bytes,
        Limits {
            bytes: size,
            ..LIMITS
        },
    ) else {
        panic!();
    };
    assert_eq!(publish.message.payload.len(), size - 5);
    assert_eq!(&bytes[..], b"\xc0\x00");
}

#[test]
fn a_part_of_a_packet_says_how_much_is_missing() {
    let whole = framed(0x82, &[b"\x00\x01", &text("a/b"), b"\x00"]);
    for end in 0..whole.len() {
        let mut buffer = BytesMut::from(&whole[..end]);
        let Ok(Next::Missing(missing)) = next(&mut buffer, LIMITS) else {
            panic!("{end}");
        };
        assert!(missing > 0 && (end < 2 || end + missing == whole.len()));
        assert_eq!(buffer.len(), end, "nothing is taken");
    }
}

#[test]
fn first_bytes_and_lengths_that_no_client_sends_are_refused() {
    for first in 0..=255_u8 {
        let known = [
            0x10, 0x30, 0x31, 0x32, 0x33, 0x3a, 0x3b, 0x40, 0x82, 0xa2, 0xc0, 0xe0,
        ];
        let read = read(&[first]);
        match known.contains(&first) {
            true => assert!(matches!(read, Ok(Next::Missing(_)))),
            false => assert!(read.is_err(), "{first:02x}"),
        }
    }
    assert_eq!(read(b"\x34").unwrap_err(), PacketError::ExactlyOnce);
    let size = PacketError::Size {
        size: 1_001,
        max: 1_000,
    };
    assert_eq!(read(b"\x30\xe9\x07").unwrap_err(), size);
    assert!(read(b"\x30\xff\xff\xff\xff\x01").is_err());
}

#[test]
fn malformed_packets_are_refused() {
    let connect = |flags: u8| {
        framed(
            0x10,
            &[b"\x00\x04MQTT\x04", &[flags], b"\x00\x3c", &text("x")],
        )
    };
    assert!(matches!(packet(&connect(0x02)), Packet::Connect(_)));
    let bad = [
        connect(0x03),                                            // reserved flag
        connect(0x08),                                            // QoS of a will without one
        connect(0x40),                                            // a password without a user
        connect(0x80),                                            // a user that is not there
        framed(0x10, &[b"\x00\x04MQTT\x04\x02\x00"]),             // ends early
        framed(0x10, &[b"\x00\x04HTTP\x04\x02\x00\x3c\x00\x00"]), // another protocol
        framed(0x30, &[&text("a/#")]),
        framed(0x30, &[&text("")]),
        framed(0x30, &[b"\x00\x05a"]),
        framed(0x30, &[&text("a\0")]),
        framed(0x30, &[b"\x00\x02\xff\xff"]),
        framed(0x32, &[&text("a"), b"\x00\x00"]),
        framed(0x32, &[&text("a"), b"\x00"]),
        framed(0x40, &[b"\x00\x01\x00"]),
        framed(0x40, &[b"\x00\x00"]),
        framed(0x82, &[b"\x00\x01"]),
        framed(0x82, &[b"\x00\x01", &text("a"), b"\x03"]),
        framed(0x82, &[b"\x00\x01", &text("a/#/b"), b"\x00"]),
        framed(0x82, &[b"\x00\x01", &text("a+"), b"\x00"]),
        framed(0x82, &[b"\x00\x01", &text(""), b"\x00"]),
        framed(0xa2, &[b"\x00\x01"]),
        framed(0xc0, &[b"\x00"]),
        framed(0xe0, &[b"\x00"]),
    ];
    for bytes in bad {
        assert!(read(&bytes).is_err(), "{bytes:02x?}");
    }
}

#[test]
fn other_versions_of_the_protocol_are_told_apart_from_nonsense() {
    for start in [&b"\x00\x04MQTT\x05"[..], b"\x00\x06MQIsdp\x03"] {
        let bytes = framed(0x10, &[start, b"\x02\x00\x3c\x00\x00"]);
        assert_eq!(read(&bytes).unwrap_err(), PacketError::Version);
    }
}

#[test]
fn only_plain_names_reach_the_router() {
    for (name, routable) in [
        ("a/b", true),
        ("+/#", true),
        ("é/b", false),
        ("$SYS/x", false),
        ("$share/g/x", false),
    ] {
        assert_eq!(is_routable(name), routable, "{name}");
    }
}

#[test]
fn a_packet_has_only_so_many_filters() {
    for (first, end) in [(0x82, &b"\x00"[..]), (0xa2, b"")] {
        let filters = |count: usize| [&text("a")[..], end].concat().repeat(count);
        assert!(read(&framed(first, &[b"\x00\x01", &filters(3)])).is_ok());
        let error = read(&framed(first, &[b"\x00\x01", &filters(4)])).unwrap_err();
        assert_eq!(error, PacketError::Filters { max: 3 });
    }
}

#[test]
fn a_message_keeps_at_most_twice_its_size() {
    let limits = Limits {
        bytes: 1 << 20,
        ..LIMITS
    };
    let frame = |size: usize| {
        let mut frame = b"\x30\x80\x80\x06\x00\x01t".to_vec();
        frame[1] |= (size & 127) as u8;
        frame[2] |= (size >> 7 & 127) as u8;
        frame[3] = (size >> 14) as u8;
        frame.resize(4 + size, 7);
        frame
    };
    for (room, size, kept) in [
        (1 << 20, 20_000, false),
        (1 << 20, 100_000, false),
        (300_000, 262_000, true),
    ] {
        let mut buffer = BytesMut::with_capacity(room);
        let of = buffer.as_ptr() as usize..buffer.as_ptr() as usize + room;
        buffer.extend_from_slice(&frame(size));
        let Ok(Next::Packet(Packet::Publish(publish))) = next(&mut buffer, limits) else {
            panic!();
        };
        let payload = publish.message.payload.as_ptr() as usize;
        assert_eq!(of.contains(&payload), kept, "{size} of {room}");
    }
}
