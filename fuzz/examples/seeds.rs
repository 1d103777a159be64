//! Writes the inputs the corpora start from into `fuzz/corpus`: golden messages with and without
//! their envelope, every topic, the examples of docs/formats.md, sets and ciphertexts at the edge of the range.

use std::fs;
use std::io;
use std::path::Path;

use cipherwatt_fuzz::{encoding, examples, goldens, payload_of};
use packed::layout::{Encoding, Entered, Layout};
use packed::{Profile, RING};
use wire::{Agreement, ContributorSet, Digest, Message as _, Salt, Sum, Terms};

/// In one piece: CONNECT with a will, SUBSCRIBE, PUBLISH with QoS 1, PUBACK, UNSUBSCRIBE, PINGREQ, DISCONNECT.
const SESSION: &[u8] = b"\0\x10\x13\x00\x04MQTT\x04\x06\x00\x3c\x00\x01k\x00\x01w\x00\x01x\x82\x08\x00\x01\x00\x03a/#\x01\
\x32\x08\x00\x02ab\x00\x07hi\x40\x02\x00\x01\xa2\x07\x00\x02\x00\x03a/#\xc0\x00\xe0\x00";

/// A line of each kind, a message of each program, and a list of meters.
const LIVE: [&str; 7] = [
    r#"{"meter":"m","time":"2026-01-05T12:00:00Z","register_wh":1234567.8,"export_register_wh":5}"#,
    r#"{"meter":"m","time":1767614400000,"energy_wh":-0.5,"interval_s":300}"#,
    r#"{"timestamp":"2026-01-05T12:00:03Z","electricity_delivered_1":"1.5","electricity_delivered_2":"2","electricity_returned_1":"0","electricity_returned_2":"0"}"#,
    r#"{"Time":"2026-01-05T13:00:05","SML":{"Total_in":12345.6789,"Total_out":12.5}}"#,
    r#"{ "timestamp": 1767614401731, "value": 14219936.66, "energy": 1 }"#,
    "817.25",
    "id,feeder,capacity_w\nm,north,11000\n",
];

fn main() -> io::Result<()> {
    for (target, sealed) in goldens() {
        let payload = payload_of(&sealed).ok_or(io::ErrorKind::InvalidData)?;
        write(target, "golden-payload", &payload)?;
        write(target, "golden", &sealed)?;
        if let ("terms", Ok((terms, _))) = (target, Terms::from_cbor(&payload)) {
            let agreement = Agreement {
                terms,
                acceptances: vec![sealed.into(); 2],
                closings: Vec::new(),
            };
            write("agreement", "golden", &agreement.to_bytes())?;
        }
    }
    let topics = [
        "plan",
        "plan/renewal",
        "roster/63",
        "shard/0/feeder/f/meter/m/report",
        "gateway/g/roster/0",
        "gateway/g/receipt",
        "gateway/g/enrol",
        "gateway/g/enrol/answer",
        "analytics/a/enrol",
        "shard/0/feeder/f/sum",
        "shard/0/feeder/f/sum/receipt",
        "shard/0/feeder/f/bill",
        "shard/0/feeder/f/bill/receipt",
        "shard/0/feeder/f/total",
        "shard/0/area/a/total",
        "roster/63/proposed",
        "holders/ask",
        "holder/h/answer",
        "holder/h/consent",
        "holder/h/audit/g",
        "gateway/g/audit",
        "holder/h/countersignature",
    ];
    for (index, topic) in topics.iter().enumerate() {
        write("topic", &format!("topic-{index}"), topic.as_bytes())?;
    }
    for (index, (target, text)) in examples().into_iter().enumerate() {
        write(target, &format!("example-{index}"), text.as_bytes())?;
    }
    sums()?;
    for (index, profile) in Profile::all().iter().enumerate() {
        reports(profile)?;
        for (layout_index, layout) in Layout::ALL.into_iter().enumerate() {
            let choice = 4 * index + layout_index;
            sums_to_open(choice as u8, &encoding(profile, layout))?;
        }
    }
    write("packets", "session", SESSION)?;
    for (index, text) in LIVE.iter().enumerate() {
        write("live", &format!("text-{index}"), text.as_bytes())?;
    }
    write("fold", "short", &[1, 2, 3])
}

/// Sums of a few meters, and of two with many numbers between them.
fn sums() -> io::Result<()> {
    let numbers: [&[u32]; 2] = [&[0, 7, 14, 21, 28], &[0, 400_000]];
    for (index, numbers) in numbers.into_iter().enumerate() {
        let salts = (0..numbers.len()).map(|n| Salt([n as u8; 8])).collect();
        let set =
            ContributorSet::from_numbers(numbers.iter().copied()).map_err(io::Error::other)?;
        let payload = sum(set, salts)?.to_cbor(Some(&Digest::default()));
        write("sum", &format!("set-{index}"), &payload)?;
    }
    Ok(())
}

/// The golden sum with other contributors.
fn sum(set: ContributorSet, salts: Vec<Salt>) -> io::Result<Sum> {
    let sealed = goldens().into_iter().find(|(target, _)| *target == "sum");
    let (_, sealed) = sealed.ok_or(io::ErrorKind::NotFound)?;
    let golden = wire::decode::<Sum>(&sealed, sealed.len()).map_err(io::Error::other)?;
    Ok(Sum {
        set,
        salts,
        ..golden.claimed().clone()
    })
}

/// Reports with the largest value everywhere, and with one above it.
fn reports(profile: &'static Profile) -> io::Result<()> {
    let largest = RING.modulus - 1;
    let coefficients = encoding(profile, Layout::Profile).shape.coefficients();
    let (c0, c1) = (vec![largest; coefficients], vec![largest; RING.dimension]);
    let mut report = Vec::new();
    packed::report::pack(profile, &c0, &c1, &mut report).map_err(io::Error::other)?;
    write("fold", &format!("largest-{}", profile.name), &report)?;
    report.fill(0xff);
    write("fold", &format!("ones-{}", profile.name), &report)
}

/// A sum with the largest residue everywhere, and what an honest sum of one report decrypts to but for noise.
fn sums_to_open(choice: u8, encoding: &Encoding) -> io::Result<()> {
    let one_contributor = [choice, 1, 0, 0];
    let name = format!("{}-{}", encoding.profile.name, encoding.shape.layout());
    let words = encoding.shape.coefficients() + RING.dimension;
    let sum = packed::pack(&RING, &vec![RING.modulus - 1; words]).map_err(io::Error::other)?;
    let largest = [&one_contributor[..], &sum].concat();
    write("open", &format!("largest-{name}"), &largest)?;

    let entered = Some(Entered {
        wh: -(encoding.quantum_wh as i64),
        clamped: true,
    });
    let residues = encoding
        .encode(&vec![entered; encoding.shape.batch()])
        .map_err(io::Error::other)?;
    let residues = residues.into_iter().flat_map(u64::to_le_bytes);
    let plain: Vec<u8> = one_contributor.into_iter().chain(residues).collect();
    write("open", &format!("plain-{name}"), &plain)
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}
