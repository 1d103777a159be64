//! What a file has against what was released of it: the two must add up, with what was left out in between.

use anyhow::Result;
use readings::{Reading, Replay, Source as _};
use serde::Serialize;
use wire::{Grid, UnixSeconds, WindowStart};

use crate::oracle::Truths;
use crate::verdict::Verdict;

/// Millionths of a watt-hour in a watt-hour.
const UWH: i128 = 1_000_000;

/// Readings, and what they come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Part {
    readings: u64,
    uwh: i128,
}

/// What a file has, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    replay: Said,
    /// All readings of the file.
    all: Part,
    /// Readings before the first window, and after the last one.
    before: Part,
    after: Part,
    /// Readings of a part of an interval that is missing.
    partial: Part,
    /// What is left: the readings of the windows.
    windows: Part,
}

/// What the reader of the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    found: String,
    /// The zone of the file's times, where its days are not windows.
    other_days: Option<String>,
    account: readings::Account,
}

/// The accounts of a file: how many rows and readings it has, and what became of its energy. In Wh, to a millionth.
///
/// `file_wh` is `released_wh`, `withheld_wh` and `carried_wh`, and all that is left out, in sum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileSummary {
    /// What the file was taken to be, in one line.
    pub found: String,
    /// The zone of the file's times, where its days are not windows.
    #[serde(skip)]
    pub other_days: Option<String>,
    /// Rows, or values of a row with several.
    pub rows: u64,
    /// Rows that repeat another one.
    pub rows_repeated: u64,
    /// Rows between two intervals that have no value.
    pub rows_between: u64,
    /// Lines without any value.
    pub rows_blank: u64,
    /// Readings.
    pub readings: u64,
    /// Intervals between a customer's first and last without a reading.
    pub readings_missing: u64,
    /// Those of them that have no row.
    pub without_row: u64,
    /// Intervals in which a register was swapped or set back.
    pub registers_swapped: u64,
    /// Readings before the first whole window.
    pub before_first_window: u64,
    /// Readings after the last window.
    pub after_last_window: u64,
    /// Readings of a part of an interval that is missing because another part is.
    pub of_partial_intervals: u64,
    /// Energy of all readings.
    pub file_wh: f64,
    /// Energy of the released totals.
    pub released_wh: i64,
    /// Energy of windows and intervals that are withheld.
    pub withheld_wh: f64,
    /// Energy that meters have entered into nothing yet: less than half a quantum each.
    pub carried_wh: f64,
    /// Energy before the first whole window.
    pub before_first_window_wh: f64,
    /// Energy after the last window.
    pub after_last_window_wh: f64,
    /// Energy of partial intervals.
    pub of_partial_intervals_wh: f64,
}

impl Ledger {
    /// What `replay` has for the windows of `grid` from `window` until `end`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// Where the file cannot be read at that interval.
    pub fn new(replay: &mut Replay, grid: Grid, (window, end): (WindowStart, u64)) -> Result<Self> {
        let part = |(readings, uwh)| Part { readings, uwh };
        let within = part(replay.between(window.0, end));
        let windows = readings_of(replay, grid, (window, end))?;
        let account = *replay.account();
        Ok(Self {
            all: part((account.readings, account.total_uwh)),
            before: part(replay.between(0, window.0)),
            after: part(replay.between(end, u64::MAX)),
            partial: Part {
                readings: account.partial + within.readings - windows.0,
                uwh: account.partial_uwh + within.uwh - windows.1.uwh,
            },
            windows: windows.1,
            replay: Said {
                found: replay.found().to_string(),
                other_days: Some(replay.found().time_zone.clone())
                    .filter(|zone| grid.zone().is_none() && zone != "UTC"),
                account,
            },
        })
    }

