//! Green Button: interval data as ESPI XML (NAESB REQ.21), in an Atom feed.
//!
//! # Rules
//! * An `IntervalBlock` belongs to the usage point and, by way of its `MeterReading`, to the `ReadingType` that the links of the
//!   feed's entries name; without links, to the usage point above it and to the file's only `ReadingType`.
//! * A value is `value` × 10^`powerOfTenMultiplier` of `uom` 72 (Wh) or 38 (W, the mean of its interval). Without any `ReadingType`
//!   the unit has to be set. What is of another unit, commodity or phase-wise total is passed over, and power where there is energy.
//! * `flowDirection` 1 is drawn from the grid, 19 is sent into it, 4 is the difference of the two; where a usage point has 4,
//!   the others are passed over. A reading is what is drawn less what is sent (see `net`).
//! * `start` is in seconds of UTC, `duration` in seconds. A reading without a value is missing. Qualities are not looked at.

mod address;
mod entry;
mod feed;
mod lines;
mod reading_type;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use self::entry::{Entry, Reading};
use self::feed::Feed;
use self::lines::Lines;
use super::super::options::With;
use super::super::row::Sink;
use super::super::text::Text;
use super::super::{FileError, Found};

/// Whether a file has this form, by its first lines.
pub(in crate::file) fn is(head: &[String]) -> bool {
    let mut lines = head
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty());
    let xml = lines.next().is_some_and(|line| line.starts_with('<'));
    xml && head.iter().any(|line| {
        ["naesb.org/espi", "IntervalBlock", "UsagePoint"]
            .iter()
            .any(|word| line.contains(word))
    })
}

/// Writes the readings of the file to `sink`.
pub(in crate::file) fn read(
    text: &mut Text<'_>,
    with: &With<'_>,
    found: &mut Found,
    sink: &mut dyn Sink,
) -> Result<(), FileError> {
    let mut reader = Reader::from_reader(Lines::new(text));
    let mut document = Document::default();
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer);
        reader.get_mut().next();
        let line = reader.get_ref().line;
        match event.map_err(|error| {
            FileError::line(
                line,
                format!("not XML from here on: {error}: get the file again"),
            )
        })? {
            Event::Start(start) => document.start(line, &start),
            Event::Empty(start) => {
                document.start(line, &start);
                document.end(line, start.local_name().as_ref())?;
            }
            Event::Text(text) => document.text.push_str(&text),
            Event::CData(text) => document.text.push_str(&text),
            Event::End(end) => document.end(line, end.local_name().as_ref())?,
            Event::Eof => break,
            _ => {}
        }
    }
    document.feed.write(with, found, sink)
}

/// Where the reader is in the document.
#[derive(Default)]
struct Document {
    feed: Feed,
    /// The entry that is being read.
    entry: Entry,
    in_entry: bool,
    /// The reading that is being read.
    reading: Option<Partial>,
    /// Text since the last tag.
    text: String,
}

#[derive(Default)]
struct Partial {
    line: u64,
    start: Option<u64>,
    duration: Option<u32>,
    value: Option<String>,
}

impl Document {
    fn start(&mut self, line: u64, tag: &BytesStart<'_>) {
        self.text.clear();
        match tag.local_name().as_ref() {
            "entry" => {
                self.entry = Entry::default();
                self.in_entry = true;
            }
            "link" => {
                let attribute = |name: &str| tag.try_get_attribute(name).ok().flatten();
                if let Some((rel, href)) = attribute("rel").zip(attribute("href")) {
                    self.entry.link(&rel.value, &href.value);
                }
            }
            "UsagePoint" => self.feed.usage_points += 1,
            "ReadingType" => self.entry.reading_type = Some(Default::default()),
            "IntervalBlock" => {
                self.entry.line.get_or_insert(line);
            }
            "IntervalReading" => {
                self.reading = Some(Partial {
                    line,
                    ..Partial::default()
                });
            }
            _ => {}
        }
    }

    fn end(&mut self, line: u64, name: &str) -> Result<(), FileError> {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        match name {
            "IntervalReading" => {
                if let Some(partial) = self.reading.take() {
                    self.entry.readings.push(partial.whole()?);
                }
            }
            "entry" => self.end_entry(),
            "IntervalBlock" | "ReadingType" if !self.in_entry => self.end_entry(),
            _ => match (&mut self.reading, &mut self.entry.reading_type) {
                (Some(reading), _) => reading.field(line, name, text)?,
                (None, Some(of)) => of.field(line, name, text)?,
                (None, None) => {}
            },
        }
        Ok(())
    }

    fn end_entry(&mut self) {
        self.feed.take(std::mem::take(&mut self.entry));
        self.in_entry = false;
    }
}

impl Partial {
    fn field(&mut self, line: u64, name: &str, text: &str) -> Result<(), FileError> {
        let refused = |what: &str| FileError::field(line, name, text, what);
        match name {
            "start" => {
                self.start =
                    Some(text.parse().map_err(|_| {
                        refused("is not a number of seconds since 1970: correct it")
                    })?)
            }
            "duration" => {
                self.duration = Some(
                    text.parse()
                        .map_err(|_| refused("is not a number of seconds: correct it"))?,
                )
            }
            "value" if !text.is_empty() => self.value = Some(text.to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn whole(self) -> Result<Reading, FileError> {
        let period = self
            .start
            .zip(self.duration.filter(|duration| *duration > 0));
        let (start, duration) = period.ok_or_else(|| {
            FileError::line(
                self.line,
                "the IntervalReading has no timePeriod with a start and a duration: add one, or remove the reading",
            )
        })?;
        Ok(Reading {
            line: self.line,
            start,
            duration,
            value: self.value,
        })
    }
}
