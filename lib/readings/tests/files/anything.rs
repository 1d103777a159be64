//! Any bytes as a file: no panic, and no more memory than the file's rows need.

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use readings::{Form, Gaps, Replay, ReplayOptions, Unit};

use super::formats::examples;
use super::read;

/// Reads bytes; what is read adds up, and has no more intervals than its rows allow.
fn stands(bytes: &[u8], form: Option<Form>) -> Result<(), TestCaseError> {
    let options = ReplayOptions {
        form,
        unit: (form == Some(Form::Espi)).then_some(Unit::Wh),
        gaps: Gaps::Missing,
        ..ReplayOptions::default()
    };
    let Ok(replay) = Replay::from_reader(bytes, Path::new("any"), &options) else {
        return Ok(());
    };
    let account = replay.account();
    let (readings, energy) = replay.between(0, u64::MAX);
    prop_assert_eq!(energy, account.total_uwh - account.partial_uwh);
    prop_assert!(readings <= account.readings);
    // Of each customer; two customers may be centuries apart.
    prop_assert!(account.missing <= (account.rows + 1) * 2 * 8_785);
    Ok(())
}

const FORMS: [Option<Form>; 7] = [
    None,
    Some(Form::Nem12),
    Some(Form::Espi),
    Some(Form::Cer),
    Some(Form::Ausgrid),
    Some(Form::Dsmr),
    Some(Form::Wide),
];

/// What is done to an example: a piece is left out, doubled, or replaced by other bytes.
fn changes() -> impl Strategy<Value = Vec<(Index, Index, Vec<u8>, bool)>> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..4),
        select(vec![
            "-",
            "9999999999",
            "1e18",
            "\n",
            "<",
            ">",
            "</entry>",
            ",,",
            "29999",
            "00",
            "é"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec((any::<Index>(), any::<Index>(), bytes, any::<bool>()), 1..5)
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400), form in select(FORMS.to_vec())) {
        stands(&bytes, form)?;
    }

    #[test]
    fn spoilt_examples_are_read_or_refused(which: Index, changes in changes(), form in select(FORMS.to_vec()), own: bool) {
        let examples = examples();
        let mut bytes = which.get(&examples).text.clone().into_bytes();
        for (at, length, other, doubled) in changes {
            let start = at.index(bytes.len() + 1);
            let end = (start + length.index(40)).min(bytes.len());
            let piece = bytes[start..end].to_vec();
            let piece = if doubled { [piece.clone(), piece].concat() } else { other };
            bytes.splice(start..end, piece);
        }
        stands(&bytes, form.filter(|_| !own))?;
    }
}

/// 64 MiB of one byte, packed into a few kilobytes.
fn bomb(before: &str, byte: u8) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(before.as_bytes()).unwrap();
    for _ in 0..64 {
        packed.write_all(&vec![byte; 1 << 20]).unwrap();
    }
    packed.finish().unwrap()
}

#[test]
fn what_unpacks_to_one_endless_line_tag_or_text_is_refused() {
    for (before, byte) in [
        ("time,a\n", b'1'),
        (
            "100,NEM12,1\n200,A,E1,1,E1,N1,M1,KWH,30,\n300,20240314,",
            b'1',
        ),
        ("<?xml version=\"1.0\"?>\n<feed><IntervalBlock>\n", b'\n'),
        ("<?xml version=\"1.0\"?>\n<feed><IntervalBlock \n", b'\n'),
    ] {
        let refusal = read("bomb", &bomb(before, byte), "").err();
        let words = refusal.unwrap_or_else(|| panic!("{before:?} is read"));
        assert!(
            words.contains("longer") || words.contains("MiB") || words.contains("MB"),
            "{words}"
        );
    }
}
