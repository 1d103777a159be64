//! The verdict: four ledgers side by side.
//!
//! * The first is the truth: who must report which window, and how much energy that is, from the seed.
//! * The second is what an independent subscriber saw on the wire ([`super::observer`]).
//! * The third is the operator's `totals.jsonl`, read here by code of its own.
//! * The fourth is the masks: the operator can open a sum only if it has each report of its set once and no other. So no
//!   sum may fail to open, or name a meter that is in an opened sum already.
//!
//! None of them is read from the store or the journal that the kills put to the test. A meter's window is *lost* if the
//! released sums of the window have fewer contributors than meters, *duplicated* if they have more or if receipts
//! call it folded twice. One lost and another doubled leave the count right and the energy wrong, and the release's
//! digest of its contributors says so too.

use std::collections::{BTreeMap, BTreeSet};

use harness::oracle::{Scale, Shown, Truth, Truths};
use serde::Serialize;
use wire::{Digest, FeederId, MeterId, Part, Reason, WindowStart};

use super::observer::{Sealed, Seen, settled};
use super::totals::Total;

/// What is wrong is said in so many lines at most.
const LINES: usize = 40;

/// What the ledgers say.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Verdict {
    /// Meter-windows that must be in a sum.
    pub(crate) reports_expected: u64,
    /// Contributors of the released sums.
    pub(crate) reports_folded: u64,
    /// Meter-windows in no released sum.
    pub(crate) lost: u64,
    /// Meter-windows counted more than once.
    pub(crate) duplicated: u64,
    /// Windows that must be released or withheld.
    pub(crate) windows: usize,
    /// Windows with anything wrong.
    pub(crate) windows_wrong: usize,
    /// Windows that have too few meters, or a supplement that has: rightly withheld.
    pub(crate) windows_withheld: usize,
    /// Windows whose release is, by its digest of contributors, the sum of exactly the reports seen on the wire.
    pub(crate) windows_identified: usize,
    /// Reports seen on the wire with more than one ciphertext: a gateway forgot what it had sent.
    pub(crate) resealed: u64,
    /// Meter-windows that a receipt called folded or duplicate, as far as the subscriber saw.
    pub(crate) receipts_seen: u64,
    /// Reports and releases refused in receipts, by reason.
    pub(crate) refused: BTreeMap<Reason, u64>,
    /// Sums that the operator could not open, or whose meters were in an opened sum already, as far as the subscriber saw.
    pub(crate) sums_not_opened: u64,
    /// Bills that were due, and bills that there are.
    pub(crate) bills: super::bills::Bills,
    /// Greatest |decrypted − true| / |true| over all intervals: 0 if totals are exact.
    pub(crate) max_relative_error: f64,
    /// What is wrong, in words.
    pub(crate) wrong: Vec<String>,
}

/// What is not a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Contributors below which no sum is released.
    pub(crate) min_meters: u32,
    /// Contributors below which no supplement is released, where windows close before every meter has reported; else 0.
    pub(crate) supplement_min_meters: u32,
}

type Key<'a> = (&'a FeederId, WindowStart);

/// Compares the four.
pub(crate) fn judge(truths: &Truths, seen: &Seen, totals: &[Total], rules: Rules) -> Verdict {
    let mut verdict = Verdict {
        windows: truths.len(),
        receipts_seen: seen.settled(),
        ..Verdict::default()
    };
    let mut lines: BTreeMap<Key<'_>, Vec<&Total>> = BTreeMap::new();
    for total in totals {
        let key = (&total.feeder, total.window_start);
        lines.entry(key).or_default().push(total);
    }
    let mut reports: BTreeMap<Key<'_>, Vec<Reported<'_>>> = BTreeMap::new();
    for ((meter, window), sealed) in &seen.reports {
        if let Some(feeder) = seen.feeders.get(meter) {
            let reported = Reported { meter, sealed };
            reports.entry((feeder, *window)).or_default().push(reported);
        }
    }
    let entered = truths.entered(|(feeder, window)| {
        Some(Scale {
            quantum_wh: lines.get(&(feeder, *window))?.first()?.quantum_wh,
            ..Scale::default()
        })
    });
    for ((feeder, window), meters) in truths.windows() {
        let key = (feeder, *window);
        let window = Window {
            key,
            meters,
            truth: entered.get(&(feeder.clone(), *window)),
            lines: lines.remove(&key).unwrap_or_default(),
            reports: reports.remove(&key).unwrap_or_default(),
            seen,
            rules,
        };
        window.judge(&mut verdict);
    }
    for (feeder, window) in lines.keys() {
        verdict.windows_wrong += 1;
        verdict.say(format!(
            "{feeder}, window {window}: released, but no meter should have reported it"
        ));
    }
    let refused = seen.reports.values().flat_map(|sealed| sealed.values());
    let refused = refused.flat_map(|sealed| &sealed.refused);
    let releases = seen.releases.values().flat_map(|of| of.values());
    for reason in refused.chain(releases.flat_map(|release| &release.refused)) {
        *verdict.refused.entry(*reason).or_default() += 1;
    }
    verdict.opened(seen);
    verdict
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.windows_wrong == 0 && self.wrong.is_empty()
    }

    /// The fourth ledger.
    fn opened(&mut self, seen: &Seen) {
        for ((feeder, window, part), of) in &seen.releases {
            let failed = of.values().filter(|release| release.is_not_opened());
            let failed = failed.count() as u64;
            if failed > 0 {
                self.sums_not_opened += failed;
                self.say(format!(
                    "{feeder}, window {window}: the operator could not open part {part}"
                ));
            }
        }
    }

    fn say(&mut self, words: String) {
        if self.wrong.len() < LINES {
            self.wrong.push(words);
        }
    }
}

