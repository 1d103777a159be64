//! What a step came to.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::latency::Latencies;
use harness::verdict::Verdict;
use serde::Serialize;

use super::database::Taken;
use super::fleet::Fleet;
use super::processes::InUse;
use super::step::Step;
use harness::usage::{Spent, Usage};

/// What a process took for a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct OfProcess {
    /// Its processor time, as a number of cores.
    pub(crate) cores: f64,
    pub(crate) cpu_us_per_report: f64,
    /// Its greatest resident memory so far, in MiB.
    pub(crate) peak_mib: f64,
}

/// Lateness of the generator at the 99th percentile from which a step says more about it than about the pipeline.
const LATE_MS: f64 = 100.0;

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Split {
    pub(crate) machine: f64,
    pub(crate) roles: BTreeMap<String, f64>,
}

fn role(thread: &str) -> &str {
    match thread {
        "router" => "broker, router",
        "broker" => "broker, connections",
        other => other,
    }
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct StepSummary {
    /// Reports due in a second.
    pub(crate) rate: f64,
    /// Reports settled in a second, from the first that was due to the last receipt.
    pub(crate) settled_per_s: f64,
    /// Reports that were due.
    pub(crate) reports: u64,
    pub(crate) meters: u32,
    /// Feeders that reported in this step.
    pub(crate) feeders: u64,
    /// From due to receipt, in milliseconds.
    pub(crate) latency_ms: Latencies,
    /// From due, and allowed by the pace, to being handed to the broker, in milliseconds: the generator's own lateness.
    pub(crate) lateness_ms: Latencies,
    /// From due until the pace allowed it, in milliseconds: the pipeline was full.
    pub(crate) held_ms: Latencies,
    pub(crate) resent: u64,
    pub(crate) refused: u64,
    pub(crate) unsettled: u64,
    pub(crate) windows: usize,
    pub(crate) wrong: Vec<String>,
    /// Processor time used, as a number of cores, the generator and the database included.
    pub(crate) cores: f64,
    /// Processor time a report, in microseconds, the same included.
    pub(crate) cpu_us_per_report: f64,
    /// Of that, the generator's, with its MQTT clients.
    pub(crate) generator_cpu_us_per_report: f64,
    pub(crate) written_bytes_per_report: f64,
    /// Of the database's write-ahead log, if there is one.
    pub(crate) wal_bytes_per_report: f64,
    pub(crate) split: Split,
    /// Of services in processes of their own.
    pub(crate) processes: BTreeMap<String, OfProcess>,
    /// Greatest resident memory of the whole process so far, in MiB.
    pub(crate) peak_mib: f64,
    /// Whether the generator was late: the step then shows its limit and not the pipeline's.
    pub(crate) generator_late: bool,
    /// Whether everything was settled and every window is right.
    pub(crate) correct: bool,
    pub(crate) within_limit: bool,
}

impl StepSummary {
    /// Puts the summary together; what was sent again and refused, and what it took, the caller enters.
    pub(crate) fn new(fleet: &Fleet, step: &Step, refused: u64, verdict: Verdict) -> Self {
        let unsettled = step.reports() - step.settled();
        let mut wrong = verdict.wrong;
        wrong.extend((unsettled > 0).then(|| format!("{unsettled} reports without a receipt")));
        wrong.extend((refused > 0).then(|| format!("{refused} reports refused")));
        let [latency_ms, lateness_ms, held_ms] = step.latencies();
        Self {
            rate: step.rate,
            settled_per_s: step.settled_per_s(),
            reports: step.reports(),
            meters: fleet.meters(),
            feeders: step.feeders(),
            latency_ms,
            lateness_ms,
            held_ms,
            refused,
            unsettled,
            windows: verdict.released,
            correct: wrong.is_empty(),
            wrong,
            generator_late: lateness_ms.p99 > LATE_MS,
            within_limit: true,
            ..Self::default()
        }
    }

    pub(super) fn took(mut self, used: &Usage, database: &Taken, spent: &Spent) -> Self {
        let reports = self.reports.max(1) as f64;
        let wall_s = spent.wall.as_secs_f64().max(f64::MIN_POSITIVE);
        let cores = |cpu: Duration| cpu.as_secs_f64() / wall_s;
        let mut by_role = BTreeMap::<&str, Duration>::new();
        for (thread, cpu) in spent.old.iter().chain(&spent.new) {
            *by_role.entry(role(thread)).or_default() += *cpu;
        }
        by_role.insert("database", database.usage.cpu);
        let generator = by_role.get("generator").copied().unwrap_or_default();
        let cpu = used.cpu + database.usage.cpu;
        let written = used.written_bytes + database.usage.written_bytes;
        self.cores = cores(cpu);
        self.cpu_us_per_report = cpu.as_secs_f64() * 1e6 / reports;
        self.generator_cpu_us_per_report = generator.as_secs_f64() * 1e6 / reports;
        self.written_bytes_per_report = written as f64 / reports;
        self.wal_bytes_per_report = database.wal_bytes / reports;
        self.peak_mib = used.peak_mib();
        let roles = by_role.into_iter().filter(|(_, cpu)| !cpu.is_zero());
        self.split = Split {
            machine: cores(spent.machine),
            roles: roles
                .map(|(role, cpu)| (role.to_owned(), cores(cpu)))
                .collect(),
        };
        self
    }

    /// What the services took, where they have processes of their own: it is added to what this process took.
    pub(super) fn processes(mut self, before: &[InUse], now: &[InUse], wall: Duration) -> Self {
        let reports = self.reports.max(1) as f64;
        for (before, now) in before.iter().zip(now) {
            let used = now.usage.since(&before.usage);
            let cpu_s = used.cpu.as_secs_f64();
            let of = OfProcess {
                cores: cpu_s / wall.as_secs_f64().max(f64::MIN_POSITIVE),
                cpu_us_per_report: cpu_s * 1e6 / reports,
                peak_mib: now.usage.peak_mib(),
            };
            self.cores += of.cores;
            self.cpu_us_per_report += of.cpu_us_per_report;
            self.written_bytes_per_report += used.written_bytes as f64 / reports;
            self.processes.insert(now.process.to_owned(), of);
        }
        self
    }

    pub(crate) fn limited(mut self, max_p99: Option<Duration>) -> Self {
        self.within_limit =
            max_p99.is_none_or(|limit| self.latency_ms.p99 <= limit.as_secs_f64() * 1e3);
        self
    }

    pub(crate) fn passed(&self) -> bool {
        self.correct && self.within_limit
    }

    pub(super) fn verdict(&self) -> &'static str {
        match (self.correct, self.within_limit, self.generator_late) {
            (false, ..) => "WRONG",
            (true, true, false) => "ok",
            (true, true, true) => "ok, generator late",
            (true, false, true) => "generator's limit",
            (true, false, false) => "above the limit",
        }
    }

    pub(super) fn shares(&self) -> String {
        let mut roles: Vec<_> = self.split.roles.iter().collect();
        roles.sort_by(|a, b| b.1.total_cmp(a.1));
        let scale = self.cpu_us_per_report / self.cores.max(f64::MIN_POSITIVE);
        let roles = roles.into_iter().filter(|(_, cores)| **cores >= 0.005);
        let share = |(role, cores): (&String, &f64)| {
            format!("{role} {cores:.2} cores, {:.0} µs a report", cores * scale)
        };
        let mut text = format!(
            "by thread {}\n",
            roles.map(share).collect::<Vec<_>>().join("; ")
        );
        for (name, of) in &self.processes {
            text += &format!(
                "process {name}: {:.2} cores, {:.0} µs a report, {:.0} MiB at the peak\n",
                of.cores, of.cpu_us_per_report, of.peak_mib
            );
        }
        text
    }
}
