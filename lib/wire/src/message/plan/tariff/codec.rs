//! A tariff as a plan carries it.

use super::super::Plan;
use super::{
    BandRule, BillingPeriod, MAX_BANDS, MAX_PERIOD_WINDOWS, MINUTES_A_DAY, Tariff, TariffVersion,
};
use crate::cbor::{Reader, Writer};
use crate::error::WireError;

/// The most versions of a tariff.
const MAX_TARIFF_VERSIONS: usize = 16;

/// The most rules of a version.
const MAX_BAND_RULES: usize = 64;

/// The most holidays of a version.
const MAX_HOLIDAYS: usize = 1_024;

impl BandRule {
    fn write(&self, writer: &mut Writer) {
        writer.array(5);
        writer.uint(self.band);
        writer.uint(self.minutes.0);
        writer.uint(self.minutes.1);
        writer.uint(self.days);
        match self.season {
            None => writer.null(),
            Some((first, last)) => {
                writer.array(2);
                writer.uint(first);
                writer.uint(last);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        reader.array_of(5, "plan.tariff_rule")?;
        Ok(Self {
            band: reader.u8("plan.tariff_band")?,
            minutes: (
                reader.u16_in(0, MINUTES_A_DAY, "plan.tariff_from")?,
                reader.u16_in(0, MINUTES_A_DAY, "plan.tariff_to")?,
            ),
            days: reader.u16_in(1, 15, "plan.tariff_days")? as u8,
            season: reader.optional(|reader| {
                reader.array_of(2, "plan.tariff_season")?;
                let mut day = || reader.u16_in(101, 1_231, "plan.tariff_season");
                Ok((day()?, day()?))
            })?,
        })
    }
}

impl Plan {
    /// A number where there is no tariff, as before there were any.
    pub(in crate::message) fn write_interval(&self, writer: &mut Writer) {
        let Some(tariff) = &self.tariff else {
            return writer.uint(self.interval_s);
        };
        writer.array(2);
        writer.uint(self.interval_s);
        writer.array(3);
        writer.uint(match tariff.period {
            BillingPeriod::Month => 0,
            BillingPeriod::Windows(count) => count,
        });
        writer.list(&tariff.bands, |writer, band| writer.text(band.as_str()));
        writer.list(&tariff.versions, |writer, version| {
            writer.array(4);
            writer.uint(version.from.0);
            writer.uint(version.otherwise);
            writer.list(&version.rules, |writer, rule| rule.write(writer));
            writer.list(&version.holidays, |writer, day| writer.uint(*day));
        });
    }
}

/// The length of an interval, and the tariff.
pub(in crate::message) fn read(
    reader: &mut Reader<'_>,
) -> Result<(u32, Option<Tariff>), WireError> {
    let field = "plan.interval_s";
    let length = |reader: &mut Reader<'_>| reader.u32_in(1, crate::MAX_INTERVAL_S, field);
    if !reader.is_array() {
        return Ok((length(reader)?, None));
    }
    reader.array_of(2, field)?;
    let interval_s = length(reader)?;
    reader.array_of(3, "plan.tariff")?;
    let period = match reader.u32_in(0, MAX_PERIOD_WINDOWS, "plan.billing_period")? {
        0 => BillingPeriod::Month,
        count => BillingPeriod::Windows(count),
    };
    let bands = reader.list(MAX_BANDS, "plan.tariff_bands", |reader| {
        reader.id("plan.tariff_band_name")
    })?;
    let versions = reader.list(MAX_TARIFF_VERSIONS, "plan.tariff_versions", |reader| {
        reader.array_of(4, "plan.tariff_version")?;
        Ok(TariffVersion {
            from: reader.window("plan.tariff_first_window")?,
            otherwise: reader.u8("plan.tariff_band")?,
            rules: reader.list(MAX_BAND_RULES, "plan.tariff_rules", BandRule::read)?,
            holidays: reader.list(MAX_HOLIDAYS, "plan.tariff_holidays", |reader| {
                reader.u32("plan.tariff_holiday")
            })?,
        })
    })?;
    let tariff = Tariff {
        period,
        bands,
        versions,
    };
    Ok((interval_s, Some(tariff)))
}
