//! The file of the meters that talk: who they are, on which feeder, and the most that each can draw or export.

use std::collections::HashMap;
use std::io::Read;

use csv::{ReaderBuilder, StringRecord, Trim};
use wire::{FeederId, MeterId, Watts};

use crate::MeterSpec;

const COLUMNS: [&str; 3] = ["id", "feeder", "capacity_w"];

/// Why a file of meters is refused. Lines count from 1, the header included.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the message of a variant says what its fields are"
)]
pub enum MetersError {
    #[error("line {line} is not valid CSV in UTF-8")]
    Line {
        line: u64,
        #[source]
        error: csv::Error,
    },
    #[error(
        "line 1: the columns are {found:?}: they must be id, feeder and capacity_w, with commas in between"
    )]
    Columns { found: String },
    #[error("line {line}: {fields} fields where there are 3 columns")]
    Fields { line: u64, fields: usize },
    #[error("line {line}, column {column:?}: {value:?} is not {rule}")]
    Value {
        line: u64,
        column: &'static str,
        value: String,
        rule: &'static str,
    },
    #[error("line {line}: meter {meter} is on line {first} already: leave one out")]
    Twice {
        line: u64,
        meter: MeterId,
        first: u64,
    },
    #[error("no meter: write a line for each below the header")]
    Empty,
}

/// The meters in a CSV file with the columns `id`, `feeder` and `capacity_w` in any order, each with its feeder, in the order of
/// the file. Space around fields does not count.
///
/// # Errors
/// [`MetersError`].
pub fn read_meters(file: impl Read) -> Result<Vec<(MeterSpec, FeederId)>, MetersError> {
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .trim(Trim::All)
        .from_reader(file);
    let mut record = StringRecord::new();
    let mut columns: Option<[usize; 3]> = None;
    let mut first: HashMap<MeterId, u64> = HashMap::new();
    let mut meters = Vec::new();
    loop {
        let line = reader.position().line();
        let more = reader.read_record(&mut record);
        if !more.map_err(|error| MetersError::Line { line, error })? {
            break;
        }
        let line = record.position().map_or(line, csv::Position::line);
        let Some(columns) = columns else {
            columns = Some(header(&record)?);
            continue;
        };
        if record.len() != COLUMNS.len() {
            let fields = record.len();
            return Err(MetersError::Fields { line, fields });
        }
        let (spec, feeder) = meter(&record, columns, line)?;
        if let Some(&first) = first.get(&spec.id) {
            let meter = spec.id;
            return Err(MetersError::Twice { line, meter, first });
        }
        first.insert(spec.id.clone(), line);
        meters.push((spec, feeder));
    }
    match meters.is_empty() {
        true => Err(MetersError::Empty),
        false => Ok(meters),
    }
}

fn header(record: &StringRecord) -> Result<[usize; 3], MetersError> {
    let names: Vec<_> = record
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}').to_ascii_lowercase())
        .collect();
    let place = |column: &str| names.iter().position(|name| name == column);
    match COLUMNS.map(place) {
        [Some(id), Some(feeder), Some(capacity)] if names.len() == COLUMNS.len() => {
            Ok([id, feeder, capacity])
        }
        _ => Err(MetersError::Columns {
            found: names.join(","),
        }),
    }
}

fn meter(
    record: &StringRecord,
    columns: [usize; 3],
    line: u64,
) -> Result<(MeterSpec, FeederId), MetersError> {
    const ID: &str = "1 to 64 of a-z, 0-9 and \"-\"";
    let [id, feeder, capacity] = columns.map(|place| record.get(place).unwrap_or_default());
    let wrong = |column, value: &str, rule| MetersError::Value {
        line,
        column,
        value: value.to_owned(),
        rule,
    };
    let watts = capacity.parse().ok().filter(|watts| *watts > 0);
    let rule = "a whole number of watts above 0";
    let spec = MeterSpec {
        id: MeterId::try_from(id).map_err(|_| wrong("id", id, ID))?,
        capacity_w: Watts(watts.ok_or_else(|| wrong("capacity_w", capacity, rule))?),
    };
    let feeder = FeederId::try_from(feeder).map_err(|_| wrong("feeder", feeder, ID))?;
    Ok((spec, feeder))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_has_each_meter_with_its_feeder_and_its_capacity() {
        let file =
            "\u{feff}Feeder, id ,capacity_w\r\nnorth,home-1,11000\r\n\r\nsouth,home-2, 17250\n";
        let read = read_meters(file.as_bytes()).unwrap();
        let read: Vec<_> = read
            .iter()
            .map(|(spec, feeder)| (spec.id.as_str(), feeder.as_str(), spec.capacity_w.0))
            .collect();
        assert_eq!(
            read,
            [("home-1", "north", 11_000), ("home-2", "south", 17_250)]
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_column_and_value() {
        for (file, said) in [
            ("", "no meter"),
            ("id,feeder,capacity_w\n", "no meter"),
            (
                "id;feeder;capacity_w\na;b;1\n",
                "line 1: the columns are \"id;feeder;capacity_w\"",
            ),
            ("id,feeder,capacity_w\na,b\n", "line 2: 2 fields"),
            (
                "id,feeder,capacity_w\nA b,north,1\n",
                "line 2, column \"id\": \"A b\" is not 1 to 64",
            ),
            (
                "id,feeder,capacity_w\na,,1\n",
                "line 2, column \"feeder\": \"\"",
            ),
            (
                "id,feeder,capacity_w\na,b,1\nc,b,0\n",
                "line 3, column \"capacity_w\": \"0\" is not a whole number of watts",
            ),
            (
                "id,feeder,capacity_w\na,b,1\na,c,2\n",
                "line 3: meter a is on line 2 already",
            ),
        ] {
            let error = read_meters(file.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{file:?}: {error}");
        }
        let error = read_meters(&b"id,feeder,capacity_w\n\xff,b,1\n"[..]).unwrap_err();
        assert!(
            error.to_string().contains("line 2 is not valid CSV"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_meters_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_meters(&bytes[..]);
            let _ = read_meters([b"id,feeder,capacity_w\n", &bytes[..]].concat().as_slice());
        }
    }
}
