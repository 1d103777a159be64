//! Noisy totals on their way out: paid for, drawn, stored, and only then written to the recipients' files and sent.
//!
//! A line is written once the exact total beside it is durable. A kill before that leaves it in the ledger, and the next start writes
//! it: what a recipient has is always what is stored. That a sum is refused is written once it is stored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use service::{Chain, failpoint};
use wire::{PrivacyUnit, Reason, RecipientId, Sum};

use super::line::{Content, Line, NoTotal, Noisy};
use super::published::{Published, StoredLine};
use super::recipients::{Recipient, Recipients};
use crate::disk::{DiskError, create_folder};
use crate::error::OperatorError;
use crate::metrics;
use crate::release::ledger::{Ledger, LedgerError, NoiseAsked, NoiseKey, NoiseLine};
use crate::release::report::FeederReport;
use crate::release::totals::{TAIL, Totals};

/// What noise depends on beside the total.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grounds {
    /// The greatest difference that one of the meters makes to an interval, in quanta.
    pub sensitivity: u64,
    /// The most intervals of a day.
    pub day: u32,
}

/// Draws noise, and has the recipients' files.
pub(crate) struct Publisher {
    recipients: Recipients,
    /// Of the files.
    folder: PathBuf,
    files: BTreeMap<RecipientId, Totals>,
    /// Stored, of exact totals that are durable or of sums that are refused, and not in the files yet.
    waiting: Vec<(NoiseKey, String)>,
    /// In the files by now, which the ledger does not know yet.
    written: Vec<NoiseKey>,
}

