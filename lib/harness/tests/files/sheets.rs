//! Random files with columns.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::select;
use readings::{Gaps, Label, ReplayOptions, Unit, Values};

/// How a random file with columns is written.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    long: bool,
    /// Of each row, the value of each customer; none where it is missing.
    rows: Vec<Vec<Option<i64>>>,
    decimals: u32,
    interval_s: i64,
    /// 29 October 2022, 22:00 UTC: the clocks of Vienna are set back three hours later.
    zone: &'static str,
    times: &'static str,
    separator: char,
    comma: bool,
    newest_first: bool,
    /// Rows that are left out, and repeated.
    dropped: Vec<usize>,
    repeated: Vec<usize>,
    pub(crate) options: ReplayOptions,
}

const START: i64 = 1_667_080_800;

pub(crate) fn sheets() -> impl Strategy<Value = Sheet> {
    let rows = (1usize..4).prop_flat_map(|customers| {
        let value = prop::option::weighted(0.9, -99_999_999i64..999_999_999);
        prop::collection::vec(prop::collection::vec(value, customers), 4..40)
    });
    let marks = (select(vec![',', ';', '\t', '|']), any::<bool>(), 0u32..13);
    let times = (
        select(vec![300i64, 900, 1_800, 3_600]),
        select(vec!["UTC", "Europe/Vienna"]),
        select(vec![
            "%Y-%m-%d %H:%M",
            "%d.%m.%Y %H:%M:%S",
            "%Y-%m-%dT%H:%M:%S%:z",
            "%Y%m%d%H%M",
            "%s",
        ]),
    );
    let order = (
        any::<bool>(),
        prop::collection::vec(1usize..40, 0..3),
        prop::collection::vec(1usize..40, 0..3),
    );
    let options = (
        prop::option::of(select(vec![Unit::Wh, Unit::KWh, Unit::W, Unit::KW])),
        select(vec![Label::Start, Label::End]),
        prop::bool::weighted(0.2),
    );
    (rows, marks, times, order, options, any::<bool>()).prop_map(
        |(rows, marks, times, order, options, long)| Sheet {
            long,
            rows,
            decimals: marks.2,
            interval_s: times.0,
            zone: times.1,
            times: times.2,
            separator: marks.0,
            comma: marks.1 && marks.0 != ',',
            newest_first: order.0,
            dropped: order.1,
            repeated: order.2,
            options: ReplayOptions {
                time_zone: times.1.to_owned(),
                // A register is of energy.
                unit: options
                    .0
                    .filter(|unit| !(options.2 && matches!(unit, Unit::W | Unit::KW))),
                label: Some(options.1),
                values: Some(if options.2 {
                    Values::Register
                } else {
                    Values::Interval
                }),
                gaps: Gaps::Missing,
                ..ReplayOptions::default()
            },
        },
    )
}

impl Sheet {
    fn number(&self, value: i64) -> String {
        let sign = if value < 0 { "-" } else { "" };
        let digits = format!("{:0>14}", value.unsigned_abs());
        let (whole, decimals) = digits.split_at(digits.len() - self.decimals as usize);
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let mark = if self.comma { ',' } else { '.' };
        match decimals.len() {
            0 => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}{mark}{decimals}"),
        }
    }

    fn time(&self, row: usize) -> String {
        let at = Timestamp::from_second(START + row as i64 * self.interval_s).unwrap();
        let zone = TimeZone::get(self.zone).unwrap();
        at.to_zoned_datetime(zone).strftime(self.times).to_string()
    }

    pub(crate) fn text(&self) -> String {
        let mut lines = Vec::new();
        let customers = self.rows[0].len();
        for (row, values) in self
            .rows
            .iter()
            .enumerate()
            .filter(|(row, _)| !self.dropped.contains(row))
        {
            let fields = values
                .iter()
                .map(|value| value.map_or("NA".to_owned(), |value| self.number(value)));
            let fields: Vec<String> = fields.collect();
            let time = self.time(row);
            let times = 1 + usize::from(self.repeated.contains(&row));
            for _ in 0..times {
                match self.long {
                    false => lines.push(format!("{time}\t{}", fields.join("\t"))),
                    true => lines.extend(
                        fields
                            .iter()
                            .zip(0..)
                            .map(|(field, k): (_, usize)| format!("meter {k}\t{time}\t{field}")),
                    ),
                }
            }
        }
        if self.newest_first {
            lines.reverse();
        }
        let names: Vec<String> = (0..customers).map(|k| format!("home {k}")).collect();
        let header = match self.long {
            true => "customer\ttime\tenergy".to_owned(),
            false => format!("time\t{}", names.join("\t")),
        };
        let text = format!("{header}\n{}\n", lines.join("\n"));
        text.replace('\t', &self.separator.to_string())
    }
}
