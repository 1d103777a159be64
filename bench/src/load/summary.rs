//! What a load came to: `load.json`, `load.csv` and the table for people.

use std::path::Path;

use anyhow::Result;
use comfy_table::Table;
use harness::output::write_json;
use serde::Serialize;

use super::search::Search;
use super::step_summary::StepSummary;
use crate::output::{table, write_csv};

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Load {
    /// Whether rates were searched, rather than a single one offered.
    #[serde(skip)]
    pub(crate) searched: bool,
    /// Maximum sustained throughput, in reports/s: the highest rate offered of which all was settled within the limit.
    pub(crate) knee: Option<f64>,
    /// The lowest rate that was too high, in reports/s.
    pub(crate) beyond: Option<f64>,
    /// Whether that was too high for the generator, so that the pipeline may take more.
    pub(crate) generator_limits: bool,
    /// What `knee` must not be below, in reports/s.
    pub(crate) floor: Option<f64>,
    pub(crate) within_floor: bool,
    /// The limit on the 99th percentile of the latency, in milliseconds.
    pub(crate) max_p99_ms: Option<f64>,
    pub(crate) meters: u32,
    pub(crate) feeders: u32,
    pub(crate) gateways: u32,
    /// Where analytics keeps its sums: `file` or `postgres`.
    pub(crate) store: &'static str,
    /// Analytics services that share the feeders.
    pub(crate) analytics: u8,
    pub(crate) pool: u32,
    /// Time until every meter was enrolled, in seconds.
    pub(crate) enrolled_s: f64,
    /// With processes: from the start of operator and analytics, with all meters enrolled, to the first reports settled and opened,
    /// in seconds.
    pub(crate) restarted_s: Option<f64>,
    pub(crate) steps: Vec<StepSummary>,
    /// The same offered to one process with a file of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) beside: Option<Box<Load>>,
}

/// Columns of `load.csv`: a line for each rate.
const COLUMNS: &str = "rate settled_per_s reports p50_ms=latency_ms.p50 p99_ms=latency_ms.p99 max_ms=latency_ms.max
    held_p99_ms=held_ms.p99 generator_late_p99_ms=lateness_ms.p99 resent refused unsettled windows correct
    within_limit generator_late process_cores=cores machine_cores=split.machine cpu_us_per_report
    generator_cpu_us_per_report peak_mib";

impl Load {
    pub(crate) fn correct(&self) -> bool {
        self.all().all(|step| step.correct)
    }

    pub(crate) fn write(&self, results: &Path) -> Result<()> {
        write_json(results, "load.json", self)?;
        let steps = self.steps.iter().map(serde_json::to_value);
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        write_csv(results, "load.csv", COLUMNS, steps)
    }

    /// The steps, those of the load beside it last.
    fn all(&self) -> impl Iterator<Item = &StepSummary> {
        let beside = self.beside.iter().flat_map(|beside| &beside.steps);
        self.steps.iter().chain(beside)
    }

    /// What a search found.
    pub(super) fn found(&mut self, search: &Search) {
        self.knee = search.passed;
        self.beyond = search.failed;
        self.generator_limits = (self.steps.iter())
            .any(|step| Some(step.rate) == self.beyond && step.correct && step.generator_late);
        let reached = |floor| self.knee.is_some_and(|knee| knee >= floor);
        self.within_floor = self.floor.is_none_or(reached);
    }

    /// Whether the limit on a single rate, or the floor of a search, is met.
    pub(crate) fn met(&self) -> bool {
        let mut steps = self.all();
        self.within_floor && (self.searched || steps.all(|step| step.within_limit))
    }

    pub(crate) fn text(&self) -> String {
        let beside = self.beside.iter().map(|beside| beside.measured() + "\n");
        let mut text: String = beside.collect();
        text += &self.measured();
        if self.correct() {
            text += "every report of every step is in exactly one decrypted total, and every total is exact\n";
        }
        if !self.met() {
            text += match self.searched {
                true => "MISSED: the maximum sustained throughput is below --floor\n",
                false => "MISSED: the 99th percentile of the latency is above --max-p99\n",
            };
        }
        text
    }

    fn measured(&self) -> String {
        let mut text = format!(
            "{}\n\n{} meters on {} feeders behind {} gateways, enrolled in {:.1} s; analytics: {}, store: {}; {} real ciphertexts\n",
            self.table(),
            self.meters,
            self.feeders,
            self.gateways,
            self.enrolled_s,
            self.analytics,
            self.store,
            self.pool
        );
        if let Some(took) = self.restarted_s {
            text += &format!(
                "operator and analytics started again: the first reports were settled and opened {took:.1} s later\n"
            );
        }
        if self.searched {
            text += &self.throughput();
        } else {
            text.extend(self.steps.iter().map(StepSummary::shares));
        }
        let wrong = self.steps.iter().flat_map(|step| {
            let at = |wrong: &String| format!("WRONG at {:.0}/s: {wrong}\n", step.rate);
            step.wrong.iter().map(at).collect::<Vec<_>>()
        });
        text.extend(wrong.take(10));
        text
    }

    fn throughput(&self) -> String {
        let is_knee = |step: &&StepSummary| Some(step.rate) == self.knee && step.passed();
        let mut text = match self.steps.iter().rfind(is_knee) {
            Some(step) => format!(
                "maximum sustained throughput: {:.0} reports/s offered, {:.0} settled, p99 {:.1} ms, nothing lost\n{}",
                step.rate,
                step.settled_per_s,
                step.latency_ms.p99,
                step.shares()
            ),
            None => "no rate was settled within the limit\n".to_owned(),
        };
        if let Some(beyond) = self.beyond {
            let whose = match self.generator_limits {
                true => "the generator's limit, so the pipeline's is higher",
                false => "the pipeline's limit",
            };
            text += &format!("{beyond:.0} reports/s were too many: {whose}\n");
        }
        text
    }

    fn table(&self) -> Table {
        let heads = "offered /s|settled /s|p50 ms|p99 ms|max ms|held p99|late p99|sent again|windows|cores|machine|µs/report|\
                     generator|MiB|";
        let mut table = table(0, heads);
        for step in &self.steps {
            table.add_row([
                format!("{:.0}", step.rate),
                format!("{:.0}", step.settled_per_s),
                format!("{:.1}", step.latency_ms.p50),
                format!("{:.1}", step.latency_ms.p99),
                format!("{:.1}", step.latency_ms.max),
                format!("{:.1}", step.held_ms.p99),
                format!("{:.1}", step.lateness_ms.p99),
                step.resent.to_string(),
                step.windows.to_string(),
                format!("{:.2}", step.cores),
                format!("{:.2}", step.split.machine),
                format!("{:.0}", step.cpu_us_per_report),
                format!("{:.0}", step.generator_cpu_us_per_report),
                format!("{:.0}", step.peak_mib),
                step.verdict().to_owned(),
            ]);
        }
        table
    }
}
