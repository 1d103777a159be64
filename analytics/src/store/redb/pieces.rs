//! A stream of bytes for each feeder, in rows that fill a page each.
//!
//! redb's pages are powers of two, and rows that are added in between fill two thirds of theirs: values of any other size would
//! take up to twice their room. A stream grows at its end and goes from its start.

use std::ops::Range;

use redb::{ReadableTable, Table};
use sha2::{Digest as _, Sha256};

use super::fault::corrupted;
use super::format::{PieceColumns, pieces_of};

/// Bytes of a stream in a row. With its check, the longest id and what redb adds it fills a page of 4,096 bytes.
const PIECE: u64 = 4_000;

/// Bytes before them: the start of a digest over feeder, piece and content.
const CHECK: usize = 8;

/// Adds `bytes` to the end of a feeder's stream, and returns where they start.
pub(super) fn append(
    table: &mut Table<'_, PieceColumns, &'static [u8]>,
    feeder: &str,
    bytes: &[u8],
) -> Result<u64, redb::Error> {
    let (mut piece, mut content) = match table.range(pieces_of(feeder, u64::MAX))?.next_back() {
        None => (0, Vec::new()),
        Some(last) => {
            let (key, row) = last?;
            let (_, piece) = key.value();
            (piece, checked(feeder, piece, row.value())?.to_vec())
        }
    };
    let start = piece * PIECE + content.len() as u64;
    let mut rest = bytes;
    while !rest.is_empty() {
        if content.len() as u64 >= PIECE {
            piece += 1;
            content.clear();
        }
        let room = PIECE as usize - content.len();
        let (now, later) = rest.split_at(rest.len().min(room));
        content.extend(now);
        rest = later;
        let mut row = check(feeder, piece, &content).to_vec();
        row.extend(&content);
        table.insert((feeder, piece), row.as_slice())?;
    }
    Ok(start)
}

/// What is in `range` of a feeder's stream.
pub(super) fn read(
    table: &impl ReadableTable<PieceColumns, &'static [u8]>,
    feeder: &str,
    range: Range<u64>,
) -> Result<Vec<u8>, redb::Error> {
    let mut bytes = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let piece = at / PIECE;
        let row = table.get((feeder, piece))?;
        let row = row.ok_or_else(|| damaged(feeder, piece))?;
        let content = checked(feeder, piece, row.value())?;
        let end = (content.len() as u64).min(range.end - piece * PIECE);
        let part = content.get((at % PIECE) as usize..end as usize);
        let part = part.filter(|part| !part.is_empty());
        bytes.extend(part.ok_or_else(|| damaged(feeder, piece))?);
        at = piece * PIECE + end;
    }
    Ok(bytes)
}

/// Where the second row of a feeder's stream would start: before it there is only the first, which anything there keeps.
pub(super) fn second(
    table: &impl ReadableTable<PieceColumns, &'static [u8]>,
    feeder: &str,
) -> Result<Option<u64>, redb::Error> {
    let first = table
        .range(pieces_of(feeder, u64::MAX))?
        .next()
        .transpose()?;
    Ok(first.map(|(key, _)| (key.value().1 + 1) * PIECE))
}

/// Lets the stream of a feeder go up to `start`; all of it where there is none.
pub(super) fn trim(
    table: &mut Table<'_, PieceColumns, &'static [u8]>,
    feeder: &str,
    start: Option<u64>,
) -> Result<(), redb::Error> {
    let end = start.map_or(u64::MAX, |start| start / PIECE);
    if end > 0 {
        table.retain_in(pieces_of(feeder, end), |_, _| false)?;
    }
    Ok(())
}

/// The content of a row, as it was written.
fn checked<'r>(feeder: &str, piece: u64, row: &'r [u8]) -> Result<&'r [u8], redb::Error> {
    let (found, content) = row.split_at_checked(CHECK).unwrap_or_default();
    match found == check(feeder, piece, content) {
        true => Ok(content),
        false => Err(damaged(feeder, piece)),
    }
}

fn check(feeder: &str, piece: u64, content: &[u8]) -> [u8; CHECK] {
    let mut hash = Sha256::new();
    hash.update(feeder);
    hash.update(piece.to_le_bytes());
    hash.update(content);
    let digest: [u8; 32] = hash.finalize().into();
    let mut check = [0; CHECK];
    check.copy_from_slice(&digest[..CHECK]);
    check
}

fn damaged(feeder: &str, piece: u64) -> redb::Error {
    corrupted(format!(
        "piece {piece} of who is in the sums of feeder {feeder} is damaged"
    ))
}