    /// The accounts at the end of a run, and what does not add up in them, in words.
    #[must_use]
    pub fn close(&self, verdict: &Verdict, truths: &Truths) -> (FileSummary, Option<String>) {
        let released: i128 = verdict
            .rows
            .iter()
            .map(|row| i128::from(row.energy_wh))
            .sum();
        let shown: i128 = verdict
            .rows
            .iter()
            .map(|row| i128::from(row.withheld_wh))
            .sum();
        let unreleased = truths.unreleased_uwh(|key| {
            let mut rows = verdict.rows.iter();
            verdict.in_rests.contains(key)
                || rows.any(|row| row.feeder == key.0 && row.window == key.1)
        });
        let withheld = shown * UWH + unreleased;
        let carried = self.windows.uwh - released * UWH - withheld;
        let (said, account) = (&self.replay, &self.replay.account);
        let wh = |uwh: i128| uwh as f64 / 1e6;
        let summary = FileSummary {
            found: said.found.clone(),
            other_days: said.other_days.clone(),
            rows: account.rows,
            rows_repeated: account.repeated,
            rows_between: account.between,
            rows_blank: account.blank,
            readings: self.all.readings,
            readings_missing: account.missing,
            without_row: account.without_row,
            registers_swapped: account.swapped,
            before_first_window: self.before.readings,
            after_last_window: self.after.readings,
            of_partial_intervals: self.partial.readings,
            file_wh: wh(self.all.uwh),
            released_wh: i64::try_from(released).unwrap_or(i64::MAX),
            withheld_wh: wh(withheld),
            carried_wh: wh(carried),
            before_first_window_wh: wh(self.before.uwh),
            after_last_window_wh: wh(self.after.uwh),
            of_partial_intervals_wh: wh(self.partial.uwh),
        };
        let parts = self.before.uwh + self.after.uwh + self.partial.uwh + self.windows.uwh;
        // Half a quantum of each meter, in each window whose readings entered nothing.
        let most = truths.meter_windows() as i128 * i128::from(verdict.quantum_wh.max(1)) * UWH / 2;
        let adds_up = parts == self.all.uwh && carried.abs() <= most;
        let wrong = (!adds_up).then(|| {
            format!(
                "the file's total of {:.3} Wh is not what was released and what was left out of it: {:.3} Wh are unaccounted for",
                summary.file_wh,
                wh(self.all.uwh - parts + carried)
            )
        });
        (summary, wrong)
    }
}

/// How many of the file's own readings the windows' readings are made of, and what those come to.
fn readings_of(
    replay: &mut Replay,
    grid: Grid,
    (window, end): (WindowStart, u64),
) -> Result<(u64, Part)> {
    let mut part = Part::default();
    let mut out = Vec::new();
    let mut start = window.0;
    while start < end {
        replay.read(UnixSeconds(start), grid.interval_s(), &mut out)?;
        for reading in &out {
            if let Reading::Energy(energy) = reading {
                part.readings += 1;
                part.uwh += i128::from(energy.0);
            }
        }
        start += u64::from(grid.interval_s());
    }
    let native = u64::from(grid.interval_s() / replay.interval_s().max(1));
    Ok((part.readings * native, part))
}

impl FileSummary {
    /// Lines for people.
    #[must_use]
    pub fn lines(&self) -> String {
        let kwh = |wh: f64| format!("{:.3} kWh", wh / 1e3);
        let mut text = format!(
            "the file: {}\n{} rows ({} repeat another, {} lie between intervals without a value, {} are blank), {} readings, {} missing \
             ({} without a row)\n",
            self.found,
            self.rows,
            self.rows_repeated,
            self.rows_between,
            self.rows_blank,
            self.readings,
            self.readings_missing,
            self.without_row,
        );
        text += &format!(
            "{} in the file = {} released",
            kwh(self.file_wh),
            kwh(self.released_wh as f64)
        );
        for (what, readings, wh) in [
            (
                "before the first whole window",
                self.before_first_window,
                self.before_first_window_wh,
            ),
            (
                "after the last window",
                self.after_last_window,
                self.after_last_window_wh,
            ),
            (
                "in intervals of which a part is missing",
                self.of_partial_intervals,
                self.of_partial_intervals_wh,
            ),
        ] {
            if readings > 0 {
                text += &format!(" + {} left out, {readings} readings {what}", kwh(wh));
            }
        }
        if let Some(zone) = &self.other_days
            && self.before_first_window + self.after_last_window > 0
        {
            text += &format!(
                " (windows are cut in UTC; with plan.time_zone={zone} they are the file's days)"
            );
        }
        if self.withheld_wh != 0.0 {
            text += &format!(" + {} withheld", kwh(self.withheld_wh));
        }
        text + &format!(" + {} carried on\n", kwh(self.carried_wh))
    }
}
