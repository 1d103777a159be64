//! What the live page shows of an operator.

use live::{
    About, Awaited, Ciphertext, HeldBy, Live, Load, Metrics, Percentiles, Source, Step, Window,
};
use service::Stop;
use service::config::Settings;
use service::mqtt::metrics as mqtt;

use crate::event::Event;
use crate::metrics;
use crate::release::report::FeederReport;

/// The metrics of an operator, which knows its own part of the pipeline only.
pub const METRICS: Metrics = Metrics {
    broker: Step {
        counters: &[mqtt::PUBLISHED],
        histogram: Some(mqtt::PUBLISH),
    },
    verify: Step {
        counters: &[],
        histogram: Some(metrics::VERIFY),
    },
    release: Step {
        // Analytics counts what it releases in its own process: here it is the sums that came.
        counters: &[metrics::TAKEN, metrics::DUPLICATE, metrics::REJECTED],
        histogram: None,
    },
    decrypt: Step {
        counters: &[metrics::TAKEN],
        histogram: Some(metrics::DECRYPT),
    },
    end_to_end: metrics::END_TO_END,
    connections: mqtt::CONNECTIONS,
    enrolled: metrics::METERS,
    feeders: metrics::FEEDERS,
    pending: metrics::PENDING,
    rejected: &[
        ("sums", metrics::REJECTED),
        ("enrolments", metrics::REFUSED),
    ],
    ..Metrics::NONE
};

/// Starts the page at `operator.live_listen`, if that is set. [`enter`] brings events onto it.
///
/// # Errors
/// The address cannot be used.
pub async fn start(settings: &Settings, stop: &Stop) -> Result<Option<Live>, live::LiveError> {
    let wanted = &settings.operator;
    let Some(listen) = wanted.live_listen else {
        return Ok(None);
    };
    let live = Live::new(About {
        source: Source::Operator,
        deployment: settings.deployment.id.to_string(),
        input: None,
        load: wanted.live_load,
        min_meters: None,
        intervals: wanted.live_intervals,
        max_feeders: wanted.live_max_feeders,
    });
    live::serve(live.clone(), listen, wanted.live_remote, stop.clone()).await?;
    tokio::spawn(live::watch(live.clone(), &METRICS, stop.clone()));
    Ok(Some(live))
}

/// Shows an event on the page.
pub fn enter(live: &Live, event: &Event) {
    match event {
        Event::Opened { min_meters, recent } => {
            live.min_meters(*min_meters);
            for report in recent {
                live.window(window(report));
            }
        }
        Event::Ciphertext {
            feeder,
            window,
            part,
            excerpt,
        } => live.ciphertext(Ciphertext {
            feeder: feeder.clone(),
            start: *window,
            part: *part,
            bytes: excerpt.bytes,
            head: hex::encode(&excerpt.head),
        }),
        Event::BudgetLeft { feeder, epsilon } => live.budget(feeder, *epsilon),
        Event::HoldersAwaited { sums, holders } => live.awaited(Awaited {
            sums: *sums,
            holders: holders.clone(),
        }),
        Event::Released(report) => live.window(window(report)),
        // Everything else is a number on the page, which comes from the metrics.
        _ => {}
    }
}

