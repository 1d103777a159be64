//! How long receipts take: usually, and at best.

/// For how long the quickest receipt is remembered, at least; at most twice as long.
const QUICKEST_FOR_MS: u64 = 60_000;

/// What is left of the lateness of reports that changed places after each measurement: half after 44 of them.
const FADE: f64 = 63.0 / 64.0;

/// The time receipts take, smoothed, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct RoundTrip {
    smoothed: Option<Smoothed>,
    /// The millisecond of the newest receipts, the longest of them, and what was known before.
    at_ms: Option<u64>,
    longest_ms: u64,
    before: Option<Smoothed>,
    /// How late reports were that had been overtaken; fades.
    late_ms: f64,
}

#[derive(Debug, Clone, Copy)]
struct Smoothed {
    time: f64,
    variation: f64,
}

impl RoundTrip {
    /// Takes a receipt's time. The receipts of one millisecond are of one commit and count once, with the longest: a
    /// measurement for each would have forgotten the first of a window by the time it enters the last.
    pub(super) fn measure(&mut self, took_ms: u64, now_ms: u64) {
        if self.at_ms != Some(now_ms) {
            self.at_ms = Some(now_ms);
            self.before = self.smoothed;
            self.longest_ms = 0;
            self.late_ms *= FADE;
        }
        self.longest_ms = self.longest_ms.max(took_ms);
        self.smoothed = Some(Smoothed::with(self.before, self.longest_ms as f64));
    }

    /// The silence after which nothing is expected any more: four variations beyond the usual (RFC 6298, 2.3); 0 while
    /// nothing is known.
    pub(super) fn timeout_ms(&self) -> u64 {
        self.smoothed
            .map_or(0.0, |known| known.time + 4.0 * known.variation)
            .ceil() as u64
    }

    /// How long a report may take if one sent after it took `took_ms`.
    pub(super) fn usual_ms(&self, took_ms: u64) -> u64 {
        let usual_ms = self.smoothed.map_or(0, |known| known.time.ceil() as u64);
        usual_ms.max(took_ms)
    }

    /// How much longer it may take because reports change places on the way: a quarter of the round trip (RFC 8985, 6.2);
    /// four variations, since a report that just misses a commit is a whole commit later; twice the time by which reports
    /// were late of late.
    pub(super) fn margin_ms(&self) -> u64 {
        let Some(Smoothed { time, variation }) = self.smoothed else {
            return 1;
        };
        (2.0 * self.late_ms)
            .max(time / 4.0)
            .max(4.0 * variation)
            .max(1.0)
            .ceil() as u64
    }

    /// A report came after all, this long after one sent later told to expect it.
    pub(super) fn changed_places(&mut self, late_ms: u64) {
        self.late_ms = self.late_ms.max(late_ms as f64);
    }
}

impl Smoothed {
    /// RFC 6298, 2.2 and 2.3.
    fn with(known: Option<Self>, took: f64) -> Self {
        match known {
            None => Self {
                time: took,
                variation: took / 2.0,
            },
            Some(Self { time, variation }) => Self {
                variation: 0.75 * variation + 0.25 * (time - took).abs(),
                time: 0.875 * time + 0.125 * took,
            },
        }
    }
}

/// The quickest receipt, of this span of time and of the one before.
#[derive(Debug, Default)]
pub(super) struct Quickest {
    began_ms: u64,
    current: Option<u64>,
    before: Option<u64>,
}

impl Quickest {
    /// Takes a receipt's time and returns the quickest.
    pub(super) fn with(&mut self, took_ms: u64, now_ms: u64) -> u64 {
        if now_ms.saturating_sub(self.began_ms) >= QUICKEST_FOR_MS {
            self.before = self.current.take();
            self.began_ms = now_ms;
        }
        let current = self.current.map_or(took_ms, |current| current.min(took_ms));
        self.current = Some(current);
        self.before.map_or(current, |before| before.min(current))
    }

    /// The quickest, if there has been one.
    pub(super) fn get(&self) -> Option<u64> {
        self.before.into_iter().chain(self.current).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quickest_receipt_counts_for_its_span_and_the_next() {
        const SPAN: u64 = QUICKEST_FOR_MS;
        let mut quickest = Quickest::default();
        assert_eq!(quickest.get(), None);
        assert_eq!(quickest.with(5, 0), 5);
        assert_eq!(quickest.with(9, SPAN - 1), 5);
        assert_eq!(quickest.with(9, SPAN), 5);
        assert_eq!(quickest.with(7, 2 * SPAN - 1), 5);
        assert_eq!(quickest.with(8, 2 * SPAN), 7);
        assert_eq!(quickest.get(), Some(7));
        assert_eq!(quickest.with(9, 3 * SPAN), 8);
    }
}
