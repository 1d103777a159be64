//! A run for people: a line a point while it runs, and tables at the end.

use std::time::Duration;

use comfy_table::Table;
use serde_json::json;

use super::schema::{Cost, Parameter, Point, Run, Status, Sweep};
use crate::output::{or_dash, table};
use crate::ratio::{Spread, figure};
use crate::sweep::parameter;
use crate::sweep::samples::{STAGES, StageKind};

pub(crate) fn progress(parameter: Parameter, point: &Point) -> String {
    let mut text = format!(
        "{} {}: {}",
        parameter::name(parameter),
        point.label,
        state(point)
    );
    if let Some(median) = &point.median {
        text += &format!(
            ", {} reports/s, {} µs of processor a report",
            figure(median.reports_per_s.median),
            figure(median.cpu_us_per_report.median)
        );
    }
    if let Some(reason) = point.reasons.first() {
        text += &format!(": {reason}");
    }
    text
}

pub(crate) fn of(run: &Run, folder: &std::path::Path) -> String {
    let mut text = String::new();
    for sweep in &run.sweeps {
        text += &format!(
            "{}: {}\n{}\n\n{}\n\n",
            parameter::name(sweep.parameter),
            sweep.varies,
            figures(sweep),
            stages(sweep)
        );
        text += &notes(sweep);
    }
    for failure in &run.failures {
        text += &format!("WRONG: {failure}\n");
    }
    text += &stragglers(&run.sweeps);
    if run.correct {
        text += "exact: every decrypted total of every point equals the truth\n";
    }
    let wall = run.environment.wall_s;
    let about = run.environment.estimate_s;
    text += &format!(
        "{} (estimated {}), results: {}\n",
        humantime::format_duration(Duration::from_secs(wall.round() as u64)),
        humantime::format_duration(Duration::from_secs(about.round() as u64)),
        folder.display()
    );
    text
}

/// The repeats below half of the median of their point, where something was waited for that the others had at once.
fn stragglers(sweeps: &[Sweep]) -> String {
    let mut repeats = 0;
    let mut lines = Vec::new();
    for (sweep, point) in sweeps
        .iter()
        .flat_map(|sweep| sweep.points.iter().map(move |p| (sweep, p)))
    {
        let Some(median) = &point.median else {
            continue;
        };
        for repeat in &point.repeats {
            let Some(cost) = &repeat.cost else { continue };
            repeats += 1;
            if cost.reports_per_s < median.reports_per_s.median / 2.0 {
                let name = parameter::name(sweep.parameter);
                let label = &point.label;
                let rate = figure(cost.reports_per_s);
                let again = cost.reports_resent;
                let number = repeat.repeat;
                lines.push(format!(
                    "  {name} {label}, repeat {number}: {rate} reports/s, {again} sent again\n"
                ));
            }
        }
    }
    let count = lines.len();
    let text = format!("{count} of {repeats} repeats below half of the median of their point\n");
    if repeats == 0 {
        String::new()
    } else {
        text + &lines.concat()
    }
}

fn state(point: &Point) -> &'static str {
    match point.status {
        Status::Ok => "ok",
        Status::Wrong => "WRONG",
        Status::Failed => "FAILED",
        Status::Skipped => "skipped",
    }
}

fn figures(sweep: &Sweep) -> Table {
    let heads = "value|meters|feeders|min|reports|reports/s|readings/s|cores|CPU µs/report|CPU µs/reading|B/report|B/reading|peak MiB (grown)|error Wh|state";
    let mut table = table(1, heads);
    for point in &sweep.points {
        let settings = &point.settings;
        let cost = point.repeats.iter().find_map(|repeat| repeat.cost.as_ref());
        let error = point.repeats.iter().find_map(|repeat| repeat.error);
        let median = point.median.as_ref();
        let spread = |spread: Option<Spread>| or_dash(spread, |spread| spread.to_string());
        let short = |spread: Option<Spread>| or_dash(spread, |spread| figure(spread.median));
        let lowered = settings.min_meters_lowered_from.map_or("", |_| "*");
        table.add_row([
            point.label.clone(),
            settings.meters.to_string(),
            settings.feeders.to_string(),
            format!("{}{lowered}", settings.min_meters),
            or_dash(cost, |cost| cost.reports.to_string()),
            spread(median.map(|median| median.reports_per_s)),
            short(median.map(|median| median.readings_per_s)),
            or_dash(cost, |cost| format!("{:.2}", cost.cpu_cores)),
            spread(median.map(|median| median.cpu_us_per_report)),
            short(median.map(|median| median.cpu_us_per_reading)),
            short(median.map(|median| median.bytes_per_report)),
            short(median.map(|median| median.bytes_per_reading)),
            cost.and_then(memory).unwrap_or("-".to_owned()),
            or_dash(error, |error| figure(error.max_abs_wh)),
            state(point).to_owned(),
        ]);
    }
    table
}

