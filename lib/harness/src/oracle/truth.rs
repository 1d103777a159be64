//! One window of one feeder, and a total held against it.

/// What the meters of one feeder entered for one window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    /// Meters with at least one reading in the window.
    pub meters: u32,
    /// Energy per interval in Wh, summed over the meters.
    pub energy_wh: Vec<i64>,
    /// Meters with a reading, per interval.
    pub present: Vec<u32>,
    /// Readings that were cut to their meter's capacity.
    pub clamped: u64,
    /// Squares of the meters' energies per interval in Wh², summed over the meters.
    pub squares_wh2: Option<Vec<u128>>,
    /// The greatest of each meter's energies in Wh, summed over the meters.
    pub maxima_wh: i64,
    /// Meters in each bin of consumption, per interval.
    pub bins: Option<Vec<Vec<u32>>>,
}

/// One part of a released window: per interval its energy in Wh, and how many of its meters had a reading.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// `None` where too few had a reading, or nobody.
    pub energy_wh: &'a [Option<i64>],
    /// `None` where too few had a reading.
    pub present: &'a [Option<u32>],
}

/// How far a total is from the truth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deviation {
    /// Energy of each interval in Wh, of all parts together; `None` where one of them withholds it, and where nobody had a
    /// reading.
    pub shown_wh: Vec<Option<i64>>,
    /// Greatest |decrypted − true| of an interval, in Wh.
    pub greatest_wh: u64,
    /// Greatest |decrypted − true| / max(|true|, 1 Wh).
    pub relative: f64,
    /// Intervals that are off, in words.
    pub wrong: Vec<String>,
}

impl Truth {
    /// What two feeders entered together for one window.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.meters += other.meters;
        self.clamped += other.clamped;
        self.maxima_wh += other.maxima_wh;
        add_to(&mut self.energy_wh, &other.energy_wh);
        add_to(&mut self.present, &other.present);
        if let (Some(squares), Some(others)) = (&mut self.squares_wh2, &other.squares_wh2) {
            add_to(squares, others);
        }
        for (bins, others) in self
            .bins
            .iter_mut()
            .flatten()
            .zip(other.bins.iter().flatten())
        {
            add_to(bins, others);
        }
        self
    }

    /// Energy of each interval in Wh as one total of all these meters has to show it: `None` where fewer than `min_meters`
    /// had a reading.
    #[must_use]
    pub fn shown_wh(&self, min_meters: u32) -> Vec<Option<i64>> {
        let intervals = self.energy_wh.iter().zip(&self.present);
        let shown = |(&wh, &present)| (present > 0 && present >= min_meters).then_some(wh);
        intervals.map(shown).collect()
    }

    /// Holds the parts of a window together against the truth. Which meters are in which part is not known here, so where
    /// some parts withhold an interval, only how many readings they withhold is held against it.
    #[must_use]
    pub fn compare(&self, parts: &[Shown<'_>], min_meters: u32) -> Deviation {
        let mut deviation = Deviation::default();
        for (k, (&true_wh, &present)) in self.energy_wh.iter().zip(&self.present).enumerate() {
            let mut interval = Interval::default();
            let added = parts
                .iter()
                .try_for_each(|part| interval.add(part, k, min_meters));
            let checked = added.and_then(|()| interval.check(present, min_meters));
            let shown = (interval.withheld == 0 && interval.present > 0).then_some(interval.wh);
            deviation.shown_wh.push(shown);
            if let Err(words) = checked {
                deviation.wrong.push(format!("interval {k}: {words}"));
            }
            if interval.withheld == 0 {
                deviation.hold(k, interval.wh, true_wh);
            }
        }
        deviation
    }
}

fn add_to<T: std::ops::AddAssign + Copy>(sums: &mut [T], others: &[T]) {
    for (sum, other) in sums.iter_mut().zip(others) {
        *sum += *other;
    }
}

impl Deviation {
    fn hold(&mut self, k: usize, decrypted: i64, true_wh: i64) {
        let error = decrypted.abs_diff(true_wh);
        // An interval with no energy at all has no relative error; a watt-hour stands for it.
        let relative = error as f64 / true_wh.unsigned_abs().max(1) as f64;
        self.greatest_wh = self.greatest_wh.max(error);
        self.relative = self.relative.max(relative);
        if error > 0 {
            let words = format!("interval {k}: {decrypted} Wh, the truth is {true_wh} Wh");
            self.wrong.push(words);
        }
    }
}

/// What the parts of a window show of one interval.
#[derive(Default)]
struct Interval {
    wh: i64,
    present: u32,
    /// Parts that withhold it.
    withheld: u32,
}

