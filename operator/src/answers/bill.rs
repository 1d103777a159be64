//! `operator ask bills` and `operator export --bills`: energies of tariff bands, times their prices. In whole numbers: amounts are exact.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use anyhow::Context as _;
use serde::Serialize;
use service::Settings;
use service::config::BandPrice;
use wire::{BandName, MeterId, Zone};

use crate::commands::existing_folder;
use crate::keys::keyring;
use crate::plan::stored::stored_key;
use crate::print::Output;
use crate::release::bills::{BandEnergy, BillReport};
use crate::release::totals;

/// Which bills.
#[derive(Clone, Debug, Default)]
pub struct BillSelection {
    /// Of these meters; of all if there are none.
    pub meters: Vec<MeterId>,
    /// Of the billing periods whose first day begins so, such as `2026-11`; of all if empty.
    pub period: String,
}

/// A row: a band of a bill.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    meter: String,
    feeder: String,
    /// The first day of the billing period, by the plan's time zone.
    period: String,
    band: String,
    intervals: u32,
    energy_wh: i64,
    /// Of a kWh; none where the band has no price.
    price_per_kwh: Option<String>,
    amount: Option<String>,
    currency: String,
    /// Windows of the period that the meter reported, and how many it has.
    windows: u32,
    period_windows: u32,
}

/// What bands cost.
struct Tariff<'a> {
    zone: Option<Zone>,
    /// Millionths of the currency a kWh.
    micros: BTreeMap<&'a BandName, i64>,
    currency: &'a str,
}

impl<'a> Tariff<'a> {
    fn of(settings: &'a Settings) -> anyhow::Result<Self> {
        let price = |price: &'a BandPrice| Ok((&price.band, price.micros_per_kwh()?));
        let micros = settings.operator.prices.iter().map(price);
        let micros: Result<_, String> = micros.collect();
        Ok(Self {
            zone: settings.plan.time_zone,
            micros: micros.map_err(anyhow::Error::msg)?,
            currency: &settings.operator.currency,
        })
    }

    fn rows(&self, report: &BillReport) -> Vec<Row> {
        let row = |band: &BandEnergy| {
            let micros = self.micros.get(&band.band).copied();
            let nanos = micros.map(|micros| i128::from(micros) * i128::from(band.energy_wh));
            Row {
                meter: report.meter.to_string(),
                feeder: report.feeder.to_string(),
                period: self.day(report),
                band: band.band.to_string(),
                intervals: band.intervals,
                energy_wh: band.energy_wh,
                price_per_kwh: micros.map(|micros| decimal(i128::from(micros) * 1_000)),
                amount: nanos.map(decimal),
                currency: self.currency.to_owned(),
                windows: report.windows,
                period_windows: report.period_windows,
            }
        };
        report.bands.iter().map(row).collect()
    }

    /// The first day of the billing period.
    fn day(&self, report: &BillReport) -> String {
        wire::civil(self.zone, report.period_start.0)
            .date()
            .to_string()
    }
}

/// Billionths as a decimal number with as many digits as it needs, two at least after the point.
fn decimal(nanos: i128) -> String {
    const ONE: u128 = 1_000_000_000;
    let size = nanos.unsigned_abs();
    let fraction = format!("{:09}", size % ONE);
    let digits = fraction.trim_end_matches('0').len().max(2);
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{}.{}", size / ONE, &fraction[..digits])
}

fn reports(settings: &Settings, selection: &BillSelection) -> anyhow::Result<Vec<BillReport>> {
    let key = stored_key(&existing_folder(settings)?)?;
    let operator = keyring::name_of(&key);
    let tariff = Tariff::of(settings)?;
    let path = &settings.operator.bills_file;
    let is_own = |report: &BillReport| report.by.operator == operator;
    let lines =
        totals::lines(path, 0, is_own).context("`operator.bills_file` is where bills are")?;
    let has = |report: &BillReport| {
        let meters = &selection.meters;
        (meters.is_empty() || meters.contains(&report.meter))
            && tariff.day(report).starts_with(&selection.period)
    };
    let lines = lines.filter(|line| line.as_ref().map_or(true, has));
    let mut found = lines.collect::<Result<Vec<_>, _>>()?;
    found.sort_by(|a, b| (&a.meter, a.period_start).cmp(&(&b.meter, b.period_start)));
    anyhow::ensure!(
        !found.is_empty(),
        "{} has no bill of these meters and periods: a bill is there once its billing period is over; \
         cipherwatt_operator_bills_rejected_total says why bills were not opened",
        path.display()
    );
    Ok(found)
}

