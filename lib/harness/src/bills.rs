//! Bills held against the truth.

use std::collections::{BTreeMap, BTreeSet};

use meter::feeder_of;
use wire::{MeterId, UnixSeconds};

use crate::oracle::Truths;
use crate::watch::Watch;

/// Who is billed for what, as the truth has it.
pub struct Billing<'a> {
    /// The meters of the fleet, in its order.
    pub meters: &'a [MeterId],
    /// Feeders they are spread over.
    pub feeders: u32,
    /// Length of an interval in seconds.
    pub interval_s: u32,
    /// The bands.
    pub names: &'a [&'a str],
    /// The place in `names` of the band of an interval that begins at a time.
    pub band: &'a dyn Fn(UnixSeconds) -> usize,
}

/// What bills come to.
#[derive(Debug, Default)]
pub struct Checked {
    /// Bills.
    pub bills: usize,
    /// Energy of all their bands in Wh, as they say.
    pub energy_wh: i64,
    /// The same in truth.
    pub truth_wh: i64,
    /// Greatest |billed − true| of a band, in Wh.
    pub greatest_wh: u64,
    /// What is wrong, in words.
    pub wrong: Vec<String>,
}

impl Billing<'_> {
    /// Holds every bill against what its meter entered: each band, and each meter and period once.
    #[must_use]
    pub fn check(&self, watch: &Watch, truths: &Truths) -> Checked {
        let places = self.meters.iter().zip(0..);
        let places: BTreeMap<&MeterId, usize> = places.collect();
        let quanta = watch.released.iter();
        let quanta: BTreeMap<_, u64> = quanta
            .map(|total| (&total.feeder, total.quantum_wh))
            .collect();
        let mut checked = Checked::default();
        let mut seen = BTreeSet::new();
        let mut known = BTreeMap::new();
        for bill in &watch.bills {
            let name = format!("{}, period {}", bill.meter, bill.period_start);
            checked.bills += 1;
            if !seen.insert((&bill.meter, bill.period_start)) {
                checked.wrong.push(format!("{name}: a second bill"));
            }
            let (Some(place), Some(quantum_wh)) =
                (places.get(&bill.meter), quanta.get(&bill.feeder))
            else {
                checked.wrong.push(format!("{name}: nobody's"));
                continue;
            };
            let is_right = feeder_of(*place, self.feeders) == bill.feeder;
            let of_feeder = known
                .entry((&bill.feeder, bill.period_start))
                .or_insert_with(|| {
                    let span = (&bill.feeder, bill.period_start, bill.period_end);
                    let scale = (*quantum_wh, self.interval_s);
                    truths.bands(span, scale, self.names.len(), self.band)
                });
            let truth = of_feeder
                .get(place / self.feeders as usize)
                .filter(|_| is_right);
            for (place, band) in self.names.iter().enumerate() {
                let billed = bill.bands.iter().find(|of| of.band.as_str() == *band);
                let billed_wh = billed.map_or(0, |of| of.energy_wh);
                let true_wh = truth.map_or(0, |truth| truth[place]);
                checked.energy_wh += billed_wh;
                checked.truth_wh += true_wh;
                checked.greatest_wh = checked.greatest_wh.max(billed_wh.abs_diff(true_wh));
                if billed_wh != true_wh {
                    checked.wrong.push(format!(
                        "{name}, {band}: {billed_wh} Wh, the truth is {true_wh} Wh"
                    ));
                }
            }
        }
        checked
    }
}
