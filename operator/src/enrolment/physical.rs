//! The physical meters of the utility, as `operator registry import` reads them: which meter is on which feeder, how large it may
//! be, and by which key it is known. With such a list nobody can make up meters.
//!
//! The file is CSV with the columns `meter,feeder,capacity,key`: the capacity in watts, and the meter's verifying key, 64
//! hexadecimal digits, or its claim code: the first 20 or more digits of the key's SHA-256, as a label can bear it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use service::failpoint;
use wire::{CapacityClass, Digest, EnrolMeter, FeederId, MeterId, Reason, VerifyingKey, Watts};

use crate::disk::{self, DiskError};

/// The file in the operator's folder.
const FILE: &str = "meters.csv";

/// The largest list that is read: a million meters.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Fewest digits of a claim code: 80 bits, which nobody finds another key for.
const MIN_CLAIM: usize = 20;

/// Errors of a file that are reported at once.
const MAX_ERRORS: usize = 20;

const COLUMNS: [&str; 4] = ["meter", "feeder", "capacity", "key"];

/// What is known of a physical meter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PhysicalMeter {
    feeder: FeederId,
    capacity: CapacityClass,
    key: KnownBy,
}

/// By which key a meter is known.
#[derive(Clone, Debug, PartialEq, Eq)]
enum KnownBy {
    Key(VerifyingKey),
    /// The first digits of the key's SHA-256.
    Claim(String),
}

impl KnownBy {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match text.len() {
            64 => text.parse().ok().map(Self::Key),
            MIN_CLAIM..64 if is_hex => Some(Self::Claim(text)),
            _ => None,
        }
    }

    fn is(&self, key: &VerifyingKey) -> bool {
        match self {
            Self::Key(known) => known == key,
            Self::Claim(claim) => claim_of(key).starts_with(claim.as_str()),
        }
    }
}

/// The whole claim code of a key.
fn claim_of(key: &VerifyingKey) -> String {
    Digest::of(key.as_bytes()).to_string()
}

/// The list of physical meters, if one was imported.
#[derive(Debug, Default)]
pub(crate) struct PhysicalMeters {
    path: PathBuf,
    /// Of the file that was read.
    changed: Option<SystemTime>,
    meters: Option<HashMap<MeterId, PhysicalMeter>>,
    /// The greatest capacity and the number of meters of each feeder.
    feeders: BTreeMap<FeederId, (CapacityClass, u32)>,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PhysicalError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its lines are wrong.
    #[error("{path} has {count} errors, and nothing of it was taken:\n  {lines}", path = path.display())]
    Lines {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first of them, each with its line.
        lines: String,
    },
}

impl PhysicalMeters {
    /// The list in the operator's folder; there may be none.
    ///
    /// # Errors
    /// It cannot be read, or is wrong.
    pub(crate) fn open(dir: &Path) -> Result<Self, PhysicalError> {
        let mut meters = Self {
            path: dir.join(FILE),
            ..Self::default()
        };
        meters.reread()?;
        Ok(meters)
    }

    /// Reads the list again if it was replaced. Returns whether it was.
    ///
    /// # Errors
    /// It cannot be read, or is wrong; what was known stays.
    pub(crate) fn reread(&mut self) -> Result<bool, PhysicalError> {
        let changed = self.path.metadata().and_then(|meta| meta.modified()).ok();
        if changed.is_none() || changed == self.changed {
            return Ok(false);
        }
        // A file that is wrong is complained of once.
        self.changed = changed;
        let meters = read(&self.path)?;
        self.feeders = BTreeMap::new();
        for meter in meters.values() {
            let feeder = self.feeders.entry(meter.feeder.clone());
            let (capacity, count) = feeder.or_insert((meter.capacity, 0));
            *capacity = meter.capacity.max(*capacity);
            *count += 1;
        }
        self.meters = Some(meters);
        Ok(true)
    }

    /// How many meters are in it; `None` if there is no list.
    pub(crate) fn len(&self) -> Option<usize> {
        self.meters.as_ref().map(HashMap::len)
    }