/// A window as the page shows it; [`Load::truth`] is not known here.
#[must_use]
pub fn window(report: &FeederReport) -> Window {
    Window {
        feeder: report.feeder.clone(),
        start: report.window_start,
        part: report.part,
        interval_s: report.interval_s,
        intervals: u32::try_from(report.energy_wh.len()).unwrap_or(u32::MAX),
        meters: report.meters,
        completeness: report.completeness,
        withheld_intervals: report.withheld_intervals,
        quantum_wh: report.quantum_wh,
        taken_at: report.by.taken_at.0,
        holders: report.holders.as_ref().map(|holders| HeldBy {
            of: match holders.noise {
                Some(_) => format!("{}, with noise", holders.of),
                None => holders.of.clone(),
            },
            consented: holders.consented.clone(),
        }),
        load: Some(Load {
            energy_wh: report.energy_wh.clone(),
            peak_wh: report.peak_wh,
            peak_interval: report.peak_interval,
            load_factor: report.load_factor,
            percentiles: report.histogram.as_ref().map(|histogram| Percentiles {
                median_wh: histogram.median_wh.clone(),
                p90_wh: histogram.p90_wh.clone(),
            }),
            truth: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Excerpt;
    use crate::testing::{report, report_with_bins};

    fn live(load: bool) -> Live {
        Live::new(About {
            source: Source::Operator,
            deployment: "dev".to_owned(),
            input: None,
            load,
            min_meters: None,
            intervals: 100,
            max_feeders: 2,
        })
    }

    fn shown(load: bool) -> String {
        let live = live(load);
        let mut before = report("feeder-1", 0);
        before.energy_wh = vec![Some(123_456_789); 4];
        enter(
            &live,
            &Event::Opened {
                min_meters: 15,
                recent: vec![before],
            },
        );
        let mut now = report("feeder-2", 14_400);
        now.energy_wh = vec![Some(987_654_321); 4];
        enter(&live, &Event::Released(Box::new(now)));
        enter(
            &live,
            &Event::Ciphertext {
                feeder: "feeder-2".parse().unwrap(),
                window: wire::WindowStart(14_400),
                part: wire::Part(0),
                excerpt: Excerpt::of(&[0xab; 27_136]),
            },
        );
        live.snapshot()
    }

    #[test]
    fn windows_from_before_and_now_and_the_newest_ciphertext_are_shown() {
        let text = shown(true);
        for part in [
            "\"min_meters\":15",
            "123456789",
            "987654321",
            "\"bytes\":27136",
            &"ab".repeat(Excerpt::HEAD),
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains(&"ab".repeat(Excerpt::HEAD + 1)), "{text}");
    }

    #[test]
    fn percentiles_are_shown_where_load_is() {
        for load in [true, false] {
            let live = live(load);
            let report = report_with_bins("feeder-1", 0);
            enter(&live, &Event::Released(Box::new(report)));
            let text = live.snapshot();
            assert_eq!(
                text.contains("\"median_wh\":[[-16384,100],"),
                load,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_left_for_noisy_totals_is_shown() {
        let live = live(false);
        let left = |epsilon| Event::BudgetLeft {
            feeder: "feeder-1".parse().unwrap(),
            epsilon,
        };
        enter(&live, &left(3.5));
        enter(&live, &left(2.5));
        let text = live.snapshot();
        assert!(text.contains("\"budgets\":{\"feeder-1\":2.5}"), "{text}");
    }

    #[test]
    fn who_let_a_sum_be_opened_and_who_is_waited_for_is_shown() {
        let live = live(false);
        let ids = |ids: &[&str]| ids.iter().map(|id| id.parse().unwrap()).collect();
        let report = FeederReport {
            holders: Some(crate::HeldBy {
                of: "2of3".to_owned(),
                consented: ids(&["association", "regulator"]),
                noise: None,
            }),
            ..report("feeder-1", 0)
        };
        enter(&live, &Event::Released(Box::new(report)));
        let awaited = |sums, holders| Event::HoldersAwaited { sums, holders };
        enter(&live, &awaited(3, ids(&["utility"])));
        let text = live.snapshot();
        let consented = r#""holders":{"of":"2of3","consented":["association","regulator"]}"#;
        assert!(text.contains(consented), "{text}");
        let waits = r#""awaited":{"sums":3,"holders":["utility"]}"#;
        assert!(text.contains(waits), "{text}");
        enter(&live, &awaited(0, Vec::new()));
        assert!(!live.snapshot().contains("utility"));
    }

    #[test]
    fn without_live_load_nothing_decrypted_is_shown() {
        let text = shown(false);
        assert!(text.contains("feeder-2"), "{text}");
        assert!(
            !text.contains("123456789") && !text.contains("987654321"),
            "{text}"
        );
    }
}
