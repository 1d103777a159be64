//! `analytics_results.json`, `performance_metrics.json` and `server_stats.json`: the files that users of the field's
//! earlier demo look for, with what they expect in them. `docs/results.md` lists the keys. `run.json` has all of it and
//! more.

use serde_json::{Value, json};

use super::extras::Extras;
use super::schema::{Parameter, Point, PointSpread, Run, StageName};
use crate::ratio::Spread;
use crate::sweep::parameter;

/// Decrypted totals and averages of each feeder and window, beside the truth.
pub(super) fn analytics_results(run: &Run, extras: &[(Parameter, Extras)]) -> Value {
    let point = |(parameter, extras): &(Parameter, Extras)| {
        json!({
            "parameter": parameter::name(*parameter),
            "value": extras.label,
            "windows": extras.windows,
        })
    };
    json!({
        "description": "Decrypted totals per feeder and window, one repeat of each point; energies in Wh",
        "started_at": run.environment.started_at,
        "correct": run.correct,
        "points": extras.iter().filter(|(_, extras)| !extras.windows.is_empty()).map(point).collect::<Vec<_>>(),
    })
}

/// Times of encryption, aggregation and decryption, throughput and payload sizes, by parameter and value.
pub(super) fn performance_metrics(run: &Run) -> Value {
    let by_sweep = run.sweeps.iter().map(|sweep| {
        let points: Vec<Value> = sweep.points.iter().map(performance).collect();
        (parameter::name(sweep.parameter), Value::from(points))
    });
    json!({
        "description": "Medians over the repeats; times in ms, sizes in bytes",
        "started_at": run.environment.started_at,
        "correct": run.correct,
        "by_parameter": by_sweep.collect::<serde_json::Map<_, _>>(),
    })
}

fn performance(point: &Point) -> Value {
    let median = point.median.as_ref();
    let of = |figure: fn(&PointSpread) -> Spread| median.map(|median| figure(median).median);
    let ms = |stage| Some(median?.stage_p50_s.get(&stage)?.median * 1e3);
    json!({
        "value": point.label,
        "status": point.status,
        "reasons": point.reasons,
        "num_meters": point.settings.meters,
        "interval_s": point.settings.interval_s,
        "batch_size": point.settings.batch,
        "encryption_time_ms": ms(StageName::Encrypt),
        "seal_time_ms": ms(StageName::Seal),
        "aggregation_time_ms": ms(StageName::Fold),
        "verification_time_ms": ms(StageName::Verify),
        "decryption_time_ms": ms(StageName::Decrypt),
        "publish_to_receipt_time_ms": ms(StageName::PublishToReceipt),
        "end_to_end_time_ms": ms(StageName::EndToEnd),
        "throughput_reports_per_s": of(|median| median.reports_per_s),
        "throughput_readings_per_s": of(|median| median.readings_per_s),
        "payload_size_bytes": of(|median| median.bytes_per_report),
        "payload_bytes_per_reading": of(|median| median.bytes_per_reading),
        "total_time_s": of(|median| median.wall_s),
        "max_abs_error_wh": of(|median| median.max_abs_error_wh),
    })
}

/// What the server's side counted, of each point and in all.
pub(super) fn server_stats(run: &Run, extras: &[(Parameter, Extras)]) -> Value {
    let servers = || {
        extras
            .iter()
            .filter_map(|(_, extras)| extras.server.as_ref())
    };
    let sum = |key: &str| {
        servers()
            .filter_map(|server| server[key].as_u64())
            .sum::<u64>()
    };
    let rejected = servers().filter_map(|server| server["reports_rejected"].as_object());
    let rejected = rejected.flat_map(|by_reason| by_reason.values().filter_map(Value::as_u64));
    let points = run.sweeps.iter().flat_map(|sweep| &sweep.points);
    let mut costs = (points.flat_map(|point| &point.repeats)).filter_map(|it| it.cost.as_ref());
    let peak = costs.by_ref().filter_map(|cost| cost.peak_rss_bytes).max();
    let each = extras.iter().filter_map(|(parameter, extras)| {
        let name = parameter::name(*parameter);
        let stats = extras.server.as_ref()?;
        Some(json!({"parameter": name, "value": extras.label, "stats": stats}))
    });
    json!({
        "description": "Counts of analytics and the broker's clients, of the last repeat of each point and over those",
        "started_at": run.environment.started_at,
        "total": {
            "messages_received": sum("messages_received"),
            "bytes_received": sum("bytes_received"),
            "reports_folded": sum("reports_folded"),
            "reports_duplicate": sum("reports_duplicate"),
            "reports_rejected": rejected.sum::<u64>(),
            "sums_released": sum("sums_released"),
            "uptime_s": run.environment.wall_s,
            "peak_rss_bytes": peak,
        },
        "points": each.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use harness::verdict::Row;

    use super::super::extras;
    use super::*;
    use crate::sweep::samples::Recorded;

    #[test]
    fn the_files_of_the_earlier_demo_have_what_is_looked_for() {
        let run: Run = serde_json::from_str(include_str!("example.json")).unwrap();
        let metrics = performance_metrics(&run);
        let points = metrics["by_parameter"]["meters"].as_array().unwrap();
        assert_eq!(points.len(), run.sweeps[0].points.len());
        assert!(points[0]["encryption_time_ms"].as_f64().unwrap() > 0.0);
        assert_eq!(points[0]["payload_size_bytes"].as_f64(), Some(12_010.0));
        let mut points = points.iter();
        let skipped = points.find(|point| point["status"] == "skipped").unwrap();
        assert!(skipped["encryption_time_ms"].is_null());

        let cost = run.sweeps[0].points[0].repeats[0].cost.as_ref().unwrap();
        let server = extras::server_stats(&Recorded::default(), cost);
        let row = Row {
            feeder: "feeder-1".parse().unwrap(),
            window: wire::WindowStart(86_400),
            meters: 5,
            energy_wh: 1_000,
            true_wh: 1_000,
            withheld_wh: 0,
            error_wh: 0,
            quantum_wh: 1,
            mean_wh: 10.0,
            std_wh: None,
            percentiles: None,
            spread: None,
            peak_wh: 90,
            load_factor: Some(0.5),
        };
        let extras = Extras {
            label: "5".to_owned(),
            windows: vec![extras::window(&row)],
            server: Some(server.clone()),
        };
        let extras = [(Parameter::Meters, extras)];
        let analytics = analytics_results(&run, &extras);
        assert_eq!(analytics["points"][0]["windows"][0]["total_wh"], 1_000);
        let stats = server_stats(&run, &extras);
        assert_eq!(stats["total"]["reports_folded"], server["reports_folded"]);
        assert_eq!(stats["points"][0]["stats"], server);
    }
}