/// The bills of a selection, as a table or as JSON.
///
/// # Errors
/// The bills cannot be read, or there are none.
pub fn bills(
    settings: &Settings,
    selection: &BillSelection,
    output: Output,
) -> anyhow::Result<String> {
    let tariff = Tariff::of(settings)?;
    let reports = reports(settings, selection)?;
    let rows: Vec<Row> = reports
        .iter()
        .flat_map(|report| tariff.rows(report))
        .collect();
    Ok(match output {
        Output::Json => serde_json::to_string(&rows)? + "\n",
        Output::Table => table(&rows),
    })
}

/// Writes the bills of a selection as CSV, a row a band, and returns how many rows there were.
///
/// # Errors
/// The bills cannot be read, there are none, or the output is closed.
pub fn csv(
    settings: &Settings,
    selection: &BillSelection,
    output: impl Write,
) -> anyhow::Result<u64> {
    let tariff = Tariff::of(settings)?;
    let mut writer = csv::Writer::from_writer(output);
    let mut count = 0;
    for row in reports(settings, selection)?
        .iter()
        .flat_map(|report| tariff.rows(report))
    {
        writer.serialize(row)?;
        count += 1;
    }
    writer.flush()?;
    Ok(count)
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<20} {:<10} {:<12} {:>9} {:>14} {:>12} {:>16}\n",
        "meter", "period", "band", "intervals", "energy Wh", "price/kWh", "amount"
    );
    let mut partial = 0;
    for row in rows {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<20} {:<10} {:<12} {:>9} {:>14} {:>12} {:>16} {}",
            row.meter,
            row.period,
            row.band,
            row.intervals,
            row.energy_wh,
            or_dash(&row.price_per_kwh),
            or_dash(&row.amount),
            row.currency
        );
        partial += usize::from(row.windows < row.period_windows);
    }
    if partial > 0 {
        let _ = writeln!(
            text,
            "{partial} of these rows are not of the whole period: windows of the meter are missing"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use wire::{Digest, WindowStart};

    use super::*;
    use crate::testing::by;

    #[test]
    fn amounts_are_exact() {
        for (nanos, text) in [
            (0, "0.00"),
            (1, "0.000000001"),
            (-1_500_000_000, "-1.50"),
            (312_500 * 1_234_567, "385.8021875"),
            (i128::from(i64::MAX) * 999_999, "9223362813482738.952224193"),
        ] {
            assert_eq!(decimal(nanos), text);
        }
    }

    #[test]
    fn a_bill_is_a_row_a_band_and_a_band_without_a_price_has_no_amount() {
        let mut settings = Settings::defaults();
        settings.operator.prices = vec![BandPrice {
            band: "peak".parse().unwrap(),
            per_kwh: "0.3125".to_owned(),
        }];
        let band = |band: &str, energy_wh| BandEnergy {
            band: band.parse().unwrap(),
            intervals: 300,
            energy_wh,
        };
        let report = BillReport {
            version: 1,
            feeder: "feeder-1".parse().unwrap(),
            meter: "meter-1".parse().unwrap(),
            period_start: WindowStart(1_793_491_200),
            period_end: WindowStart(1_796_083_200),
            windows: 29,
            period_windows: 30,
            bands: vec![band("low", -20), band("peak", 1_234_567)],
            analytics: "analytics-1".parse().unwrap(),
            digest: Digest::of(b"bill"),
            by: by(),
        };
        let rows = Tariff::of(&settings).unwrap().rows(&report);
        assert_eq!(rows[0].amount, None);
        assert_eq!(rows[1].period, "2026-11-01");
        assert_eq!(rows[1].price_per_kwh.as_deref(), Some("0.3125"));
        assert_eq!(rows[1].amount.as_deref(), Some("385.8021875"));
        assert!(table(&rows).contains("not of the whole period"));
    }
}
