//! A file of customers in the clear.
//!
//! It is told what the file was found to be ([`Found`]: form, separator, marks, unit, label), and reads it by code of its own and by
//! the same written rules (docs/formats.md): no parsing, no arithmetic and no reckoning of time is shared with `readings`.
//!
//! # Layout
//! * `bytes` makes text of a file; `number` and `time` read values and dates; `series` keeps a customer's readings
//! * `table` reads files of fields (`rows`, `columns`, `clock`, `counters`); `market`, `cer`, `dsmr` and `espi` the other forms, of which
//!   `registers` adds up what a meter's registers say

mod bytes;
mod cer;
mod clock;
mod columns;
mod counters;
mod dsmr;
mod espi;
mod market;
mod number;
mod registers;
mod rows;
mod series;
mod table;
mod time;

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use readings::{Form, Found, ReplayOptions};
use wire::UnixSeconds;

use self::series::Series;
use super::{Clear, NONE};

/// Customers and their readings, in the order in which the file first has them.
#[derive(Default)]
pub struct FileTruth(Customers);

/// Customers by name.
#[derive(Default)]
struct Customers {
    places: HashMap<String, usize>,
    series: Vec<Series>,
}

impl Customers {
    fn of(&mut self, name: &str) -> &mut Series {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.places.insert(name.to_owned(), self.series.len());
                self.series.push(Series::default());
                self.series.len() - 1
            }
        };
        &mut self.series[place]
    }
}

impl FileTruth {
    /// Reads the file at `path`, which was found to be `found` with `options`.
    ///
    /// # Errors
    /// Where the file is not what it was found to be.
    pub fn open(path: &Path, options: &ReplayOptions, found: &Found) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::of(bytes, options, found).with_context(|| path.display().to_string())
    }

    /// Reads the bytes of a file, as [`Self::open`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(bytes: Vec<u8>, options: &ReplayOptions, found: &Found) -> Result<Self> {
        let text = bytes::text(bytes)?;
        let mut customers = Customers::default();
        match found.form {
            Form::Wide | Form::Long => table::read(&text, options, found, &mut customers)?,
            Form::Nem12 => market::nem12(&text, &mut customers)?,
            Form::Ausgrid => market::ausgrid(&text, found.header, &mut customers)?,
            Form::Cer => cer::read(&text, &mut customers)?,
            Form::Dsmr => dsmr::read(&text, &mut customers)?,
            Form::Espi => espi::read(&text, options.unit, &mut customers)?,
        }
        for series in &mut customers.series {
            series.sort()?;
        }
        Ok(Self(customers))
    }
}

impl Clear for FileTruth {
    fn meters(&self) -> usize {
        self.0.series.len()
    }

    /// Capacities follow from the file's greatest readings, so none is cut.
    fn limit_uwh(&self, _: usize, _: u32) -> Option<i64> {
        None
    }

    fn interval(&mut self, start: UnixSeconds, interval_s: u32) -> Result<Vec<Option<i64>>> {
        let end = start.0 + u64::from(interval_s);
        Ok(self
            .0
            .series
            .iter()
            .map(|series| series.energy(start.0, end))
            .collect())
    }
}
