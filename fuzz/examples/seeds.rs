//! Writes the inputs the corpora start from into `fuzz/corpus`: golden messages with and without
//! their envelope, every topic, ciphertexts at the edge of the range.

use std::fs;
use std::io;
use std::path::Path;

use cipherwatt_fuzz::{goldens, payload_of};

fn main() -> io::Result<()> {
    for (target, sealed) in goldens() {
        let payload = payload_of(&sealed).ok_or(io::ErrorKind::InvalidData)?;
        write(target, "golden-payload", &payload)?;
        write(target, "golden", &sealed)?;
    }
    let topics = [
        "plan",
        "roster/63",
        "feeder/f/meter/m/report",
        "gateway/g/receipt",
        "gateway/g/enrol",
        "analytics/a/enrol",
        "feeder/f/sum",
        "feeder/f/sum/receipt",
        "feeder/f/total",
    ];
    for (index, topic) in topics.iter().enumerate() {
        write("topic", &format!("topic-{index}"), topic.as_bytes())?;
    }
    for profile in packed::Profile::all() {
        let modulus = |i: usize| profile.moduli[i / profile.ring_dimension % profile.moduli.len()];
        let words: Vec<u64> = (0..profile.words()).map(|i| modulus(i) - 1).collect();
        let greatest = packed::pack(profile, &words).map_err(io::Error::other)?;
        write("fold", &format!("greatest-{}", profile.name), &greatest)?;
        write(
            "fold",
            &format!("ones-{}", profile.name),
            &vec![0xff; profile.packed_len()],
        )?;
    }
    write("fold", "short", &[1, 2, 3])
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}
