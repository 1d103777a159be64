//! Bills under kills: `bills.jsonl`, read by code of its own, against what the meters entered.
//!
//! Of each feeder the first few meters are billed, as many as leave a group for totals without a bill. Each has one bill for each
//! billing period that is over, exact, however often analytics and operator were killed.

use std::collections::BTreeMap;

use anyhow::Result;
use harness::oracle::Truths;
use meter::feeder_of;
use readings::{FleetOptions, Simulated, Source as _};
use serde::{Deserialize, Serialize};
use service::config::{BandTime, Settings, TariffEntry};
use wire::{MeterId, UnixSeconds, WindowStart};

use super::totals::Total;

/// Meters of each feeder that are billed.
const BILLED: usize = 3;

/// Windows of a billing period, which are hours.
const PERIOD: u64 = 8;

const HOUR: u64 = 3_600;

/// A line of `bills.jsonl`, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Bill {
    meter: MeterId,
    period_start: WindowStart,
    bands: Vec<Band>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Band {
    band: String,
    energy_wh: i64,
}

/// How many bills there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Bills {
    pub(crate) due: usize,
    pub(crate) opened: usize,
}

impl From<(usize, usize)> for Bills {
    fn from((due, opened): (usize, usize)) -> Self {
        Self { due, opened }
    }
}

/// Who is billed for what: nobody, unless [`set`](Self::set) says so.
#[derive(Debug, Clone, Default)]
pub(crate) struct Billed {
    meters: Vec<MeterId>,
    feeders: u32,
    periods: Vec<WindowStart>,
}

impl Billed {
    /// Bills meters of the fleet over the windows of `from` and the `length` after it.
    pub(crate) fn set(
        settings: &mut Settings,
        fleet: &FleetOptions,
        (from, length): (WindowStart, u64),
    ) -> Result<Self> {
        let feeders = settings.meter.feeders;
        let source = Simulated::new(fleet)?;
        let meters = source.meters();
        // Of small feeders all meters are needed for totals without a bill.
        let group = settings.plan.minimum_group() as usize + BILLED;
        let billed = if meters.len() >= group * feeders as usize {
            BILLED
        } else {
            0
        };
        let meters = meters.iter().take(billed * feeders as usize);
        let meters: Vec<MeterId> = meters.map(|spec| spec.id.clone()).collect();
        settings.meter.billing = meters.iter().map(MeterId::to_string).collect();
        settings.plan.billing_period = PERIOD.to_string();
        settings.plan.tariffs = vec![TariffEntry {
            from: "1970-01-01".to_owned(),
            otherwise: "even".parse()?,
            holidays: Vec::new(),
            bands: (0..12)
                .map(|hour| BandTime {
                    band: "odd".parse().expect("an id"),
                    hours: format!("{:02}:00-{:02}:00", 2 * hour + 1, 2 * hour + 2),
                    days: Vec::new(),
                    season: String::new(),
                })
                .collect(),
        }];
        settings.release.bill_min_intervals = 1;
        let span = PERIOD * HOUR;
        let first = from.0 - from.0 % span;
        let periods = (first..).step_by(span as usize);
        let periods = periods.take_while(|start| start + span <= from.0 + length);
        Ok(Self {
            meters,
            feeders,
            periods: periods.map(WindowStart).collect(),
        })
    }

    pub(crate) fn expected(&self) -> usize {
        self.meters.len() * self.periods.len()
    }

    /// What is wrong with the bills.
    pub(crate) fn judge(&self, truths: &Truths, totals: &[Total], bills: &[Bill]) -> Vec<String> {
        let mut found: BTreeMap<(&MeterId, WindowStart), Vec<&Bill>> = BTreeMap::new();
        for bill in bills {
            let of = (&bill.meter, bill.period_start);
            found.entry(of).or_default().push(bill);
        }
        let mut wrong = Vec::new();
        for start in &self.periods {
            for (index, meter) in self.meters.iter().enumerate() {
                let bills = found.remove(&(meter, *start)).unwrap_or_default();
                let truth = self.truth(truths, totals, index, *start);
                if let Some(words) = compare(&bills, truth) {
                    wrong.push(format!("{meter}, period {start}: {words}"));
                }
            }
        }
        let others = found.keys();
        wrong.extend(
            others.map(|(meter, start)| format!("{meter}, period {start}: no bill is due")),
        );
        wrong
    }

    /// The energy of the even and of the odd hours.
    fn truth(
        &self,
        truths: &Truths,
        totals: &[Total],
        index: usize,
        start: WindowStart,
    ) -> Option<[i64; 2]> {
        let feeder = feeder_of(index, self.feeders);
        let total = totals.iter().find(|total| total.feeder == feeder)?;
        let end = WindowStart(start.0 + PERIOD * HOUR);
        let odd = |at: UnixSeconds| usize::from(at.0 / HOUR % 2 == 1);
        let scale = (total.quantum_wh, 900);
        let of_feeder = truths.bands((&feeder, start, end), scale, 2, odd);
        let bands = of_feeder.get(index / self.feeders as usize)?;
        Some([bands[0], bands[1]])
    }
}

fn compare(bills: &[&Bill], truth: Option<[i64; 2]>) -> Option<String> {
    let [bill] = bills else {
        return Some(format!("{} bills", bills.len()));
    };
    let bands = bill.bands.iter().map(|of| (of.band.as_str(), of.energy_wh));
    let bands: BTreeMap<&str, i64> = bands.collect();
    let [even, odd] = truth?;
    // A period of which only the last hour is reported has one band.
    let expected = BTreeMap::from([("even", even), ("odd", odd)]);
    let is_exact = !bands.is_empty()
        && bands
            .iter()
            .all(|band| expected.get(band.0) == Some(band.1));
    (!is_exact).then(|| format!("{bands:?} Wh, the truth is {expected:?} Wh"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(bands: &[(&str, i64)]) -> Bill {
        let bands = bands.iter().map(|(band, energy_wh)| Band {
            band: (*band).to_owned(),
            energy_wh: *energy_wh,
        });
        Bill {
            meter: "meter-1".parse().unwrap(),
            period_start: WindowStart(0),
            bands: bands.collect(),
        }
    }

    #[test]
    fn a_bill_that_is_missing_doubled_or_off_is_wrong() {
        let good = bill(&[("even", 4), ("odd", -1)]);
        let of = |bills: &[&Bill]| compare(bills, Some([4, -1])).is_some();
        assert!(!of(&[&good]));
        assert!(of(&[]));
        assert!(of(&[&good, &good]));
        assert!(of(&[&bill(&[("even", 5), ("odd", -1)])]));
        assert!(of(&[&bill(&[])]));
    }
}