    /// The greatest capacity on a feeder, and how many meters are there; `None` if there is no list.
    pub(crate) fn feeder(&self, feeder: &FeederId) -> Option<(CapacityClass, u32)> {
        self.feeders.get(feeder).copied()
    }

    /// Whether a meter may be enrolled as it asks.
    ///
    /// # Errors
    /// What is not as the list says.
    pub(crate) fn check(&self, asked: &EnrolMeter) -> Result<(), Reason> {
        let meters = self.meters.as_ref();
        let Some(meters) = meters.filter(|_| !failpoint::sabotaged("registry")) else {
            return Ok(());
        };
        let known = meters.get(&asked.meter).ok_or(Reason::UnknownMeter)?;
        if !known.key.is(&asked.key) {
            return Err(Reason::WrongKey);
        }
        if known.feeder != asked.feeder {
            return Err(Reason::WrongFeeder);
        }
        match asked.capacity <= known.capacity {
            true => Ok(()),
            false => Err(Reason::CapacityAboveReference),
        }
    }
}

/// Checks the list in `file` and puts it into the operator's folder in the place of the one before. Returns how many meters and
/// feeders are in it.
///
/// # Errors
/// It cannot be read or written, or is wrong.
pub(crate) fn import(file: &Path, dir: &Path) -> Result<(usize, usize), PhysicalError> {
    let meters = read(file)?;
    let bytes = disk::read(file, MAX_BYTES)?;
    disk::replace(&dir.join(FILE), &bytes)?;
    let mut feeders: Vec<_> = meters.values().map(|meter| &meter.feeder).collect();
    feeders.sort();
    feeders.dedup();
    Ok((meters.len(), feeders.len()))
}

fn read(path: &Path) -> Result<HashMap<MeterId, PhysicalMeter>, PhysicalError> {
    let bytes = disk::read(path, MAX_BYTES)?;
    parse(&bytes).map_err(|errors| PhysicalError::Lines {
        path: path.to_owned(),
        count: errors.len(),
        lines: errors[..errors.len().min(MAX_ERRORS)].join("\n  "),
    })
}

fn parse(bytes: &[u8]) -> Result<HashMap<MeterId, PhysicalMeter>, Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(bytes);
    let header = reader.headers().map_err(|error| vec![error.to_string()])?;
    if !header.iter().eq(COLUMNS) {
        let found = header.iter().collect::<Vec<_>>().join(",");
        return Err(vec![format!(
            "line 1: the columns are {found:?}; they must be {:?}",
            COLUMNS.join(",")
        )]);
    }
    let mut meters = HashMap::new();
    let mut keys = HashMap::new();
    let mut errors = Vec::new();
    for record in reader.records() {
        let entry = record
            .map_err(|error| error.to_string())
            .and_then(|record| {
                let line = record.position().map_or(0, csv::Position::line);
                let at = |error: String| format!("line {line}: {error}");
                let (meter, physical, key) = entry(&record).map_err(at)?;
                if let Some(other) = keys.insert(key.clone(), line) {
                    return Err(at(format!("key {key:?} is also in line {other}")));
                }
                if meters.insert(meter.clone(), physical).is_some() {
                    return Err(at(format!("meter {meter} is there twice")));
                }
                Ok(())
            });
        errors.extend(entry.err());
    }
    match errors.is_empty() {
        true => Ok(meters),
        false => Err(errors),
    }
}

