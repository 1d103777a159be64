//! What the two forms of CSV share: rows, values and meter ids.

use std::{
    collections::HashMap,
    io::{Chain, Read},
};

use csv::{ReaderBuilder, StringRecord, Terminator, Trim};
use wire::MeterId;

use super::{error::CsvError, table::MISSING};

/// The greatest energy of an interval that a file may hold, in kWh of either sign.
pub(super) const LARGEST_KWH: f64 = 1e6;
const MICRO_WH_PER_KWH: f64 = 1e9;

/// The rows of a file, each with its line and as many fields as the header.
pub(super) struct Rows<R> {
    reader: csv::Reader<Chain<R, &'static [u8]>>,
    /// The header's fields, without surrounding space.
    pub(super) header: StringRecord,
    record: StringRecord,
    /// Rows read.
    pub(super) count: u64,
}

impl<R: Read> Rows<R> {
    /// Reads the header. A byte order mark, CRLF and space around fields are fine.
    ///
    /// A row ends at a line feed, and the last one does too, since one is added to the file: the line of a row is
    /// then the one before that at which the reader stands. (By itself, the reader counts a CRLF on one side
    /// of a row or the other.) The carriage return counts as space.
    pub(super) fn new(input: R) -> Result<Self, CsvError> {
        let reader = ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .trim(Trim::All)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(input.chain(&b"\n"[..]));
        let mut rows = Self {
            reader,
            header: StringRecord::new(),
            record: StringRecord::new(),
            count: 0,
        };
        if rows.read()?.is_none() || rows.record.iter().all(str::is_empty) {
            return Err(CsvError::Empty);
        }
        rows.header = rows.record.clone();
        Ok(rows)
    }

    /// The next row and its line. Blank lines are skipped.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &StringRecord)>, CsvError> {
        let Some(line) = self.read()? else {
            return Ok(None);
        };
        let fields = self.record.len();
        let columns = self.header.len();
        if fields != columns {
            return Err(CsvError::Fields {
                line,
                fields,
                columns,
                column: self.header.get(fields).map(str::to_owned),
            });
        }
        self.count += 1;
        Ok(Some((line, &self.record)))
    }

    /// Reads the next line that is not blank into `record`, and returns its number.
    fn read(&mut self) -> Result<Option<u64>, CsvError> {
        loop {
            let more = self.reader.read_record(&mut self.record);
            let line = self.reader.position().line().saturating_sub(1);
            if !more.map_err(|error| CsvError::Line { line, error })? {
                return Ok(None);
            }
            if self.record.len() > 1 || self.record.iter().any(|field| !field.is_empty()) {
                return Ok(Some(line));
            }
        }
    }
}

/// Millionths of a watt-hour of a field in kWh, to the nearest; [`MISSING`] for an empty field, `Null` and `NaN`, in any
/// case. Negative values are export.
pub(super) fn micro_watt_hours(field: &str) -> Option<i64> {
    if field.is_empty()
        || ["null", "nan"]
            .iter()
            .any(|m| field.eq_ignore_ascii_case(m))
    {
        return Some(MISSING);
    }
    let kwh: f64 = field.parse().ok()?;
    // Not for infinities, nor for the spellings of NaN that `parse` knows. Up to the limit, a number of nine decimals comes
    // out as it is written: what `f64` is off by is less than half a millionth.
    (kwh.abs() <= LARGEST_KWH).then(|| (kwh * MICRO_WH_PER_KWH).round() as i64)
}

/// Meter ids of customers' names, without collisions.
#[derive(Default)]
pub(super) struct Ids {
    names: HashMap<MeterId, String>,
}

impl Ids {
    /// The id of a name that was not given before: its letters in lower case and its digits; a hyphen for every other
    /// character.
    pub(super) fn insert(&mut self, line: u64, name: &str) -> Result<MeterId, CsvError> {
        let id: String = name
            .chars()
            .map(|c| match c {
                'a'..='z' | '0'..='9' => c,
                'A'..='Z' => c.to_ascii_lowercase(),
                _ => '-',
            })
            .collect();
        let id = MeterId::try_from(id.as_str())
            .ok()
            .filter(|id| id.as_ref().bytes().any(|b| b != b'-'))
            .ok_or_else(|| CsvError::Name {
                line,
                name: name.to_owned(),
            })?;
        match self.names.get(&id) {
            Some(other) => Err(CsvError::SameMeter {
                line,
                name: name.to_owned(),
                other: other.clone(),
                id,
            }),
            None => {
                self.names.insert(id.clone(), name.to_owned());
                Ok(id)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_knows_its_line() {
        let rows = ["\u{feff}a,b", "1,2", "3,4", "", "\"5\" , 6 ", "7,8"];
        for end in ["\n", "\r\n"] {
            for last in ["", end] {
                let text = rows.join(end) + last;
                let mut rows = Rows::new(text.as_bytes()).unwrap();
                assert_eq!(rows.header, vec!["a", "b"]);
                let mut found = Vec::new();
                while let Some((line, row)) = rows.next().unwrap() {
                    found.push((line, row[0].to_owned()));
                }
                let expected = [(2, "1"), (3, "3"), (5, "5"), (6, "7")];
                assert_eq!(
                    found,
                    expected.map(|(line, a)| (line, a.to_owned())),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn values_keep_every_decimal_down_to_a_millionth_of_a_watt_hour() {
        for (field, expected) in [
            ("14", 14_000_000_000),
            ("0.0625", 62_500_000),
            ("-0.0625", -62_500_000),
            ("0.143", 143_000_000),
            ("0.123456789", 123_456_789),
            ("-0.0000000014", -1),
            ("-0.0000000016", -2),
            ("1e-3", 1_000_000),
            ("-0", 0),
            ("999999.999999999", 999_999_999_999_999),
            ("1000000", 1_000_000_000_000_000),
            ("", MISSING),
            ("Null", MISSING),
            ("NULL", MISSING),
            ("NaN", MISSING),
        ] {
            assert_eq!(micro_watt_hours(field), Some(expected), "{field:?}");
        }
        for field in [
            "inf", "-inf", "1,5", "0x10", "12 kWh", "1000001", "-NaN", "--1",
        ] {
            assert_eq!(micro_watt_hours(field), None, "{field:?}");
        }
    }

    #[test]
    fn names_become_ids_and_collisions_are_refused() {
        let mut ids = Ids::default();
        let id = |ids: &mut Ids, name| ids.insert(1, name).map(|id| id.to_string());
        assert_eq!(id(&mut ids, "meter_001").unwrap(), "meter-001");
        assert_eq!(id(&mut ids, "MAC000002").unwrap(), "mac000002");
        assert_eq!(id(&mut ids, "Müller 2").unwrap(), "m-ller-2");
        let same = ids.insert(9, "METER-001").unwrap_err().to_string();
        assert!(
            same.contains("line 9")
                && same.contains("\"METER-001\"")
                && same.contains("\"meter_001\""),
            "{same}"
        );
        let long = "x".repeat(65);
        for name in ["", "__", "é", long.as_str()] {
            assert!(
                matches!(ids.insert(1, name), Err(CsvError::Name { .. })),
                "{name:?}"
            );
        }
    }
}