/// A meter's report of a window: each of its ciphertexts.
#[derive(Clone, Copy)]
struct Reported<'a> {
    meter: &'a MeterId,
    sealed: &'a BTreeMap<Digest, Sealed>,
}

/// One feeder's window in all ledgers.
struct Window<'a> {
    key: Key<'a>,
    meters: u32,
    /// What it comes to; `None` where no total of the feeder says in which quanta.
    truth: Option<&'a Truth>,
    lines: Vec<&'a Total>,
    reports: Vec<Reported<'a>>,
    seen: &'a Seen,
    rules: Rules,
}

impl Window<'_> {
    fn judge(&self, verdict: &mut Verdict) {
        let mut wrong = Vec::new();
        let expected = u64::from(self.meters);
        let released: u64 = self.lines.iter().map(|line| u64::from(line.meters)).sum();
        verdict.reports_expected += expected;
        verdict.reports_folded += released;

        let missing = expected.saturating_sub(released);
        // The rest of a window is held if it is too small to be released. Receipts of every meter say that it is there; that
        // the gateway has ended says so too, where no meter was ever released.
        let too_few = |least: u32| missing < u64::from(least);
        let rest = too_few(self.rules.supplement_min_meters) && self.all_settled();
        let withheld = missing > 0 && (released == 0 && too_few(self.rules.min_meters) || rest);
        if withheld {
            verdict.windows_withheld += 1;
        } else if missing > 0 {
            verdict.lost += missing;
            wrong.push(format!("{released} of {expected} meters in the total"));
        }
        if let Some(line) = self
            .lines
            .iter()
            .find(|line| line.meters < self.rules.min_meters)
        {
            wrong.push(format!("a part of {} meters was released", line.meters));
        }
        let twice = self.reports.iter().filter(|of| folded_twice(of.sealed));
        let excess = released.saturating_sub(expected);
        let twice = twice.count() as u64;
        if excess.max(twice) > 0 {
            verdict.duplicated += excess.max(twice);
            wrong.push(format!(
                "{released} meters in the total, {expected} reported, {twice} with two receipts of folding"
            ));
        }
        if missing == 0 && excess == 0 {
            wrong.extend(self.compare(verdict));
        }
        let resealed = self.reports.iter().filter(|of| of.sealed.len() > 1);
        let resealed = resealed.count() as u64;
        if resealed > 0 {
            verdict.resealed += resealed;
            wrong.push(format!("{resealed} reports were sent with two ciphertexts"));
        }
        wrong.extend(self.releases(verdict));
        verdict.windows_wrong += usize::from(!wrong.is_empty());
        let (feeder, window) = self.key;
        for words in wrong {
            verdict.say(format!("{feeder}, window {window}: {words}"));
        }
    }

    /// Whether receipts were seen for every meter.
    fn all_settled(&self) -> bool {
        let settled = self.reports.iter().filter(|of| settled(of.sealed));
        settled.count() >= self.meters as usize
    }

    /// The energies of all parts together against the truth.
    fn compare(&self, verdict: &mut Verdict) -> Option<String> {
        let truth = self.truth?;
        let parts = self.lines.iter().map(|line| Shown {
            energy_wh: &line.energy_wh,
            present: &line.present,
        });
        let parts: Vec<Shown<'_>> = parts.collect();
        let deviation = truth.compare(&parts, self.rules.min_meters);
        verdict.max_relative_error = verdict.max_relative_error.max(deviation.relative);
        deviation.wrong.into_iter().next()
    }

    /// The digest of each report by its meter's number; `None` where one has two ciphertexts, or is of a meter that the roster
    /// was not seen to have.
    fn numbered(&self) -> Option<BTreeMap<u32, &Digest>> {
        let mut digests = BTreeMap::new();
        for report in &self.reports {
            digests.insert(*self.seen.numbers.get(report.meter)?, only(report.sealed)?);
        }
        Some(digests)
    }

    /// Whether each part was released once, and with whom.
    fn releases(&self, verdict: &mut Verdict) -> Option<String> {
        let (feeder, window) = self.key;
        let parts: BTreeSet<Part> = self.lines.iter().map(|line| line.part).collect();
        for part in &parts {
            let name = (feeder.clone(), window, *part);
            let of = self.seen.releases.get(&name);
            if of.is_some_and(|of| of.len() > 1) {
                return Some(format!("part {part} was released with two different sums"));
            }
        }
        let [line] = self.lines[..] else { return None };
        let name = (feeder.clone(), window, line.part);
        let release = self.seen.releases.get(&name)?.get(&line.digest)?;
        // Only a window of which every report was seen, with one ciphertext each, can be held against its release.
        let digests = self.numbered()?;
        if digests.len() != release.set.count() as usize {
            return None;
        }
        let bytes: Vec<u8> = digests.values().flat_map(|digest| digest.0).collect();
        let same = digests.keys().copied().eq(release.set.iter());
        if !same || release.contributors_digest != Digest::of(&bytes) {
            return Some(
                "the release is the sum of other reports than those on the wire".to_owned(),
            );
        }
        verdict.windows_identified += 1;
        None
    }
}

/// Folded under two ciphertexts, or twice under one.
fn folded_twice(sealed: &BTreeMap<Digest, Sealed>) -> bool {
    sealed
        .values()
        .map(|sealed| sealed.folded.len())
        .sum::<usize>()
        > 1
}

fn only(sealed: &BTreeMap<Digest, Sealed>) -> Option<&Digest> {
    let mut digests = sealed.keys();
    let first = digests.next()?;
    digests.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests;