impl Publisher {
    /// For totals beside `totals_file`. Completes the files with what a kill left in the ledger alone.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn open(
        recipients: Recipients,
        totals_file: &Path,
        ledger: &mut Ledger,
    ) -> Result<Self, OperatorError> {
        let mut publisher = Self {
            recipients,
            folder: totals_file.with_file_name("recipients"),
            files: BTreeMap::new(),
            waiting: Vec::new(),
            written: Vec::new(),
        };
        for (key, line) in ledger.unwritten_noise()? {
            match publisher.has(&key, &line)? {
                true => publisher.written.push(key),
                false => publisher.waiting.push((key, line)),
            }
        }
        publisher.write();
        Ok(publisher)
    }

    /// The noisy totals of sums that were opened: those stored before, or new ones. They are stored when this returns, and are
    /// written once [`release`](Self::release) says so.
    ///
    /// # Errors
    /// The ledger could not be written, or there are no random bits: none of them may leave.
    pub(crate) fn draw(
        &mut self,
        ledger: &mut Ledger,
        sums: &[(&FeederReport, Grounds)],
    ) -> Result<Vec<Published>, LedgerError> {
        let mut published = vec![Published::default(); sums.len()];
        let mut asked = Vec::new();
        for (at, (report, grounds)) in sums.iter().enumerate() {
            // The rest of an area is of no feeder.
            let recipients = self
                .recipients
                .of(&report.feeder)
                .filter(|_| report.rest.is_empty());
            for recipient in recipients {
                asked.push((at, recipient, self.ask(recipient, report, grounds)));
            }
        }
        if asked.is_empty() {
            return Ok(published);
        }
        let requests: Vec<NoiseAsked> = asked.iter().map(|(.., asked)| asked.clone()).collect();
        failpoint::hit("operator.before_noise_paid");
        let granted = ledger.pay_for_noise(&requests, &self.written)?;
        self.written.clear();
        failpoint::hit("operator.after_noise_paid");
        let mut new = Vec::new();
        for ((at, recipient, asked), granted) in asked.into_iter().zip(granted) {
            let key = asked.key;
            match granted.line {
                // Its recipient knows that there is none.
                NoiseLine::Told => {}
                NoiseLine::Stored(json) => {
                    let line =
                        serde_json::from_str(&json).map_err(|_| LedgerError::noise(&json))?;
                    published[at].lines.push(StoredLine { key, line, json });
                }
                NoiseLine::ToDraw => {
                    let (report, grounds) = sums[at];
                    let line = draw(recipient, &key, report, &grounds)?;
                    let json = line.json();
                    new.push((key.clone(), json.clone()));
                    published[at].lines.push(StoredLine { key, line, json });
                }
            }
            let left = published[at].left.get_or_insert(granted.left);
            *left = left.min(granted.left);
        }
        if !new.is_empty() {
            ledger.store_noise(&new)?;
        }
        failpoint::hit("operator.after_noise_stored");
        Ok(published)
    }

    fn ask(&self, recipient: &Recipient, report: &FeederReport, grounds: &Grounds) -> NoiseAsked {
        let key = NoiseKey {
            window: report.window_start,
            feeder: report.feeder.clone(),
            part: report.part,
            recipient: recipient.name.clone(),
        };
        let guarantee = &recipient.guarantee;
        let too_few = guarantee.unit == PrivacyUnit::HouseholdDay
            && report.meters < self.recipients.day_min_meters;
        // What has no energy is known to have none, by whom has a reading: nothing is drawn for it. Holders do not know.
        let (refused, intervals) = match report.noise() {
            Some(said) => {
                let is_other = !said.promises(guarantee);
                let other = is_other.then_some(NoTotal::OtherNoise);
                (other, report.energy_wh.len())
            }
            None => {
                let drawn = report.energy_wh.iter().flatten();
                (too_few.then_some(NoTotal::TooFewMeters), drawn.count())
            }
        };
        let cost = guarantee.cost(intervals as u32, grounds.day);
        let refusal = Content::Refused {
            refused: refused.unwrap_or(NoTotal::BudgetSpent),
        };
        NoiseAsked {
            cost: refused.is_none().then_some(cost),
            is_consented: report.noise().is_some(),
            budget: self.recipients.budget(&report.feeder, report.window_start),
            refusal: Line::new(&key, refusal).json(),
            key,
        }
    }

    /// Tells the feeder's recipients that there is no total of a sum whose noise holders were to add, and why: once a window, whatever
    /// its parts are, and not those that were told something of it.
    ///
    /// # Errors
    /// The ledger could not be written: nobody was told.
    pub(crate) fn refuse(
        &mut self,
        ledger: &mut Ledger,
        sum: &Sum,
        reason: Reason,
    ) -> Result<(), LedgerError> {
        let agreed = self.recipients.agreed(&sum.feeder, sum.window);
        let (Some(agreed), Some(reason), None) = (agreed, NoTotal::of(reason), &sum.rest) else {
            return Ok(());
        };
        let refused = |recipient: &Recipient| {
            let key = NoiseKey {
                window: sum.window,
                feeder: sum.feeder.clone(),
                part: sum.part,
                recipient: recipient.name.clone(),
            };
            // It would have got no total of this feeder in any case.
            let refused = match recipient.guarantee == agreed.guarantee {
                true => reason,
                false => NoTotal::OtherNoise,
            };
            let line = Line::new(&key, Content::Refused { refused });
            (key, line)
        };
        let lines: Vec<_> = self.recipients.of(&sum.feeder).map(refused).collect();
        let new = ledger.refuse_noise(lines, &self.written)?;
        if !new.is_empty() {
            self.written.clear();
        }
        for (key, line) in new {
            metrics::noisy(&line);
            self.waiting.push((key, line.json()));
        }
        self.write();
        Ok(())
    }

    /// The exact totals beside these lines are durable: writes them, and those that could not be written before.
    pub(crate) fn release<'a>(&mut self, published: impl Iterator<Item = &'a Published>) {
        for line in published.flat_map(|published| &published.lines) {
            self.waiting.push((line.key.clone(), line.json.clone()));
        }
        self.write();
    }

    fn write(&mut self) {
        let mut of = BTreeMap::<RecipientId, Vec<(NoiseKey, String)>>::new();
        for (key, line) in std::mem::take(&mut self.waiting) {
            let lines = of.entry(key.recipient.clone()).or_default();
            lines.push((key, line));
        }
        for (recipient, waiting) in of {
            let lines: Vec<String> = waiting.iter().map(|(_, line)| line.clone()).collect();
            let file = self.file(&recipient);
            match file.and_then(|file| file.append(&lines)) {
                Ok(()) => self.written.extend(waiting.into_iter().map(|(key, _)| key)),
                Err(error) => {
                    tracing::error!(
                        %recipient, lines = lines.len(), error = %Chain(&error),
                        "noisy totals are stored and could not be written to the recipient's file: they are with the next one's"
                    );
                    self.waiting.extend(waiting);
                }
            }
        }
    }

    fn file(&mut self, recipient: &RecipientId) -> Result<&mut Totals, DiskError> {
        if !self.files.contains_key(recipient) {
            create_folder(&self.folder)?;
            let file = Totals::open(&self.path(recipient))?;
            self.files.insert(recipient.clone(), file);
        }
        Ok(self
            .files
            .entry(recipient.clone())
            .or_insert_with(|| unreachable!("just opened")))
    }

    fn path(&self, recipient: &RecipientId) -> PathBuf {
        self.folder.join(format!("{recipient}.jsonl"))
    }

    /// Whether the end of the recipient's file has this line.
    fn has(&mut self, key: &NoiseKey, line: &str) -> Result<bool, OperatorError> {
        let size = self.file(&key.recipient)?.size();
        let end = files_end(&self.path(&key.recipient), size.saturating_sub(TAIL))?;
        Ok(end.lines().any(|written| written == line))
    }
}

fn draw(
    recipient: &Recipient,
    key: &NoiseKey,
    report: &FeederReport,
    grounds: &Grounds,
) -> Result<Line, LedgerError> {
    if let Some(said) = report.noise() {
        let noisy = Noisy::shared(report, said);
        return Ok(Line::new(key, Content::Noisy(Box::new(noisy))));
    }
    let guarantee = &recipient.guarantee;
    let noise = guarantee.noise(grounds.sensitivity, grounds.day);
    let noisy = Noisy::draw(report, guarantee, grounds.sensitivity, &noise)?;
    Ok(Line::new(key, Content::Noisy(Box::new(noisy))))
}

fn files_end(path: &Path, start: u64) -> Result<String, DiskError> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let read = || {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().map_err(DiskError::at("read", path))
}
