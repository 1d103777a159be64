//! How many reports may be under way.

/// The allowance before anything is known.
pub(super) const INITIAL: f64 = 16.0;
/// What is left of the allowance when receipts take too long.
const SHRINK: f64 = 0.7;
/// The share of lost reports above which they are taken for a ring's overrun. Well above what a network loses that is of
/// any use; a ring is then sent at most half as much again as the destination takes.
const OVERRUN: f64 = 1.0 / 3.0;
/// Reports in a row of which the share that is lost is taken. Of so many, a network that loses a fifth hardly ever loses a
/// third.
const SAMPLE: u64 = 128;

/// Reports that may be under way to one destination.
#[derive(Debug)]
pub(super) struct Allowance {
    size: f64,
    most: usize,
    /// The size up to which it grows by one for each receipt.
    threshold: f64,
    /// When it was last used up.
    filled_ms: Option<u64>,
    /// When it last shrank: what was sent before says nothing about it since.
    shrunk_ms: Option<u64>,
    sample: Sample,
}

/// Reports sent in a row, and what is known of them.
#[derive(Debug, Default)]
struct Sample {
    /// The number of the first.
    from: u64,
    /// How many are not under way any more, and how many of those are lost.
    known: u64,
    lost: u64,
}

impl Allowance {
    pub(super) fn new(most: usize) -> Self {
        Self {
            size: INITIAL,
            most: most.max(1),
            threshold: f64::INFINITY,
            filled_ms: None,
            shrunk_ms: None,
            sample: Sample::default(),
        }
    }

    pub(super) fn size(&self) -> usize {
        (self.size as usize).clamp(1, self.most)
    }

    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most.max(1);
        self.size = self.size.min(self.most as f64);
    }

    /// As many reports are under way as may be.
    pub(super) fn filled(&mut self, now_ms: u64) {
        self.filled_ms = Some(now_ms);
    }

    /// A report sent at `sent_ms` has its receipt in time: a larger allowance could do more, if this one was used up since.
    pub(super) fn grow(&mut self, sent_ms: u64) {
        if self.filled_ms.is_none_or(|filled_ms| filled_ms < sent_ms) {
            return;
        }
        let step = match self.size < self.threshold {
            true => 1.0,
            false => 1.0 / self.size,
        };
        self.size = (self.size + step).min(self.most as f64);
    }

    /// The receipt of a report sent at `sent_ms` took too long. `next`: the number of the next report sent.
    pub(super) fn shrink(&mut self, sent_ms: u64, now_ms: u64, next: u64) {
        if self.shrunk_ms.is_none_or(|shrunk_ms| sent_ms >= shrunk_ms) {
            self.shrink_to(self.size * SHRINK, now_ms, next);
        }
    }

    /// There is no receipt at all: one report asks for a sign of life.
    pub(super) fn collapse(&mut self, now_ms: u64, next: u64) {
        self.shrink_to(self.size / 2.0, now_ms, next);
        self.size = 1.0;
    }

    fn shrink_to(&mut self, size: f64, now_ms: u64, next: u64) {
        self.threshold = size.max(2.0);
        self.size = self.threshold;
        self.shrunk_ms = Some(now_ms);
        self.sample = Sample::starting_at(next);
    }

    /// The report with this number is no longer under way, because it is lost or for another reason.
    pub(super) fn ended(&mut self, number: u64, lost: bool) {
        if self.sample.has(number) {
            self.sample.known += 1;
            self.sample.lost += u64::from(lost);
        }
    }

    /// The report with this number was not lost after all.
    pub(super) fn found(&mut self, number: u64) {
        if self.sample.has(number) {
            self.sample.lost = self.sample.lost.saturating_sub(1);
        }
    }

    /// Shrinks if so many are lost that a ring must have overflowed.
    pub(super) fn judge(&mut self, now_ms: u64, next: u64) {
        if self.sample.known < SAMPLE {
            return;
        }
        let share = self.sample.lost as f64 / self.sample.known as f64;
        self.sample = Sample::starting_at(next);
        if share > OVERRUN {
            self.shrink_to(self.size * SHRINK, now_ms, next);
        }
    }
}

impl Sample {
    fn starting_at(from: u64) -> Self {
        Self {
            from,
            ..Self::default()
        }
    }

    fn has(&self, number: u64) -> bool {
        (self.from..self.from + SAMPLE).contains(&number)
    }
}
