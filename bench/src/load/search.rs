//! Which rate to offer next: up in steps of a half until one does not pass, then halving what is in between.

/// Factor from one rate to the next while none has failed.
const UP: f64 = 1.5;
/// The knee is known well enough once the rates around it are this close: one noisy step is worth more.
const CLOSE: f64 = 1.08;
/// The lowest rate worth a step, in reports a second.
const LEAST: f64 = 10.0;

#[derive(Debug, Clone)]
pub(crate) struct Search {
    max_rate: f64,
    left: u32,
    next: f64,
    /// The greatest rate that passed.
    pub(crate) passed: Option<f64>,
    /// The lowest rate that failed.
    pub(crate) failed: Option<f64>,
}

impl Search {
    /// A search from `from` up to `max_rate` in at most so many steps.
    pub(crate) fn new(from: f64, max_rate: f64, steps: u32) -> Self {
        Self {
            max_rate,
            left: steps,
            next: from.min(max_rate),
            passed: None,
            failed: None,
        }
    }

    /// The rate to offer next; `None` once nothing more can be learnt.
    pub(crate) fn next(&self) -> Option<f64> {
        let settled = match (self.passed, self.failed) {
            (Some(passed), Some(failed)) => failed / passed < CLOSE,
            (Some(passed), None) => passed >= self.max_rate,
            (None, Some(failed)) => failed <= LEAST,
            (None, None) => false,
        };
        (self.left > 0 && !settled).then_some(self.next)
    }

    pub(crate) fn record(&mut self, rate: f64, passed: bool) {
        self.left = self.left.saturating_sub(1);
        if passed {
            self.passed = Some(self.passed.map_or(rate, |known| known.max(rate)));
        } else {
            self.failed = Some(self.failed.map_or(rate, |known| known.min(rate)));
        }
        self.next = match (self.passed, self.failed) {
            (Some(passed), Some(failed)) => (passed * failed).sqrt(),
            (Some(passed), None) => (passed * UP).min(self.max_rate),
            (None, Some(failed)) => (failed / UP).max(LEAST),
            (None, None) => self.next,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offered(capacity: f64, search: &mut Search) -> Vec<f64> {
        let mut rates = Vec::new();
        while let Some(rate) = search.next() {
            search.record(rate, rate <= capacity);
            rates.push(rate);
        }
        rates
    }

    #[test]
    fn it_steps_up_by_halves_and_then_closes_in() {
        let mut search = Search::new(500.0, 20_000.0, 20);
        let rates = offered(4_000.0, &mut search);
        assert_eq!(
            &rates[..7],
            [500.0, 750.0, 1125.0, 1687.5, 2531.25, 3796.875, 5695.3125]
        );
        let knee = search.passed.unwrap();
        assert!(knee <= 4_000.0 && knee * CLOSE > 4_000.0, "{knee}");
        assert!(search.failed.unwrap() > 4_000.0);
    }

    #[test]
    fn it_ends_at_the_greatest_rate_it_may_offer() {
        let mut search = Search::new(500.0, 1_000.0, 20);
        assert_eq!(offered(1e9, &mut search), [500.0, 750.0, 1_000.0]);
        assert_eq!((search.passed, search.failed), (Some(1_000.0), None));
    }

    #[test]
    fn a_pipeline_that_manages_nothing_has_no_knee() {
        let mut search = Search::new(500.0, 1_000.0, 20);
        let rates = offered(0.0, &mut search);
        assert_eq!(rates.last(), Some(&LEAST));
        assert_eq!(search.passed, None);
    }

    proptest! {
        #[test]
        fn the_knee_is_never_above_the_capacity_and_close_to_it_if_there_are_steps_enough(
            capacity in 20.0..50_000.0_f64,
            from in 10.0..20_000.0_f64,
            steps in 1..40_u32,
        ) {
            let mut search = Search::new(from, 100_000.0, steps);
            let rates = offered(capacity, &mut search);
            prop_assert!(rates.len() <= steps as usize);
            if let Some(knee) = search.passed {
                prop_assert!(knee <= capacity);
            }
            if steps >= 39 {
                prop_assert!(search.passed.unwrap() * CLOSE >= capacity);
            }
        }
    }
}