/// A line: the meter, what is known of it, and its key as it is written.
fn entry(record: &csv::StringRecord) -> Result<(MeterId, PhysicalMeter, String), String> {
    let field = |at: usize| record.get(at).unwrap_or_default();
    let [meter, feeder, capacity, key] = [0, 1, 2, 3].map(field);
    let id = |error: wire::IdError| error.to_string();
    let watts = capacity
        .parse()
        .map(Watts)
        .map_err(|_| format!("capacity {capacity:?} is not a whole number of watts"))?;
    let capacity = CapacityClass::of(watts).ok_or_else(|| {
        format!(
            "capacity {capacity} W is above {}",
            CapacityClass::MAX.watts()
        )
    })?;
    let known = KnownBy::parse(key).ok_or_else(|| {
        format!(
            "key {key:?} is neither a verifying key of 64 hexadecimal digits nor a claim code of {MIN_CLAIM} or more"
        )
    })?;
    let meter =
        MeterId::try_from(meter).map_err(|error| format!("meter {meter:?}: {}", id(error)))?;
    let feeder =
        FeederId::try_from(feeder).map_err(|error| format!("feeder {feeder:?}: {}", id(error)))?;
    let physical = PhysicalMeter {
        feeder,
        capacity,
        key: known,
    };
    Ok((meter, physical, key.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrolment::message::tests::{gateway, signing};

    fn key(number: u8) -> VerifyingKey {
        signing(100 + number).verifying_key()
    }

    fn asked(meter: u8, feeder: &str, watts: u64) -> EnrolMeter {
        gateway("gateway-1", 1, &[(meter, feeder, watts)])
            .meters
            .remove(0)
    }

    #[test]
    fn a_meter_is_enrolled_as_the_list_says_and_not_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let mut meters = PhysicalMeters::open(dir.path()).unwrap();
        assert_eq!(
            (meters.len(), meters.check(&asked(9, "x", 1))),
            (None, Ok(()))
        );
        let file = dir.path().join("list");
        let claim = &claim_of(&key(2)).to_uppercase()[..MIN_CLAIM];
        let text = format!(
            "meter,feeder,capacity,key\n# the north\nmeter-1, a, 10000, {}\nmeter-2,b,300,{claim}\n",
            key(1)
        );
        std::fs::write(&file, text).unwrap();
        assert_eq!(import(&file, dir.path()).unwrap(), (2, 2));
        assert!(meters.reread().unwrap());
        assert!(!meters.reread().unwrap());
        for (asked, checked) in [
            (asked(1, "a", 7_000), Ok(())),
            (asked(2, "b", 500), Ok(())),
            (asked(1, "a", 12_000), Err(Reason::CapacityAboveReference)),
            (asked(1, "b", 7_000), Err(Reason::WrongFeeder)),
            (asked(3, "a", 7_000), Err(Reason::UnknownMeter)),
        ] {
            assert_eq!(meters.check(&asked), checked, "{asked:?}");
        }
        let mut stranger = asked(2, "b", 500);
        stranger.key = key(3);
        assert_eq!(meters.check(&stranger), Err(Reason::WrongKey));
        let feeder = "b".parse().unwrap();
        assert_eq!(
            meters.feeder(&feeder),
            Some((CapacityClass::of(Watts(500)).unwrap(), 1))
        );
    }

    #[test]
    fn every_wrong_line_is_named_and_then_nothing_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("list");
        let text = format!(
            "meter,feeder,capacity,key\nMeter 1,a,100,{k1}\nmeter-2,a,7 kW,{k2}\nmeter-3,a,100,abc\nmeter-4,a,100\n\
             meter-5,a,100,{k5}\nmeter-5,a,100,{k6}\nmeter-7,a,100,{k5}\nmeter-8,a,999999999999,{k8}\n",
            k1 = key(1),
            k2 = key(2),
            k5 = key(5),
            k6 = key(6),
            k8 = key(8)
        );
        std::fs::write(&file, text).unwrap();
        let error = import(&file, dir.path()).unwrap_err().to_string();
        for part in [
            "7 errors",
            "line 2: meter \"Meter 1\"",
            "line 3: capacity \"7 kW\"",
            "line 4: key \"abc\"",
            "line: 5",
            "line 7: meter meter-5 is there twice",
            "is also in line 6",
            "line 9: capacity 999999999999 W",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert_eq!(PhysicalMeters::open(dir.path()).unwrap().len(), None);
        std::fs::write(&file, "meter,key\n").unwrap();
        let error = import(&file, dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("line 1: the columns are \"meter,key\""),
            "{error}"
        );
    }
}