/// The peak, and how far it is above what was there before: earlier points leave memory with the allocator.
fn memory(cost: &Cost) -> Option<String> {
    let mib = |bytes: u64| figure(bytes as f64 / f64::from(1 << 20));
    let peak = cost.peak_rss_bytes?;
    let before = cost.rss_before_bytes?;
    let grown = peak.saturating_sub(before);
    Some(format!("{} (+{})", mib(peak), mib(grown)))
}

/// Medians of the stages, in milliseconds.
fn stages(sweep: &Sweep) -> Table {
    let head = |stage: StageKind| {
        json!(stage.name)
            .as_str()
            .unwrap_or_default()
            .replace('_', " ")
    };
    let heads = STAGES.map(head).join("|");
    let mut table = table(1, &format!("p50 in ms|{heads}"));
    for point in sweep.points.iter() {
        let Some(median) = &point.median else {
            continue;
        };
        let cells = STAGES.map(|stage| {
            let spread = median.stage_p50_s.get(&stage.name);
            or_dash(spread, |spread| figure(spread.median * 1e3))
        });
        table.add_row([point.label.clone()].into_iter().chain(cells));
    }
    table
}

fn notes(sweep: &Sweep) -> String {
    let mut text = String::new();
    let mut points = sweep.points.iter();
    let lowered = points.find_map(|point| point.settings.min_meters_lowered_from);
    if let Some(configured) = lowered {
        text += &format!(
            "* plan.min_meters is {configured}; these points have fewer meters on a feeder and the minimum was lowered to \
             that for them\n\n"
        );
    }
    for point in &sweep.points {
        if point.status == Status::Skipped {
            text += &format!("{} skipped: {}\n\n", point.label, point.reasons.join("; "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_shown_with_what_is_wrong_lowered_or_skipped() {
        let run: Run = serde_json::from_str(include_str!("example.json")).unwrap();
        let text = of(&run, std::path::Path::new("results/x"));
        let wanted = "WRONG|FAILED|skipped: estimated|plan.min_meters is 15|2*|encrypt";
        for wanted in wanted.split('|') {
            assert!(text.contains(wanted), "no {wanted:?} in\n{text}");
        }
        assert!(!text.contains("exact"), "{text}");
        assert!(text.contains("repeats below half of the median"), "{text}");
        let mut points = run.sweeps[0].points.iter();
        let wrong = points.find(|point| point.status == Status::Wrong).unwrap();
        assert!(progress(Parameter::Meters, wrong).contains("the truth is"));
    }

    #[test]
    fn a_repeat_below_half_of_its_points_median_is_named() {
        let mut run: Run = serde_json::from_str(include_str!("example.json")).unwrap();
        let points = run.sweeps.iter_mut().flat_map(|sweep| &mut sweep.points);
        let mut measured = points.filter(|point| point.median.is_some());
        let point = measured.next().unwrap();
        let median = point.median.as_ref().unwrap().reports_per_s.median;
        let cost = point.repeats[0].cost.as_mut().unwrap();
        (cost.reports_per_s, cost.reports_resent) = (median * 0.49, 16);
        let text = stragglers(&run.sweeps);
        assert!(text.starts_with("1 of "), "{text}");
        assert!(
            text.contains("repeat 1: ") && text.contains("16 sent again"),
            "{text}"
        );
    }
}
