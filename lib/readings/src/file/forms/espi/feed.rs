//! A feed's entries, and whose readings they are.

use std::collections::{HashMap, HashSet};

use super::super::super::options::{ReplayOptions, With};
use super::super::super::{FileError, Found, row::Sink};
use super::super::net::{Customers, Run, energy, problem};
use super::address::{names, through};
use super::entry::{Entry, Reading};
use super::reading_type::{Flow, Meaning, ReadingType};

/// The readings of entries, by what their links say.
struct Block {
    line: u64,
    usage_point: String,
    meter_reading: Option<String>,
    readings: Vec<Reading>,
}

#[derive(Default)]
pub(super) struct Feed {
    /// `UsagePoint` elements so far.
    pub(super) usage_points: u64,
    types: HashMap<String, ReadingType>,
    nameless: Vec<ReadingType>,
    /// What a `MeterReading`'s entry is related to.
    related: HashMap<String, Vec<String>>,
    blocks: Vec<Block>,
}

impl Feed {
    pub(super) fn take(&mut self, entry: Entry) {
        if let Some(known) = entry.reading_type {
            match entry.address("ReadingType") {
                Some(address) => {
                    self.types.insert(address.to_owned(), known);
                }
                None => self.nameless.push(known),
            }
        }
        let meter_reading = entry.address("MeterReading").map(str::to_owned);
        if let Some(line) = entry.line.filter(|_| !entry.readings.is_empty()) {
            let numbered = || format!("UsagePoint/{}", self.usage_points.max(1));
            self.blocks.push(Block {
                line,
                usage_point: entry
                    .address("UsagePoint")
                    .map_or_else(numbered, str::to_owned),
                meter_reading,
                readings: entry.readings,
            });
        } else if let Some(meter_reading) = meter_reading {
            self.related
                .entry(meter_reading)
                .or_default()
                .extend(entry.related);
        }
    }

    /// Writes every usage point's readings.
    pub(super) fn write(
        self,
        with: &With<'_>,
        found: &mut Found,
        sink: &mut dyn Sink,
    ) -> Result<(), FileError> {
        let mut blocks = Vec::new();
        for block in &self.blocks {
            if let Some(meaning) = self.meaning(block, with.options)? {
                blocks.push((block, meaning));
            }
        }
        let energy = usage_points(&blocks, |meaning| !meaning.unit.is_power());
        let net = usage_points(&blocks, |meaning| meaning.flow == Flow::Net);
        blocks.retain(|(block, meaning)| {
            let usage_point = block.usage_point.as_str();
            let other = meaning.unit.is_power() && energy.contains(usage_point);
            let part = meaning.flow != Flow::Net && net.contains(usage_point);
            !other && !part
        });
        let passed_over = self.blocks.len() - blocks.len();
        if passed_over > 0 {
            tracing::warn!(
                blocks = passed_over,
                "interval blocks are not read: they are not of a usage point's energy"
            );
        }
        let Some((_, first)) = blocks.first() else {
            let problem = "the file has no IntervalBlock of electricity in Wh (uom 72) or W (uom 38): ask for the usage of electricity";
            return Err(FileError::Whole(problem.to_owned()));
        };
        found.unit = first.unit;
        let names = names(blocks.iter().map(|(block, _)| block.usage_point.as_str()));
        let mut customers = Customers::default();
        for (block, meaning) in &blocks {
            let name = &names[block.usage_point.as_str()];
            block.add(name, meaning, &mut customers)?;
        }
        customers.write(sink)
    }

    /// What the values of `block` are; `None` where it is to be passed over.
    fn meaning(
        &self,
        block: &Block,
        options: &ReplayOptions,
    ) -> Result<Option<Meaning>, FileError> {
        let address = block.meter_reading.as_ref();
        let related = address.and_then(|address| self.related.get(address));
        let mut related = related.into_iter().flatten();
        let linked = related.find_map(|address| self.types.get(through(address, "ReadingType")?));
        let mut all = self.types.values().chain(&self.nameless);
        let only = || all.next().filter(|first| all.all(|other| other == *first));
        if let Some(known) = linked.or_else(only) {
            return Ok(known.meaning());
        }
        let line = block.line;
        if self.types.len() + self.nameless.len() > 0 {
            let problem = "no link leads from the IntervalBlock to one of the file's ReadingTypes: get the whole feed, with its links";
            return Err(FileError::line(line, problem));
        }
        let unit = options.unit.ok_or_else(|| FileError::Ambiguous {
            question: format!(
                "line {line}: the file has no ReadingType, which says the unit of its values"
            ),
            setting: "meter.unit (\"Wh\" as a rule)",
        })?;
        Ok(Some(Meaning {
            unit,
            power_of_ten: 0,
            flow: Flow::Drawn,
        }))
    }
}

/// The usage points with a block whose values are as wanted.
fn usage_points<'a>(
    blocks: &[(&'a Block, Meaning)],
    wanted: fn(&Meaning) -> bool,
) -> HashSet<&'a str> {
    let blocks = blocks.iter().filter(|(_, meaning)| wanted(meaning));
    blocks
        .map(|(block, _)| block.usage_point.as_str())
        .collect()
}

impl Block {
    fn add(
        &self,
        name: &str,
        meaning: &Meaning,
        customers: &mut Customers,
    ) -> Result<(), FileError> {
        for reading in &self.readings {
            let value = match &reading.value {
                Some(value) => {
                    let scaled = format!("{value}e{}", meaning.power_of_ten);
                    let column = (reading.line, "value");
                    let read = energy(column, &scaled, meaning.unit, reading.duration);
                    // In the words of the file, without the power of ten.
                    read.map_err(|_| {
                        FileError::field(reading.line, "value", value, problem(meaning.unit))
                    })?
                }
                None => None,
            };
            let run = Run {
                line: reading.line,
                start: reading.start,
                interval_s: reading.duration,
                values: vec![value],
            };
            customers.add(name, meaning.flow.register(), run);
        }
        Ok(())
    }
}