impl Interval {
    fn add(&mut self, part: &Shown<'_>, k: usize, min_meters: u32) -> Result<(), String> {
        let (Some(&wh), Some(&present)) = (part.energy_wh.get(k), part.present.get(k)) else {
            return Err("not in the total".to_owned());
        };
        self.wh += wh.unwrap_or(0);
        self.present += present.unwrap_or(0);
        self.withheld += u32::from(present.is_none());
        if present.is_some_and(|present| present > 0) != wh.is_some() {
            return Err(format!("{present:?} readings have an energy of {wh:?} Wh"));
        }
        match present {
            Some(few) if few > 0 && few < min_meters => {
                Err(format!("shown, though of {few} readings only"))
            }
            _ => Ok(()),
        }
    }

    /// Against how many readings there are. A part that withholds the interval has some, and fewer than `min_meters`.
    fn check(&self, present: u32, min_meters: u32) -> Result<(), String> {
        let most = self.withheld * min_meters.saturating_sub(1);
        let hidden = present.checked_sub(self.present);
        match hidden.is_some_and(|hidden| (self.withheld..=most).contains(&hidden)) {
            true => Ok(()),
            false => Err(format!(
                "{} readings shown and {} parts withheld, in truth {present} readings",
                self.present, self.withheld
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 20, 20, 1 and 0 readings.
    fn of_few() -> Truth {
        Truth {
            meters: 20,
            energy_wh: vec![400, 0, 987, 0],
            present: vec![20, 20, 1, 0],
            ..Truth::default()
        }
    }

    const SHOWN: [Option<i64>; 4] = [Some(400), Some(0), None, None];
    const PRESENT: [Option<u32>; 4] = [Some(20), Some(20), None, Some(0)];

    /// Energy and presence of a part's four intervals.
    type Part = ([Option<i64>; 4], [Option<u32>; 4]);

    fn wrong(parts: &[Part]) -> Vec<String> {
        let parts = parts
            .iter()
            .map(|(energy_wh, present)| Shown { energy_wh, present });
        of_few().compare(&parts.collect::<Vec<_>>(), 15).wrong
    }

    #[test]
    fn a_total_equals_the_truth_or_is_wrong() {
        assert_eq!(wrong(&[(SHOWN, PRESENT)]), Vec::<String>::new());
        let mut off = SHOWN;
        off[1] = Some(-1);
        assert_eq!(
            wrong(&[(off, PRESENT)]),
            ["interval 1: -1 Wh, the truth is 0 Wh"]
        );
    }

    #[test]
    fn a_total_that_shows_an_interval_of_few_readings_is_wrong_whatever_it_shows() {
        assert_eq!(of_few().shown_wh(15), SHOWN);
        for (energy, present) in [(Some(987), Some(1)), (None, Some(1)), (Some(987), None)] {
            let (mut energies, mut presences) = (SHOWN, PRESENT);
            (energies[2], presences[2]) = (energy, present);
            assert_ne!(wrong(&[(energies, presences)]), Vec::<String>::new());
        }
        // As if nobody had a reading, and as if enough had.
        for claimed in [Some(0), Some(15)] {
            let mut presences = PRESENT;
            presences[2] = claimed;
            assert_ne!(wrong(&[(SHOWN, presences)]), Vec::<String>::new());
        }
    }

    #[test]
    fn a_total_that_withholds_an_interval_of_enough_readings_or_of_nobody_is_wrong() {
        for k in [0, 3] {
            let (mut energies, mut presences) = (SHOWN, PRESENT);
            (energies[k], presences[k]) = (None, None);
            assert_ne!(wrong(&[(energies, presences)]), Vec::<String>::new());
        }
    }

    #[test]
    fn parts_may_withhold_what_all_together_would_show() {
        let truth = Truth {
            energy_wh: vec![50],
            present: vec![20],
            ..Truth::default()
        };
        let of = |first: (Option<i64>, Option<u32>), second: (Option<i64>, Option<u32>)| {
            let parts = [&first, &second].map(|(energy, present)| Shown {
                energy_wh: std::slice::from_ref(energy),
                present: std::slice::from_ref(present),
            });
            truth.compare(&parts, 15)
        };
        let half = of((None, None), (Some(40), Some(16)));
        assert_eq!((half.wrong.len(), half.shown_wh), (0, vec![None]));
        assert_eq!(of((None, None), (None, None)).wrong.len(), 0);
        assert_ne!(of((None, None), (Some(50), Some(20))).wrong.len(), 0);
    }
}
